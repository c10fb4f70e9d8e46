"""What members send each other in an election, beside the signed statements. Pure.

The transport says who sent a message; what must be proven to others carries its own signature.
"""

from typing import TypeAlias

from tetrarch.election.certificates import LeaderCertificate
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
from tetrarch.election.values import Count, Indices, Milliseconds, SignatureBytes, Term, Value
from tetrarch.election.witnesses import Kept


class Heartbeat(Value, frozen=True):
    """The sender is there. It repeats all of what it says, so a lost one costs nothing.

    ``down``: whom it does not hear; ``echoed``: whom it gives up because others do not hear them
    (see ``tally``). ``newest_term``: of the newest leader that it knows. ``votes_from``: the first
    term that its enclave may vote in; 0 while it recovers.
    ``lease_from_ms``: the leader asks for a lease from this moment of its own clock on.
    """

    sequence: Count
    down: Indices = ()
    echoed: Indices = ()
    newest_term: Term = 0
    votes_from: Term = 0
    lease_from_ms: Milliseconds | None = None


class LeaderSignature(Value, frozen=True):
    """The sender's enclave derived ``leader`` from a certified view."""

    leader: Leader
    signature: SignatureBytes


class SeedShare(Value, frozen=True):
    """The sender's share of the number that chooses among a certified view (rule ``beacon``)."""

    view: View
    signature: SignatureBytes


class Suggestion(Value, frozen=True):
    """The term's coordinator suggests a view, where lists did not become equal by themselves."""

    view: View


Message: TypeAlias = (
    Heartbeat
    | Suggestion
    | LeaderSignature
    | SeedShare
    | LeaderCertificate
    | Kept
    | Signed[Vote]
    | Signed[Reservation]
    | Signed[Receipt]
    | Signed[Grant]
    | Signed[Resignation]
)
