"""What one enclave has promised in an election, and what it may still sign. Pure.

These are the rules of the enclave, whatever its host asks for: the host schedules, delays, forgets
and restores, and may be a liar. From them alone follows that no term has two leaders (S1 below).

A restored enclave has forgotten its votes; nobody can see that in its sealed state. So it
*reserves* terms with the others before it votes in them, and a new life begins above all that a
former one reserved (``begin``, ``reserve``, ``take_receipts``). What an enclave keeps for the others is
``witnesses``.

S1. Two leaders of one term need two certified views of it. Their quorums share more members than may
lie, so one that does not voted for both: in one life the rule here forbids it; in two lives the former
reserved the term with q - 1 others, of which the later, hearing a recovery quorum, heard at least one that does
not lie, and so began above it. Nothing else is carried from term to term.

S2. While a leader holds its lease no other is certified: its quorum promised not to vote for a view that
another leader follows from, and shares one that does not lie with every quorum. A later life grants
nothing in terms that a former one may have voted out. Only rates of clocks matter, not what they show.

S3. No term has a leader of two configurations: ``hand_over``, and ``succession``.
"""

from enum import StrEnum
from typing import TypeAlias

from msgspec.structs import replace

from tetrarch.election.certificates import LeaderCertificate
from tetrarch.election.configuration import Configuration
from tetrarch.election.statements import (
    NOTHING_BEFORE,
    TERM_MAX,
    Grant,
    Handover,
    Leader,
    Receipt,
    Reservation,
    Resignation,
    Signed,
    View,
    Vote,
)
from tetrarch.election.values import Boot, Count, Hash, Index, Milliseconds, Term, Value

CLOCK_DRIFT_PARTS = 100  # a clock may be wrong by one part in so many
TERMS_AHEAD_MAX = 1024  # of one reservation


class Reason(StrEnum):
    """Why an enclave does not sign. The texts are codes of the logs and of the docs."""

    NOT_RECOVERED = "not_recovered"
    ANOTHER_CONFIGURATION = "another_configuration"
    NOT_A_MEMBER = "not_a_member"
    BELOW_A_QUORUM = "below_a_quorum"
    TERM_OF_A_FORMER_LIFE = "term_of_a_former_life"
    TERM_NOT_RESERVED = "term_not_reserved"
    TERM_IS_OVER = "term_is_over"
    ANOTHER_VIEW = "another_view"
    ANOTHER_LEADER_BEFORE = "another_leader_before"
    RESIGNATION_DIFFERS = "resignation_differs"
    LEASE_LASTS = "lease_lasts"
    NOT_THE_NEWEST_LEADER = "not_the_newest_leader"
    NOT_THE_LEADER = "not_the_leader"
    HANDED_OVER = "handed_over"
    TOO_FAR_AHEAD = "too_far_ahead"


class Denied(Value, frozen=True):
    """Must not be signed."""

    reason: Reason


class Promises(Value, frozen=True, kw_only=True):
    """One life of one enclave. All of it is sealed before what follows from it leaves.

    ``floor``: nothing at or below is voted for; ``reserved_to``: nothing above. ``asked_to``: what
    this life asked the others to keep, durable before it asked. No vote before ``granted_to_ms``,
    which a leader may give back, and ``silent_to_ms``, for what former lives may have granted; both
    by the enclave's own clock, which begins anew with every life. ``successor``: the hash of the
    configuration that this one hands over to; it votes no more.
    """

    source: Index
    incarnation: Count
    boot: Boot
    recovered: bool
    floor: Term = 0
    reserved_to: Term = 0
    asked_to: Term = 0
    voted: View | None = None
    newest: Leader | None = None
    vacated: bool = False  # the newest leader has resigned
    granted_to_ms: Milliseconds = 0
    silent_to_ms: Milliseconds = 0
    successor: Hash | None = None


Judged: TypeAlias = Promises | Denied


def born(source: int, boot: bytes, *, floor: int = 0) -> Promises:
    """The first life of an enclave whose key was made just now: there is no former one.

    ``floor``: of the handover from the configuration before (``succession``), if there was one.
    """
    # As if it had asked for these terms itself, so that no later life falls below them.
    return Promises(
        source=source, incarnation=1, boot=boot, recovered=True, floor=floor, asked_to=floor
    )


