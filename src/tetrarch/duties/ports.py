"""What the workflow asks of the world. Each Protocol is owned here, by its consumer.

Adapters: ``compute`` in production runs threads, in the simulator inline; the beacon node is
HTTP or a simulated chain; the enclave is a process or inline; the bus is gRPC or simulated.
"""

import sqlite3
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeAlias, TypeVar

from tetrarch.duties.types import (
    AttestationPayload,
    DefinitionSet,
    Duty,
    ProposalPayload,
    PubKey,
    ShareIndex,
    SignedData,
    UnsignedDataSet,
)

R = TypeVar("R")
Signed: TypeAlias = tuple[PubKey, AttestationPayload | ProposalPayload]  # by one of our shares


class Compute(Protocol):
    """Runs CPU-heavy pure functions without holding up the event loop."""

    async def run(self, function: Callable[[], R], /, *, cost_ms: float = ...) -> R:
        """Await ``function()``. It must not touch state that others change meanwhile.

        ``cost_ms`` is what it takes about; light work may run at once.
        """
        ...


class Spawner(Protocol):
    """Starts named background work that is awaited and reported by its owner."""

    def spawn(self, work: Coroutine[Any, Any, None], /, *, name: str) -> object:
        """Run ``work`` until it ends; an unexpected exception stops the node."""
        ...


class Storage(Protocol):
    """A transactional database. ``storage.Database`` with threads, or one for the simulator."""

    async def write(self, function: Callable[[sqlite3.Connection], R], /) -> R:
        """Run ``function`` in a transaction; return once its effects are durable."""
        ...

    async def read(self, function: Callable[[sqlite3.Connection], R], /) -> R:
        """Run ``function`` on a snapshot of what is committed."""
        ...


class GroupKeys(Protocol):
    """Public keys of the cluster: no secret is behind this port."""

    @property
    def threshold(self) -> int:
        """Partials needed for a group signature."""
        ...

    @property
    def share_count(self) -> int:
        """Shares of every key; indices are 1..share_count."""
        ...

    @property
    def own_share_index(self) -> ShareIndex:
        """The share that this node holds."""
        ...

    @property
    def pubkeys(self) -> tuple[PubKey, ...]:
        """All validators' root keys, ascending."""
        ...

    def public_share(self, pubkey: PubKey, share_index: ShareIndex) -> bytes:
        """48 bytes: the public key of one share. KeyError for a foreign validator."""
        ...


class Definitions(Protocol):
    """Query: the scheduler's resolved duties."""

    async def get_duty_definition(self, duty: Duty) -> DefinitionSet:
        """What is to be done for ``duty``; raises one of ``duties.errors``."""
        ...


class AggregatedSignatures(Protocol):
    """Query: AggSigDB."""

    async def await_signed(self, duty: Duty, pubkey: PubKey, *, sub_index: int = 0) -> SignedData:
        """Wait until the group's signature is there, or until the caller gives up."""
        ...


class DecidedData(Protocol):
    """Query: DutyDB, for the components that complete a signature to what is submitted."""

    async def decided(self, duty: Duty) -> UnsignedDataSet | None:
        """The decided data of ``duty``, or None while there is none."""
        ...


class OwnHistory(Protocol):
    """A history that our own shares' signatures, or what they are made from, went through."""

    async def forgotten(self, signed: tuple[Signed, ...]) -> tuple[int, ...]:
        """Positions of what it does not hold, and does not deny as older than it knows."""
        ...

    async def learn(self, signed: tuple[Signed, ...]) -> None:
        """Deny all that could clash with ``signed``; durable when this returns."""
        ...

    async def is_restored(self) -> bool:
        """Whether it was made from a backup, and has not recovered yet."""
        ...

    async def recover(self) -> None:
        """Take off the mark of a restored folder, if there is one: enough peers have answered."""
        ...


class History(Protocol):
    """Our EIP-3076 history of the group keys."""

    async def refusal(self, data_set: UnsignedDataSet) -> str | None:
        """Why the set must not be voted for, or None."""
        ...

    async def permitted(self, data_set: UnsignedDataSet) -> UnsignedDataSet | None:
        """The set without what the history refuses; None when nothing is left."""
        ...
