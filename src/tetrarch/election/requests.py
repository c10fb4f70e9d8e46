"""What a member's machine asks of its own enclave, and what comes back. Pure.

The machine decides nothing that its enclave must not check again. ``perform`` is the one place that
knows which request is which call of a ``Voter``: in the enclave's process, and in the simulator.
"""

from typing import Annotated, TypeAlias

import msgspec

from tetrarch.election.certificates import LeaderCertificate, ViewCertificate
from tetrarch.election.promises import Denied
from tetrarch.election.quorums import MEMBERS_MAX
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
from tetrarch.election.values import Hash, Milliseconds, Seed, SignatureBytes, Term, Value
from tetrarch.election.voter import Voter
from tetrarch.election.witnesses import Kept


class CastVote(Value, frozen=True):
    """Answer: ``Signed[Vote]`` or ``Denied``."""

    view: View


class Draw(Value, frozen=True):
    """Answer: ``Drawn``. By rule ``beacon`` only."""

    certificate: ViewCertificate


class Elect(Value, frozen=True):
    """Answer: ``Elected`` or ``Denied``. ``seed``: by rule ``beacon``, what was drawn."""

    certificate: ViewCertificate
    seed: Seed = b""


class LearnLeader(Value, frozen=True):
    """Answer: ``Standing``."""

    certificate: LeaderCertificate


class Reserve(Value, frozen=True):
    """Ask for terms up to ``term``; 0: for what was asked before. Answer: ``Standing``."""

    term: Term = 0


class Keep(Value, frozen=True):
    """Answer: ``Signed[Receipt]`` or ``Kept``, for its source."""

    reservation: Signed[Reservation]


class TakeReceipts(Value, frozen=True):
    """Answer: ``Standing``."""

    receipts: Annotated[tuple[Signed[Receipt], ...], msgspec.Meta(max_length=MEMBERS_MAX)]


class TakeRefusal(Value, frozen=True):
    """Answer: ``Standing``."""

    kept: Kept


class GrantLease(Value, frozen=True):
    """Answer: ``Signed[Grant]`` or ``Denied``, for the leader."""

    leader_hash: Hash
    asked_ms: Milliseconds


class Resign(Value, frozen=True):
    """Answer: ``Signed[Resignation]`` or ``Denied``."""


class TakeResignation(Value, frozen=True):
    """Answer: ``Standing``."""

    resignation: Signed[Resignation]


class Drawn(Value, frozen=True):
    """The own enclave's share of the number that chooses among ``view``."""

    view: View
    signature: SignatureBytes


class Elected(Value, frozen=True):
    """The leader that follows, and this enclave's signature under it."""

    leader: Leader
    signature: SignatureBytes


class Standing(Value, frozen=True):
    """Where the enclave stands, and what it asks the others to keep."""

    recovered: bool
    floor: Term
    reserved_to: Term
    reservation: Signed[Reservation]
    newest: LeaderCertificate | None


Request: TypeAlias = (
    CastVote
    | Draw
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
    | Drawn
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
        case Draw() | Elect():
            return _elect(voter, request)
        case Keep(reservation):
            return voter.keep(reservation)
        case GrantLease(leader_hash, asked_ms):
            return voter.grant(leader_hash, asked_ms, now_ms)
        case Resign():
            return voter.resign()
        case _:
            return _change(voter, request)


def _elect(voter: Voter, request: Draw | Elect) -> Drawn | Elected | Denied:
    if isinstance(request, Draw):
        return Drawn(request.certificate.view, voter.draw(request.certificate))
    said = voter.elect(request.certificate, request.seed)
    return said if isinstance(said, Denied) else Elected(*said)


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
