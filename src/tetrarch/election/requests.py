"""What a member's machine asks of its own enclave, and what comes back. Pure.

The machine decides nothing that its enclave must not check again. ``perform`` is the one place that
knows which request is which call of a ``Voter``: in the enclave's process, and in the simulator.
"""

from dataclasses import dataclass
from typing import TypeAlias

from tetrarch.election.certificates import LeaderCertificate, ViewCertificate
from tetrarch.election.promises import Denied
from tetrarch.election.statements import (
    Grant,
    Leader,
    Receipt,
    Reservation,
    Resignation,
    Signed,
    View,
    Vote,
)
from tetrarch.election.voter import Voter
from tetrarch.election.witnesses import Kept


@dataclass(frozen=True, slots=True)
class CastVote:
    """Answer: ``Signed[Vote]`` or ``Denied``."""

    view: View


@dataclass(frozen=True, slots=True)
class Elect:
    """Answer: ``Elected`` or ``Denied``."""

    certificate: ViewCertificate


@dataclass(frozen=True, slots=True)
class LearnLeader:
    """Answer: ``Standing``."""

    certificate: LeaderCertificate


@dataclass(frozen=True, slots=True)
class Reserve:
    """Ask for terms up to ``term``; 0: for what was asked before. Answer: ``Standing``."""

    term: int = 0


@dataclass(frozen=True, slots=True)
class Keep:
    """Answer: ``Signed[Receipt]`` or ``Kept``, for its source."""

    reservation: Signed[Reservation]


@dataclass(frozen=True, slots=True)
class TakeReceipts:
    """Answer: ``Standing``."""

    receipts: tuple[Signed[Receipt], ...]


@dataclass(frozen=True, slots=True)
class TakeRefusal:
    """Answer: ``Standing``."""

    kept: Kept


@dataclass(frozen=True, slots=True)
class GrantLease:
    """Answer: ``Signed[Grant]`` or ``Denied``, for the leader."""

    leader_hash: bytes
    asked_ms: int


@dataclass(frozen=True, slots=True)
class Resign:
    """Answer: ``Signed[Resignation]`` or ``Denied``."""


@dataclass(frozen=True, slots=True)
class TakeResignation:
    """Answer: ``Standing``."""

    resignation: Signed[Resignation]


@dataclass(frozen=True, slots=True)
class Elected:
    """The leader that follows, and this enclave's signature under it."""

    leader: Leader
    signature: bytes


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the enclave stands, and what it asks the others to keep."""

    recovered: bool
    floor: int
    reserved_to: int
    reservation: Signed[Reservation]
    newest: LeaderCertificate | None


Request: TypeAlias = (
    CastVote
    | Elect
    | LearnLeader
    | Reserve
    | Keep
    | TakeReceipts
    | TakeRefusal
    | GrantLease
    | Resign
    | TakeResignation
)
Answer: TypeAlias = (
    Signed[Vote]
    | Signed[Receipt]
    | Signed[Grant]
    | Signed[Resignation]
    | Kept
    | Elected
    | Standing
    | Denied
)


def perform(voter: Voter, request: Request, now_ms: int) -> Answer:
    """Do what ``request`` asks.

    Raises:
        CertificateInvalid, StatementFalse: what it carries proves nothing; nothing was changed.
    """
    match request:
        case CastVote(view):
            return voter.vote(view, now_ms)
        case Elect(certificate):
            said = voter.elect(certificate)
            return said if isinstance(said, Denied) else Elected(*said)
        case Keep(reservation):
            return voter.keep(reservation)
        case GrantLease(leader_hash, asked_ms):
            return voter.grant(leader_hash, asked_ms, now_ms)
        case Resign():
            return voter.resign()
        case _:
            return _change(voter, request)


def _change(
    voter: Voter,
    request: LearnLeader | Reserve | TakeReceipts | TakeRefusal | TakeResignation,
) -> Standing | Denied:
    match request:
        case LearnLeader(certificate):
            voter.learn_leader(certificate)
        case TakeReceipts(receipts):
            voter.take_receipts(receipts)
        case TakeRefusal(kept):
            voter.take_refusal(kept)
        case TakeResignation(resignation):
            voter.take_resignation(resignation)
        case Reserve(term):
            said = voter.reserve(term) if term else None
            if isinstance(said, Denied):
                return said
    promises = voter.promises
    return Standing(
        recovered=promises.recovered,
        floor=promises.floor,
        reserved_to=promises.reserved_to,
        reservation=voter.reservation(),
        newest=voter.newest,
    )
