"""What members sign in an election, as values and as the bytes that are signed. Pure.

Every statement begins with a domain of its own and carries the configuration's hash: it can be
taken neither for another kind, nor for another cluster's, nor for one of other rules.
"""

import hashlib
from functools import cached_property
from typing import Annotated, Generic, Protocol, TypeVar

import msgspec

from tetrarch.election.quorums import MEMBERS_MAX
from tetrarch.election.values import (
    BOOT_SIZE_BYTES,
    COUNT_MAX,
    HASH_SIZE_BYTES,
    Boot,
    Count,
    Hash,
    Index,
    Indices,
    Milliseconds,
    Seed,
    SignatureBytes,
    Term,
    Value,
)
from tetrarch.errors import InputInvalid

TERM_MAX = COUNT_MAX
INCARNATION_MAX = COUNT_MAX
KEPT_MAX = 2 * MEMBERS_MAX  # two of each member
NOTHING_BEFORE = bytes(HASH_SIZE_BYTES)
_VIEW = b"tetrarch/election/1/view"
_VOTE = b"tetrarch/election/1/vote"
_LEADER = b"tetrarch/election/1/leader"
_SEED = b"tetrarch/election/1/seed"
_RESERVATION = b"tetrarch/election/1/reservation"
_RECEIPT = b"tetrarch/election/1/receipt"
_GRANT = b"tetrarch/election/1/grant"
_RESIGNATION = b"tetrarch/election/1/resignation"
_HANDOVER = b"tetrarch/election/1/handover"


class Signing(Protocol):
    """One enclave's own key."""

    def sign(self, data: bytes) -> bytes:
        """The signature of this enclave under ``data``."""
        ...


class Verifying(Protocol):
    """The keys of all members."""

    def verify(self, source: int, data: bytes, signature: bytes) -> bool:
        """Whether the member with index ``source`` signed ``data``."""
        ...


