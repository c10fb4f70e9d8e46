"""A chain's state with four members, of whom three decide, and outside networks that they hold coins on."""

from dataclasses import dataclass, field, replace
from typing import TypeVar

from tests.ledger.makers import BLOCK0, account_id, bft_key, bft_public, draft_of

from tetrarch.ledger.checkpoints import STANDING, Standing, begin_checkpoints, note_ancestor
from tetrarch.ledger.custody import (
    CustodyKey,
    ExternalBlock,
    Network,
    coins_of,
    network_of,
    supply_of,
)
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.finality import Checkpoint
from tetrarch.ledger.fragments.batch import Batch, Instruction
from tetrarch.ledger.fragments.external_block import ExternalBlockVote
from tetrarch.ledger.fragments.key_vote import KeyVote
from tetrarch.ledger.fragments.kind import Body, Context
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.membership import alike, begin_membership
from tetrarch.ledger.parameters import Parameters
from tetrarch.ledger.tables import Draft
from tetrarch.ledger.wire import Reader, Writer

NETWORK, COIN, GROUP = 7, 1, 50  # 50: whose key signs batches, as a group would
B = TypeVar("B", bound=Body)


def again(body: B) -> B:
    """Through its bytes."""
    writer = Writer()
    body.write(writer)
    reader = Reader(writer.data, what="test")
    read = type(body).read(reader)
    reader.end()
    return read


def block(height: int) -> BlockId:
    """Of this chain, at that height."""
    return BlockId(height.to_bytes(32, "big"))


def outside(number: int) -> ExternalBlock:
    """A block of the network."""
    return ExternalBlock(number, b"outside" + number.to_bytes(25, "big"))


def group_key(session: int = 0) -> CustodyKey:
    return CustodyKey(bft_public(GROUP + session), b"holds coins %d" % session)


def instruction(output: int, account: int, amount: int) -> Instruction:
    return Instruction(
        output=output.to_bytes(36, "big"), account=account_id(account), coin=COIN, amount=amount
    )


def signed(batch: Batch, session: int | None = None) -> Batch:
    """By the group of its session."""
    key = bft_key(GROUP + (batch.session if session is None else session))
    return replace(batch, signature=key.sign(batch.to_sign(BLOCK0)))


@dataclass
class Chain:
    """At block ``height``."""

    draft: Draft = field(default_factory=draft_of)
    height: int = 0

    def __post_init__(self) -> None:
        begin_membership(self.draft, alike(map(bft_public, range(4))))
        begin_checkpoints(self.draft, block(0))
        self.to(10)

    def to(self, height: int, final: int | None = None) -> None:
        """Go on, up to a block that follows one of ``height`` - 1."""
        while self.height < height:
            note_ancestor(self.draft, Checkpoint(self.height, block(self.height)))
            self.height += 1
        at = height - 3 if final is None else final
        checkpoint = Checkpoint(at, block(at))
        STANDING.put(self.draft, b"", Standing(checkpoint, checkpoint))

    def apply(self, body: Body, payer: int = 0) -> None:
        """Whole, or not at all."""
        trial = self.draft.trial()
        context = Context(
            date=BlockDate(0, self.height),
            slot=self.height,
            height=self.height,
            block0=BLOCK0,
            parameters=Parameters(),
            payer=account_id(payer),
        )
        again(body).apply(trial, context)
        self.draft.take(trial)

    def by_quorum(self, body: Body) -> None:
        for number in range(3):
            self.apply(body, number)

    def with_key(self, session: int = 0) -> "Chain":
        self.by_quorum(KeyVote(network=NETWORK, session=session, attempt=0, key=group_key(session)))
        return self

    def with_blocks(self, *numbers: int) -> "Chain":
        for number in numbers:
            self.by_quorum(ExternalBlockVote(NETWORK, outside(number)))
        return self

    def with_coins(self, *amounts: int) -> "Chain":
        """Account n has so much, by the first batch."""
        self.with_key().with_blocks(1)
        instructions = tuple(
            instruction(number, number, amount) for number, amount in enumerate(amounts)
        )
        batch = Batch(
            network=NETWORK, id=0, session=0, block=outside(1).block, instructions=instructions
        )
        self.apply(signed(batch))
        return self

    @property
    def network(self) -> Network:
        return network_of(self.draft, NETWORK)

    def coins(self, account: int) -> int:
        return coins_of(self.draft, account_id(account), NETWORK, COIN)

    @property
    def supply(self) -> int:
        return supply_of(self.draft, NETWORK, COIN)
