"""Blocks of any transactions, with a header that names them; nobody worked for it."""

from collections.abc import Sequence
from random import Random

from embit.script import Script, Witness
from embit.transaction import Transaction, TransactionInput, TransactionOutput

from tetrarch.custody.chains.bitcoin.blocks import merkle_root

PARENT = b"\x11" * 32


def transaction(
    spends: Sequence[bytes],
    pays: Sequence[tuple[int, bytes]],
    witness: Sequence[Sequence[bytes]] = (),
) -> Transaction:
    """``spends``: ids of outputs, 36 bytes each. ``witness``: items of each input."""
    entries = [
        TransactionInput(each[:32][::-1], int.from_bytes(each[32:], "little")) for each in spends
    ]
    for entry, items in zip(entries, witness, strict=False):
        entry.witness = Witness(list(items))
    return Transaction(vin=entries, vout=[TransactionOutput(a, Script(s)) for a, s in pays])


def coinbase(height: int) -> Transaction:
    entry = TransactionInput(
        bytes(32), 0xFFFFFFFF, script_sig=Script(b"\x04" + height.to_bytes(4, "little"))
    )
    return Transaction(vin=[entry], vout=[TransactionOutput(50, Script(b"\x51"))])


def id_of(made: Transaction) -> bytes:
    """As hashed."""
    return bytes(made.txid()[::-1])


def block_of(
    transactions: Sequence[Transaction],
    *,
    parent: bytes = PARENT,
    time_s: int = 1_700_000_000,
    root: bytes | None = None,
) -> bytes:
    root = root or merkle_root([id_of(each) for each in transactions])
    header = (4).to_bytes(4, "little") + parent + root + time_s.to_bytes(4, "little") + bytes(8)
    count = len(transactions)
    size = bytes((count,)) if count < 0xFD else b"\xfd" + count.to_bytes(2, "little")
    return header + size + b"".join(bytes(each.serialize()) for each in transactions)


def drawn_transaction(rng: Random) -> Transaction:
    """With or without witnesses, with scripts and items of odd sizes."""
    spends = [rng.randbytes(36) for _ in range(rng.randint(1, 4))]
    pays = [
        (rng.randrange(2**40), rng.randbytes(rng.choice((0, 1, 22, 34, 300))))
        for _ in range(rng.randint(1, 5))
    ]
    witness = [
        [rng.randbytes(rng.choice((0, 1, 64, 260))) for _ in range(rng.randint(0, 3))]
        for _ in spends
    ]
    return transaction(spends, pays, witness if rng.random() < 0.7 else ())
