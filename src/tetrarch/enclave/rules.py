"""May this be signed? The slashing rules of EIP-3076 for a complete database. Pure.

A validator is slashed for two blocks of one slot, two attestations of one target epoch, or two
attestations of which one surrounds the other. These functions say no to each of them, judging
one wish against everything that was ever approved for the same root key.

What was approved is asked through small queries, so that the same rules run on SQLite in
production and on lists in the tests. Below the *floors* nothing is known in detail (never was,
or is pruned), so everything there is denied.

Source: EIP-3076, section "Conditions", with the exception for repeat signings that it allows:
the very same signing root is approved again, because BLS gives the very same bytes.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

# The largest slot or epoch that the history can hold; no chain gets there.
TIME_MAX = 2**63 - 1
EPOCHS_AHEAD_MAX = 1


class Reason(StrEnum):
    """Why a signature is denied. The texts are codes of the logs and of the docs."""

    DOUBLE_BLOCK = "double_block"
    BLOCK_BELOW_FLOOR = "block_below_floor"
    DOUBLE_VOTE = "double_vote"
    SURROUNDING_VOTE = "surrounding_vote"
    SURROUNDED_VOTE = "surrounded_vote"
    SOURCE_AFTER_TARGET = "source_after_target"
    SOURCE_BELOW_FLOOR = "source_below_floor"
    TARGET_BELOW_FLOOR = "target_below_floor"
    TOO_FAR_AHEAD = "too_far_ahead"
    NOT_CONFIGURED = "not_configured"
    KEY_UNKNOWN = "key_unknown"
    ANOTHER_VALIDATOR = "another_validator"


@dataclass(frozen=True, slots=True)
class New:
    """Not slashable and not seen before: record it, then sign."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """Exactly this was approved before: sign again without a new record."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Must not be signed."""

    reason: Reason


Verdict: TypeAlias = New | Repeat | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block as far as slashing is concerned. ``signing_root``: 32 bytes, None if unknown."""

    slot: int
    signing_root: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """An attestation as far as slashing is concerned; fields as in ``Block``."""

    source: int
    target: int
    signing_root: bytes | None


@dataclass(frozen=True, slots=True)
class Wish:
    """Something to be signed for root key ``pubkey`` (48 bytes)."""

    pubkey: bytes
    what: Block | Vote


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteBounds:
    """Extremes over all approved votes of one key, and the floors (see the module's text)."""

    floor_source: int
    floor_target: int
    max_source: int
    max_target: int


class BlockHistory(Protocol):
    """Blocks approved for one root key."""

    def floor_slot(self) -> int | None:
        """The lowest slot that is still judged; None when no block was ever approved."""
        ...

    def at_slot(self, slot: int) -> Block | None:
        """The approved block of ``slot``."""
        ...


class VoteHistory(Protocol):
    """Attestations approved for one root key."""

    def bounds(self) -> VoteBounds | None:
        """None when no vote was ever approved."""
        ...

    def at_target(self, target: int) -> Vote | None:
        """The approved vote of this target epoch."""
        ...

    def reaching_beyond(self, epoch: int) -> tuple[Vote, ...]:
        """Every approved vote with a target after ``epoch``, in any order."""
        ...


def judge_block(wish: Block, history: BlockHistory) -> Verdict:
    """Whether ``wish`` may be signed by a key with this ``history``."""
    if wish.slot > TIME_MAX:
        return Refused(Reason.TOO_FAR_AHEAD)
    known = history.at_slot(wish.slot)
    if known is not None:
        return _repeat_or(wish.signing_root, known.signing_root, Reason.DOUBLE_BLOCK)
    floor = history.floor_slot()
    if floor is not None and wish.slot <= floor:
        return Refused(Reason.BLOCK_BELOW_FLOOR)
    return New()


def judge_vote(wish: Vote, history: VoteHistory) -> Verdict:
    """Whether ``wish`` may be signed by a key with this ``history``.

    Cost: two lookups for a vote that is newer than all others, which is the usual case.
    """
    if wish.target > TIME_MAX:
        return Refused(Reason.TOO_FAR_AHEAD)
    if wish.source > wish.target:
        return Refused(Reason.SOURCE_AFTER_TARGET)
    known = history.at_target(wish.target)
    if known is not None:
        root = wish.signing_root if known.source == wish.source else None
        return _repeat_or(root, known.signing_root, Reason.DOUBLE_VOTE)
    bounds = history.bounds()
    reason = None if bounds is None else _clash(wish, bounds, history)
    return New() if reason is None else Refused(reason)


def _clash(wish: Vote, bounds: VoteBounds, history: VoteHistory) -> Reason | None:
    if wish.source < bounds.floor_source:
        return Reason.SOURCE_BELOW_FLOOR
    if wish.target <= bounds.floor_target:
        return Reason.TARGET_BELOW_FLOOR
    if wish.source >= bounds.max_source and wish.target > bounds.max_target:
        return None  # nothing lies beyond its source or its target, so nothing is crossed
    # A vote that surrounds or is surrounded by the wish ends after the wish's source.
    for other in history.reaching_beyond(wish.source):
        if wish.source < other.source and other.target < wish.target:
            return Reason.SURROUNDING_VOTE
        if other.source < wish.source and wish.target < other.target:
            return Reason.SURROUNDED_VOTE
    return None


def too_far_ahead(epoch: int, *, now_epoch: int) -> bool:
    """Whether ``epoch`` lies so far ahead that no duty can be due in it.

    No slashing rule asks for this. It keeps a node that was broken into from collecting randao
    reveals and blocks of the far future, and one wrong vote from silencing a key for years. One
    epoch of slack serves duties at an epoch's edge and clocks that are a little off.
    """
    return epoch > now_epoch + EPOCHS_AHEAD_MAX


def _repeat_or(wished: bytes | None, known: bytes | None, reason: Reason) -> Verdict:
    """An unknown signing root equals nothing, not even another unknown one."""
    return Repeat() if wished is not None and wished == known else Refused(reason)