def begin(sealed: Promises, boot: bytes, configuration: Configuration, now_ms: int) -> Promises:
    """The next life of an enclave, from what it had sealed, be it ever so old.

    What its former lives granted is forgotten, too: it is silent for a whole lease.
    """
    return replace(
        sealed,
        incarnation=sealed.incarnation + 1,
        boot=boot,
        recovered=False,
        floor=TERM_MAX,
        reserved_to=0,
        asked_to=max(sealed.asked_to, sealed.reserved_to),
        granted_to_ms=0,
        silent_to_ms=now_ms + lease_bound_ms(configuration),
    )


def resume(begun: Promises) -> Promises:
    """A life that ``begin`` made of the newest state there is, as a counter in hardware shows.

    What its former lives reserved is in that state, so it need not ask the others.
    """
    return replace(begun, recovered=True, floor=begun.asked_to)


def reservation(promises: Promises, configuration: Configuration) -> Reservation:
    """What the others are asked to keep."""
    return Reservation(
        configuration_hash=configuration.hash,
        source=promises.source,
        incarnation=promises.incarnation,
        boot=promises.boot,
        reserved_to=promises.asked_to,
    )


def reserve(promises: Promises, term: int) -> Judged:
    """Ask for terms up to ``term``; votes in them need receipts of q - 1 others."""
    if not promises.recovered:
        return Denied(Reason.NOT_RECOVERED)
    if term > max(promises.floor, promises.asked_to) + TERMS_AHEAD_MAX:
        return Denied(Reason.TOO_FAR_AHEAD)
    return replace(promises, asked_to=max(promises.asked_to, term))


def outbid(promises: Promises, kept: Reservation) -> Promises:
    """Begin above ``kept``, which a former life of this enclave signed and another member shows.

    An enclave that has recovered is not told so: somebody runs a second one with its key, and
    that one, being newer, goes on (``witnesses.keep``).
    """
    if promises.recovered or kept.boot == promises.boot:
        return promises
    return replace(
        promises,
        incarnation=max(promises.incarnation, kept.incarnation + 1),
        asked_to=max(promises.asked_to, kept.reserved_to),
    )


def take_receipts(
    promises: Promises,
    receipts: tuple[Receipt, ...],
    configuration: Configuration,
    *,
    accepts_cold_start: bool = False,
) -> Promises:
    """What the others' receipts for the newest reservation allow; their signatures are verified.

    A new life recovers by a recovery quorum of those that have recovered themselves: what former
    lives reserved is then below its floor.

    ``accepts_cold_start``: the operator accepts the risk that a cluster of which too many were down
    at once begins anew. Then the word of *all* others will do, recovered or not, and the
    cluster is safe if at most f members, this one included, lie or were set back.
    """
    own = reservation(promises, configuration)
    valid = {receipt.source: receipt for receipt in receipts if receipt.reservation == own}
    valid.pop(promises.source, None)
    whole = [receipt for receipt in valid.values() if receipt.recovered]
    if promises.recovered:
        enough = len(whole) >= configuration.quorum - 1
        return replace(promises, reserved_to=own.reserved_to) if enough else promises
    all_others = accepts_cold_start and len(valid) == configuration.count - 1
    if all_others or len(whole) >= configuration.recovery_quorum:
        return replace(promises, recovered=True, floor=own.reserved_to, reserved_to=0)
    return promises


def judge_vote(promises: Promises, view: View, configuration: Configuration, now_ms: int) -> Judged:
    """Whether the enclave may vote for ``view``; the new promises are sealed before it does."""
    reason = _vote_denied(promises, view, configuration, now_ms)
    return replace(promises, voted=view) if reason is None else Denied(reason)


def vote(promises: Promises) -> Vote:
    """The newest vote.

    Raises:
        ValueError: there is none.
    """
    if promises.voted is None:
        raise ValueError("no vote")
    return Vote(promises.voted, promises.source, promises.incarnation)


def learn_leader(promises: Promises, certificate: LeaderCertificate) -> Promises:
    """Remember the newest leader; ``certificate`` is verified. No later vote ignores it."""
    newest = promises.newest
    if newest is not None and newest.view.term >= certificate.term:
        return promises
    return replace(promises, newest=certificate.leader, vacated=False)


