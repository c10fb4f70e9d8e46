"""What this node has said, durable before it leaves: a restarted node must not say otherwise.

Without it, a node that crashes after a COMMIT could come back, forget what it has prepared and
help the cluster to decide another value. Each vote is one record; votes that are made at
the same instant are recorded together, so a store commits once for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from tetrarch.consensus.messages import MessageType, ValueHash
from tetrarch.duties.types import Duty
from tetrarch.errors import PeerFault


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One own message: PRE_PREPARE, PREPARE, COMMIT or ROUND_CHANGE.

    ``content`` is the signed envelope as the codec lays it out. A COMMIT's envelope carries the
    PREPAREs it rests on, although they do not travel with it. A PREPARE has the value's bytes: a
    cluster that is bound to a value must not lose it when several nodes crash at once.
    """

    duty: Duty
    round: int
    type: MessageType
    value_hash: ValueHash
    content: bytes
    value: bytes = b""  # of a PREPARE: mostly about 30 kB


class SilenceKept(PeerFault):
    """The node's own votes forbid it to speak in a duty: it would only contradict itself."""

    code: ClassVar[str] = "consensus_silence_kept"


class VoteLog(Protocol):
    """A durable record, unique by (duty, round, type)."""

    async def record(self, votes: Sequence[Vote]) -> tuple[Vote, ...]:
        """Store ``votes``; durable when this returns, all or none.

        Returns those that may leave: all but such as contradict (same duty, round and type,
        another ``value_hash``) what is stored already. Storing the same again does nothing.

        Raises:
            SilenceKept: nothing may be said in this duty at all.
        """
        ...

    async def votes(self, duty: Duty) -> tuple[Vote, ...]:
        """All that is stored for ``duty``, by round and type."""
        ...

    async def forget(self, duty: Duty) -> None:
        """Drop ``duty``'s votes; called after its deadline, when no message is accepted any more."""
        ...


class MemoryVoteLog:
    """Keeps votes while the process lives: for the simulator, which keeps it across crashes."""

    def __init__(self) -> None:
        self._votes: dict[Duty, dict[tuple[int, MessageType], Vote]] = {}

    async def record(self, votes: Sequence[Vote]) -> tuple[Vote, ...]:
        """See ``VoteLog``."""
        allowed = []
        for vote in votes:
            known = self._votes.setdefault(vote.duty, {}).setdefault((vote.round, vote.type), vote)
            if known.value_hash == vote.value_hash:
                allowed.append(vote)
        return tuple(allowed)

    async def votes(self, duty: Duty) -> tuple[Vote, ...]:
        """See ``VoteLog``."""
        stored = self._votes.get(duty, {})
        return tuple(stored[key] for key in sorted(stored))

    async def forget(self, duty: Duty) -> None:
        """See ``VoteLog``."""
        self._votes.pop(duty, None)
