"""What the leadership needs of the world: the keys that sign, and a network that hears of blocks and votes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tetrarch.clock import Clock
from tetrarch.ledger.finality import Link, Voters
from tetrarch.ledger.fragments.signed import SignedFragment
from tetrarch.ledger.headers import Header, PoolId
from tetrarch.ledger.keyring import LeaderIs, Lottery
from tetrarch.ledger.membership import Change
from tetrarch.ledger.ports import Compute
from tetrarch.ledger.reservations import Kind, Receipt, Request
from tetrarch.network.overlay.chain import Verdict
from tetrarch.observability.logs import Log


class Keys(Protocol):
    """A ledger's keys, wherever they are held (``enclave.ledger_client``). No call gives one out."""

    @property
    def voter(self) -> bytes:
        """The public key that votes."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether there may be copies of the keys: what they sign is reserved before."""
        ...

    async def ask_span(self, kind: Kind, first: int, until: int) -> Request:
        """A request for a span."""
        ...

    async def grant(self, request: Request) -> Receipt:
        """Keep another voter's span for it."""
        ...

    async def hold(self, receipts: Sequence[Receipt], voters: tuple[Voters, ...]) -> None:
        """Sign in a span that a quorum keeps."""
        ...

    async def leaders(self) -> tuple[LeaderIs, ...]:
        """All leaders whose keys are here."""
        ...

    async def add_leader(self, pool: PoolId | None = None) -> LeaderIs:
        """Make the keys of one more."""
        ...

    async def drop_leader(self, number: int) -> None:
        """Forget a leader's keys, for good."""
        ...

    async def slots(self, number: int, lottery: Lottery, slots: range) -> tuple[int, ...]:
        """In which of an epoch's ``slots`` a pool is drawn."""
        ...

    async def evolve(self, number: int, kes_period: int) -> None:
        """Bring a pool's evolving key to a period."""
        ...

    async def sign_block(
        self, number: int, header: Header, *, lottery: Lottery | None, kes_period: int
    ) -> Header:
        """``header`` with the leader's proof; once for a slot."""
        ...

    async def sign_vote(self, link: Link) -> bytes:
        """The signature of a vote that contradicts no older one."""
        ...

    async def sign_change(self, change: Change) -> bytes:
        """The signature of a change of members, for which an operator asks."""
        ...

    async def sign_fragment(self, fragment: SignedFragment) -> bytes:
        """The signature of what only voters say."""
        ...


class Network(Protocol):
    """Where blocks and votes go: the own chain takes them first (``network.overlay``)."""

    async def propose_block(self, content: bytes) -> Verdict:
        """What the own chain says of it; if it is new, others hear of it."""
        ...

    async def propose_fragment(self, content: bytes) -> Verdict:
        """The same of a fragment, or a vote."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadershipPorts:
    """The world, as a leadership sees it."""

    keys: Keys
    network: Network
    compute: Compute
    clock: Clock
    log: Log