def judge_grant(
    promises: Promises, grant: Grant, configuration: Configuration, now_ms: int
) -> Judged:
    """Whether the enclave may promise its leader not to vote for a while."""
    if not promises.recovered:
        return Denied(Reason.NOT_RECOVERED)
    if promises.successor is not None:
        return Denied(Reason.HANDED_OVER)
    newest = promises.newest
    if newest is None or promises.vacated or newest.hash != grant.leader_hash:
        return Denied(Reason.NOT_THE_NEWEST_LEADER)
    # A former life may have voted for what comes after this leader, or handed over.
    if newest.view.term <= promises.floor:
        return Denied(Reason.TERM_OF_A_FORMER_LIFE)
    if promises.voted is not None and promises.voted.term > newest.view.term:
        return Denied(Reason.TERM_IS_OVER)
    granted_to_ms = max(promises.granted_to_ms, now_ms + lease_bound_ms(configuration))
    return replace(promises, granted_to_ms=granted_to_ms)


def hand_over(promises: Promises, next_hash: bytes) -> Judged:
    """Stop voting, for good, so that another configuration may follow: to one only, ever.

    It reserves every term that is left. A later life, whatever state it begins from, then begins
    above them all: it votes no more either, and hands over to nothing else.
    """
    if not promises.recovered:
        return Denied(Reason.NOT_RECOVERED)
    # Where a former life stopped, to what it handed over may be forgotten, or be another's word.
    if promises.floor == TERM_MAX or promises.successor not in (None, next_hash):
        return Denied(Reason.HANDED_OVER)
    return replace(promises, successor=next_hash, asked_to=TERM_MAX)


def judge_handover(
    promises: Promises, configuration: Configuration, now_ms: int
) -> Handover | Denied:
    """What the enclave signs once the others keep that it stopped, and no lease needs it."""
    if promises.floor == TERM_MAX:
        return Denied(Reason.HANDED_OVER)
    if promises.successor is None or promises.reserved_to != TERM_MAX:
        return Denied(Reason.TERM_NOT_RESERVED)
    if now_ms < max(promises.silent_to_ms, promises.granted_to_ms):
        return Denied(Reason.LEASE_LASTS)
    voted = 0 if promises.voted is None else promises.voted.term
    return Handover(
        configuration_hash=configuration.hash,
        next_hash=promises.successor,
        source=promises.source,
        last_term=max(promises.floor, voted),
    )


def take_resignation(promises: Promises, resignation: Signed[Resignation]) -> Promises:
    """The newest leader gave up its lease; the signature is verified."""
    newest = promises.newest
    said = resignation.what
    if newest is None or newest.hash != said.leader_hash or newest.leader != said.source:
        return promises
    return replace(promises, granted_to_ms=0, vacated=True)


def lease_bound_ms(configuration: Configuration) -> int:
    """For how long a grant binds who gave it: a lease by the slowest clock of a leader."""
    lease_ms = configuration.lease_ms
    return lease_ms + -(-2 * lease_ms // CLOCK_DRIFT_PARTS)


def _vote_denied(
    promises: Promises, view: View, configuration: Configuration, now_ms: int
) -> Reason | None:
    if view.configuration_hash != configuration.hash:
        return Reason.ANOTHER_CONFIGURATION
    if not promises.recovered:
        return Reason.NOT_RECOVERED
    if view == promises.voted:
        return None
    if promises.source not in view.members or view.members[-1] >= configuration.count:
        return Reason.NOT_A_MEMBER
    if len(view.members) < configuration.quorum:
        return Reason.BELOW_A_QUORUM
    return _term_denied(promises, view) or _not_yet(promises, view, now_ms)


def _term_denied(promises: Promises, view: View) -> Reason | None:
    """For good: nothing that happens later makes it right."""
    voted, newest = promises.voted, promises.newest
    if promises.successor is not None:
        return Reason.HANDED_OVER
    if view.term <= promises.floor:
        return Reason.TERM_OF_A_FORMER_LIFE
    if voted is not None and view.term == voted.term:
        return Reason.ANOTHER_VIEW
    if voted is not None and view.term < voted.term:
        return Reason.TERM_IS_OVER
    if newest is not None and view.term <= newest.view.term:
        return Reason.TERM_IS_OVER
    return None


def _not_yet(promises: Promises, view: View, now_ms: int) -> Reason | None:
    newest = promises.newest
    if view.previous != (NOTHING_BEFORE if newest is None else newest.hash):
        return Reason.ANOTHER_LEADER_BEFORE
    if view.vacated != promises.vacated:
        return Reason.RESIGNATION_DIFFERS
    if view.term > promises.reserved_to:
        return Reason.TERM_NOT_RESERVED
    stays = newest is not None and newest.leader in view.members
    if now_ms < max(promises.silent_to_ms, 0 if stays else promises.granted_to_ms):
        return Reason.LEASE_LASTS
    return None
