"""What came in with blocks of an outside network, signed by the group that holds its coins. Pure.

    network u32 | id u32 | session u32 | hash of the block 32 | count u32, so often: output u8-sized | account 32 | coin u8
    | amount u64 | signature 64

Ids follow each other; instructions are in the order of their outputs, of which none comes twice. A batch without any says
that the block was dealt with. The signature is Ed25519 over a label, the chain's first block and all before it, by the key
of the session that signed the batch before, or of the next, which takes over with it.
"""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import ClassVar, Final, Self

from tetrarch.crypto.ed25519 import is_signed
from tetrarch.ledger.accounts import AccountId
from tetrarch.ledger.custody import (
    CUSTODY_KEYS,
    Network,
    add_coins,
    change_supply,
    network_of,
    put_network,
    session_key,
)
from tetrarch.ledger.fragments.kind import Context, FragmentRefused
from tetrarch.ledger.headers import ID_SIZE_BYTES, KEY_SIZE_BYTES, SIGNATURE_SIZE_BYTES, BlockId
from tetrarch.ledger.tables import Draft
from tetrarch.ledger.wire import Reader, Writer

LABEL: Final = b"tetrarch/ledger/batch/1"
INSTRUCTIONS_MAX: Final = 1024
OUTPUT_SIZE_BYTES_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """What one output outside is worth to whom. ``output``: its identity there."""

    output: bytes
    account: AccountId
    coin: int
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """See the module."""

    number: ClassVar[int] = 18
    name: ClassVar[str] = "batch"
    free_for_voters: ClassVar[bool] = True

    network: int
    id: int
    session: int
    block: bytes
    instructions: tuple[Instruction, ...] = ()
    signature: bytes = field(default=bytes(SIGNATURE_SIZE_BYTES), repr=False)

    @property
    def unsigned(self) -> bytes:
        """All but the signature."""
        writer = Writer().u32(self.network).u32(self.id).u32(self.session).raw(self.block)
        writer.u32(len(self.instructions))
        for each in self.instructions:
            writer.u8(len(each.output)).raw(each.output)
            writer.raw(each.account).u8(each.coin).u64(each.amount)
        return writer.data

    def to_sign(self, block0: BlockId) -> bytes:
        """What the group signs."""
        return LABEL + block0 + self.unsigned

    def write(self, writer: Writer) -> None:
        """See ``Body``."""
        writer.raw(self.unsigned).raw(self.signature)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """See ``Body``."""
        return cls(
            network=reader.u32(),
            id=reader.u32(),
            session=reader.u32(),
            block=reader.raw(ID_SIZE_BYTES),
            instructions=tuple(
                _read_instruction(reader) for _ in range(reader.u32(highest=INSTRUCTIONS_MAX))
            ),
            signature=reader.raw(SIGNATURE_SIZE_BYTES),
        )

    def apply(self, draft: Draft, context: Context) -> None:
        """See ``Body``. Cost: 0.15 ms, and 10 us an instruction."""
        network = network_of(draft, self.network)
        if self.id != network.next_batch:
            raise FragmentRefused("apply batch", id=self.id, expected=network.next_batch)
        known = next((each for each in network.blocks if each.block == self.block), None)
        if known is None:
            raise FragmentRefused(
                "apply batch", block=self.block.hex(), reason="it is not acknowledged"
            )
        outputs = [each.output for each in self.instructions]
        if any(first >= second for first, second in pairwise(outputs)):
            raise FragmentRefused("apply batch", reason="its outputs are not in order")
        self._check_signature(draft, network, context.block0)
        for each in self.instructions:
            change_supply(draft, self.network, each.coin, each.amount)
            add_coins(draft, each.account, self.network, each.coin, each.amount)
        left = tuple(each for each in network.blocks if each.number >= known.number)
        changed = replace(
            network, blocks=left, next_batch=self.id + 1, signing_session=self.session
        )
        put_network(draft, self.network, changed)

    def _check_signature(self, draft: Draft, network: Network, block0: BlockId) -> None:
        sessions = (network.signing_session, network.signing_session + 1)
        key = CUSTODY_KEYS.get(draft, session_key(self.network, self.session))
        if key is None or self.session not in sessions:
            raise FragmentRefused("apply batch", session=self.session, lowest=sessions[0])
        if not is_signed(key.batch_key, self.to_sign(block0), self.signature):
            raise FragmentRefused("apply batch", reason="its signature is false")


def _read_instruction(reader: Reader) -> Instruction:
    return Instruction(
        output=reader.raw(reader.u8(lowest=1, highest=OUTPUT_SIZE_BYTES_MAX)),
        account=AccountId(reader.raw(KEY_SIZE_BYTES)),
        coin=reader.u8(),
        amount=reader.u64(lowest=1),
    )