class View(Value, frozen=True, dict=True):
    """Who is alive in ``term``.

    ``previous``: the hash of the newest leader before, if any; ``vacated``: that one has resigned.
    """

    configuration_hash: Hash
    term: Term
    members: Indices  # ascending
    previous: Hash = NOTHING_BEFORE
    vacated: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.term <= TERM_MAX:
            raise InputInvalid("build view", field="term", got=self.term)
        ascending = list(self.members) == sorted(set(self.members))
        if not self.members or not ascending or not self.members[0] >= 0:
            raise InputInvalid("build view", field="members", expected="indices, ascending")
        if self.members[-1] >= MEMBERS_MAX:
            raise InputInvalid("build view", field="members", expected="indices, ascending")
        if len(self.previous) != HASH_SIZE_BYTES or len(self.configuration_hash) != HASH_SIZE_BYTES:
            raise InputInvalid("build view", field="previous", expected_bytes=HASH_SIZE_BYTES)

    @cached_property
    def hash(self) -> bytes:
        """32 bytes over everything."""
        bitmap = sum(1 << member for member in self.members).to_bytes(MEMBERS_MAX // 8, "big")
        return hashlib.sha256(
            b"".join(
                (
                    _VIEW,
                    self.configuration_hash,
                    _u64(self.term),
                    self.previous,
                    bytes([self.vacated]),
                    bitmap,
                )
            )
        ).digest()


def seed_bytes(view: View) -> bytes:
    """What the members' shared key signs to draw the number that chooses among ``view``."""
    return _SEED + view.hash


class Vote(Value, frozen=True):
    """A member holds ``view`` for right; at most one in a term and incarnation."""

    view: View
    source: Index
    incarnation: Count

    @property
    def signing_bytes(self) -> bytes:
        """What the enclave signs."""
        return _VOTE + self.view.hash + _u16(self.source) + _u64(self.incarnation)


class Leader(Value, frozen=True):
    """What follows from a certified view. ``seed``: the beacon's number, empty by other rules."""

    view: View
    leader: Index
    seed: Seed = b""

    @property
    def hash(self) -> bytes:
        """32 bytes over everything: the ``previous`` of later views."""
        return hashlib.sha256(self.signing_bytes).digest()

    @property
    def signing_bytes(self) -> bytes:
        """What every enclave signs."""
        seed_hash = hashlib.sha256(self.seed).digest()
        return _LEADER + self.view.hash + _u16(self.leader) + seed_hash


class Reservation(Value, frozen=True):
    """Of an enclave, this life may vote in terms up to ``reserved_to``, and no former one may.

    ``boot``: 32 random bytes, drawn at every start: two copies of one sealed state differ in it.
    """

    configuration_hash: Hash
    source: Index
    incarnation: Count
    boot: Boot
    reserved_to: Term

    def __post_init__(self) -> None:
        if not 0 < self.incarnation <= INCARNATION_MAX or not 0 <= self.reserved_to <= TERM_MAX:
            raise InputInvalid("build reservation", incarnation=self.incarnation)
        if len(self.boot) != BOOT_SIZE_BYTES:
            raise InputInvalid("build reservation", field="boot", expected_bytes=BOOT_SIZE_BYTES)

    @property
    def signing_bytes(self) -> bytes:
        """What the enclave signs."""
        return b"".join(
            (
                _RESERVATION,
                self.configuration_hash,
                _u16(self.source),
                _u64(self.incarnation),
                self.boot,
                _u64(self.reserved_to),
            )
        )


class Receipt(Value, frozen=True):
    """``source`` keeps ``reservation`` from now on.

    ``kept``: what it keeps of the others, for who lost its own memory. ``recovered``: its own
    memory is whole. An old receipt proves nothing to a later life: reservations differ in ``boot``.
    """

    source: Index
    reservation: Reservation
    recovered: bool
    kept: "Annotated[tuple[Signed[Reservation], ...], msgspec.Meta(max_length=KEPT_MAX)]" = ()

    @property
    def signing_bytes(self) -> bytes:
        """What the enclave signs."""
        kept = hashlib.sha256()
        for signed in self.kept:
            kept.update(signed.what.signing_bytes)
        return b"".join(
            (
                _RECEIPT,
                _u16(self.source),
                bytes([self.recovered]),
                self.reservation.signing_bytes,
                kept.digest(),
            )
        )


class Grant(Value, frozen=True):
    """``source`` votes for no later leader for as long as the lease lasts from ``asked_ms`` on.

    ``asked_ms`` is of the leader's own clock, and means nothing to anybody else.
    """

    leader_hash: Hash
    source: Index
    asked_ms: Milliseconds

    @property
    def signing_bytes(self) -> bytes:
        """What the enclave signs."""
        return _GRANT + self.leader_hash + _u16(self.source) + _u64(self.asked_ms)


class Resignation(Value, frozen=True):
    """The leader itself gives up its lease."""

    leader_hash: Hash
    source: Index

    @property
    def signing_bytes(self) -> bytes:
        """What the enclave signs."""
        return _RESIGNATION + self.leader_hash + _u16(self.source)


class Handover(Value, frozen=True):
    """``source`` votes no more, so that the configuration ``next_hash`` may follow.

    ``last_term``: it voted for nothing above, in this life or a former one.
    """

    configuration_hash: Hash
    next_hash: Hash
    source: Index
    last_term: Term

    @property
    def signing_bytes(self) -> bytes:
        """What the enclave signs."""
        hashes = self.configuration_hash + self.next_hash
        return _HANDOVER + hashes + _u16(self.source) + _u64(self.last_term)


class Statement(Protocol):
    """What one member says."""

    @property
    def source(self) -> int:
        """Its index."""
        ...

    @property
    def signing_bytes(self) -> bytes:
        """What its enclave signs."""
        ...


S = TypeVar("S", bound=Statement)


class Signed(Value, Generic[S], frozen=True):
    """A statement with its source's signature."""

    what: S
    signature: SignatureBytes

    def is_genuine(self, keys: Verifying) -> bool:
        """Whether its source signed it. Cost: one signature check."""
        return keys.verify(self.what.source, self.what.signing_bytes, self.signature)


def _u16(number: int) -> bytes:
    return number.to_bytes(2, "big")


def _u64(number: int) -> bytes:
    return number.to_bytes(8, "big")
