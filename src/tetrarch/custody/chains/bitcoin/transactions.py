"""Transactions that carry out plans: the same at all who have the plan and the rate of fees. Pure.

Outputs are in the plan's order: payments, branches, change. All inputs are Taproot outputs of ours, spent by their keys; each
signals that it may be replaced (BIP-125), as a plan's transaction may have to be made anew with a higher fee.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from embit.script import Script, Witness
from embit.transaction import Transaction, TransactionInput, TransactionOutput

from tetrarch.custody.chains.bitcoin.addresses import Network, script_of
from tetrarch.custody.chains.bitcoin.holding import HoldingKey
from tetrarch.custody.outputs import Output, OutputId, OutputKind
from tetrarch.custody.planner import Plan
from tetrarch.errors import InputInvalid, invariant

TRANSACTION_ID_SIZE_BYTES: Final = 32
PLACE_SIZE_BYTES: Final = 4
OUTPUT_ID_SIZE_BYTES: Final = TRANSACTION_ID_SIZE_BYTES + PLACE_SIZE_BYTES
SEQUENCE: Final = 0xFFFFFFFD  # BIP-125, and no lock time is meant
VERSION: Final = 2

# Weight units: four for each byte that is not a witness's, one for each that is (BIP-141).
BASE_WEIGHT: Final = (
    4 * (4 + 4 + 3 + 3) + 2
)  # version, lock time, two counts of up to 65,535; marker and flag
INPUT_WEIGHT: Final = (
    4 * (36 + 1 + 4) + 1 + 1 + 64
)  # outpoint, no script, sequence; one item: a signature
OUTPUT_SIZE_BYTES: Final = (
    8 + 1
)  # amount, and the size of a script that is no longer than 252 bytes
TAPROOT_SCRIPT_SIZE_BYTES: Final = 34


class OutputIdInvalid(InputInvalid):
    """Bytes that are no transaction's id and a place in it."""

    code = "bitcoin_output_id_invalid"


@dataclass(frozen=True, slots=True)
class Rate:
    """Fees by size: ``per_kvb`` satoshi for a thousand virtual bytes. Addresses are text of ``network``."""

    network: Network
    per_kvb: int

    def __call__(self, *, inputs: int, addresses: Sequence[bytes]) -> int:
        """See ``planner.Fees``. The size is the one that a signed transaction has, or up to 4 bytes more."""
        sizes = sum(OUTPUT_SIZE_BYTES + len(script_of(self.network, each)) for each in addresses)
        weight = BASE_WEIGHT + inputs * INPUT_WEIGHT + 4 * sizes
        return -(-weight * self.per_kvb // 4000)


@dataclass(frozen=True, slots=True)
class Draft:
    """A plan's transaction without signatures: ``digests`` are what each input's key signs, ``kinds`` whose they are."""

    id: bytes  # as hashed: explorers show its bytes in reverse
    raw: bytes
    digests: tuple[bytes, ...]
    kinds: tuple[OutputKind, ...]


def draft_of(network: Network, keys: Sequence[HoldingKey], plan: Plan) -> Draft:
    """Lay out a plan. Cost: 30 us for each input and output.

    Raises:
        AddressInvalid: a payment's address is none; who made the plan had to leave it out.
    """
    scripts = {key.kind: Script(key.script) for key in keys}
    spent = [scripts[each.kind] for each in plan.inputs]
    outputs = [
        TransactionOutput(amount, Script(script_of(network, payment.address)))
        for payment, amount in plan.payments
    ]
    outputs += [
        TransactionOutput(amount, scripts[OutputKind.BRANCH]) for _, amount in plan.branches
    ]
    if plan.change:
        outputs.append(TransactionOutput(plan.change, scripts[OutputKind.CHANGE]))
    transaction = Transaction(
        version=VERSION,
        vin=[_input(each) for each in plan.inputs],
        vout=outputs,
    )
    amounts = [each.amount for each in plan.inputs]
    digests = tuple(
        transaction.sighash_taproot(place, script_pubkeys=spent, values=amounts)
        for place in range(len(spent))
    )
    raw = transaction.serialize()
    kinds = tuple(each.kind for each in plan.inputs)
    return Draft(sha256(sha256(raw).digest()).digest(), raw, digests, kinds)


def signed(draft: Draft, signatures: Sequence[bytes]) -> bytes:
    """The transaction that can be published: a signature of 64 bytes for each input."""
    invariant(len(signatures) == len(draft.digests), "each input has its signature")
    transaction = Transaction.parse(draft.raw)
    for entry, signature in zip(transaction.vin, signatures, strict=True):
        entry.witness = Witness([signature])
    raw = transaction.serialize()
    assert isinstance(raw, bytes)
    return raw


def outputs_of(draft: Draft, plan: Plan) -> Mapping[OutputId, Output]:
    """What a plan's transaction gives us: branches in their order, then change."""
    first = len(plan.payments)
    amounts = [(OutputKind.BRANCH, amount) for _, amount in plan.branches]
    if plan.change:
        amounts.append((OutputKind.CHANGE, plan.change))
    ours = {}
    for place, (kind, amount) in enumerate(amounts, first):
        identity = output_id(draft.id, place)
        ours[identity] = Output(identity, kind, amount)
    return ours


def output_id(transaction: bytes, place: int) -> OutputId:
    """As the chain writes it in what spends it."""
    return OutputId(transaction + place.to_bytes(PLACE_SIZE_BYTES, "little"))


def read_output_id(output: bytes) -> tuple[bytes, int]:
    """A transaction's id and a place in it.

    Raises:
        OutputIdInvalid: another length.
    """
    if len(output) != OUTPUT_ID_SIZE_BYTES:
        raise OutputIdInvalid("read output id", got_bytes=len(output))
    place = int.from_bytes(output[TRANSACTION_ID_SIZE_BYTES:], "little")
    return output[:TRANSACTION_ID_SIZE_BYTES], place


def _input(output: Output) -> TransactionInput:
    transaction, place = read_output_id(output.id)
    return TransactionInput(transaction[::-1], place, sequence=SEQUENCE)
