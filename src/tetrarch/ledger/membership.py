"""Who makes blocks final, and how that changes: by a quorum of those who do, in steps that leave no gap. Pure.

A change is a fragment without a payer, after the certificates of its block:

    194 u8 | sequence u32 | members u32, so often: Ed25519 key 32 | signatures u32, so often: voter 32, signature 64

    pending      in a block; nothing is different yet
    both         once that block is final, as the chain knows it: certificates need a quorum of the old members and of the new
    new          once a block of that time is final: the old members are not asked any more

A branch that has not seen the change goes by the old members alone, so two branches always share a set of which each needs a
quorum, until a block is final that all others must stand upon (Buterin, Griffith, "Casper the Friendly Finality Gadget", 2017,
section 4.1, where both sets vote for a whole dynasty).

In mode Praos the members are pools that have stake, and each epoch whose stake is another is a change, without signatures.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from tetrarch.crypto.ed25519 import is_signed
from tetrarch.errors import PeerFault
from tetrarch.ledger.blocks import Fragment
from tetrarch.ledger.finality import VOTERS_MAX, Voters
from tetrarch.ledger.headers import KEY_SIZE_BYTES, SIGNATURE_SIZE_BYTES, BlockId
from tetrarch.ledger.parameters import Mode
from tetrarch.ledger.settings import settings_of
from tetrarch.ledger.tables import Draft, Table, View
from tetrarch.ledger.wire import Reader, Writer

NUMBER: Final = 194
LABEL: Final = b"tetrarch/ledger/members/1"
_ONE: Final = b""


class ChangeRefused(PeerFault):
    """A change of members that does not hold, and why."""

    code = "ledger_change_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """``previous`` are asked, too, as long as there are any; ``since``: the height of the block at which ``members`` began.

    ``sequence`` counts changes that members signed. ``pending`` is agreed on, in the block of ``pending_height``.
    """

    members: Voters
    previous: Voters | None = None
    since: int = 0
    sequence: int = 0
    pending: Voters | None = None
    pending_height: int = 0

    @property
    def is_changing(self) -> bool:
        """Nothing else may change before it is done."""
        return self.pending is not None or self.previous is not None


MEMBERSHIP: Final = Table("membership", Membership)


@dataclass(frozen=True, slots=True)
class Change:
    """Other members, and who of the present ones signed it."""

    sequence: int
    members: tuple[bytes, ...]
    signatures: Mapping[bytes, bytes] = field(default_factory=dict, repr=False)

    def to_sign(self, block0: BlockId) -> bytes:
        """What a member signs: for one chain, and once."""
        writer = Writer().raw(LABEL).raw(block0)
        _write_members(writer, self)
        return writer.data

    def check_signatures(self, block0: BlockId) -> None:
        """Whether all whom it names signed it, for this chain. Cost: 0.15 ms each.

        Raises:
            ChangeRefused: somebody did not.
        """
        signed = self.to_sign(block0)
        for voter, signature in self.signatures.items():
            if not is_signed(voter, signed, signature):
                raise ChangeRefused("verify change", voter=voter.hex())


def alike(members: Iterable[bytes]) -> Voters:
    """Members count alike."""
    return Voters(dict.fromkeys(members, 1))


def begin_membership(draft: Draft, members: Voters) -> None:
    """As the first block has them."""
    MEMBERSHIP.put(draft, _ONE, Membership(members=members))


def membership_of(view: View) -> Membership:
    """As it stands."""
    membership = MEMBERSHIP.get(view, _ONE)
    assert membership is not None, "the first block sets it"
    return membership


def voters_at(view: View, height: int) -> tuple[Voters, ...]:
    """A quorum of each is needed for a certificate whose target has that height."""
    membership = membership_of(view)
    members, previous = membership.members, membership.previous
    if previous is None:
        return (members,)
    return (previous,) if height < membership.since else (members, previous)


def is_voter(view: View, key: bytes) -> bool:
    """Whether it may vote, on this branch, now."""
    membership = membership_of(view)
    return any(
        each is not None and key in each.weights
        for each in (membership.members, membership.previous)
    )


def follow_stake(draft: Draft, voters: Voters, *, height: int) -> None:
    """An epoch in which pools vote by their stake begins, with a block of ``height``.

    It is a change like any other, in the same steps. Where one is under way, or nobody has stake, the next epoch may bring it.
    """
    membership = membership_of(draft)
    if not membership.is_changing and voters.weights and voters != membership.members:
        MEMBERSHIP.put(draft, _ONE, replace(membership, pending=voters, pending_height=height))


def apply_change(draft: Draft, change: Change, *, height: int) -> None:
    """It stands in a block of ``height``; its signatures are right.

    Raises:
        ChangeRefused: it does not hold there.
    """
    membership = membership_of(draft)
    if settings_of(draft).parameters.mode is Mode.PRAOS:
        raise ChangeRefused("change members", reason="pools vote by their stake")
    if membership.is_changing:
        raise ChangeRefused("change members", reason="the change before it is under way")
    if change.sequence != membership.sequence + 1:
        expected = membership.sequence + 1
        raise ChangeRefused("change members", sequence=change.sequence, expected=expected)
    if not 0 < len(change.members) <= VOTERS_MAX or len(set(change.members)) != len(change.members):
        raise ChangeRefused("change members", reason="there are none, too many, or one twice")
    members = alike(change.members)
    if members == membership.members:
        raise ChangeRefused("change members", reason="they are the members")
    (voters,) = voters_at(draft, height)
    weight = voters.weight(change.signatures)
    if weight < voters.needed or not voters.weights.keys() >= change.signatures.keys():
        raise ChangeRefused("change members", weight=weight, needed=voters.needed)
    changed = replace(membership, sequence=change.sequence, pending=members, pending_height=height)
    MEMBERSHIP.put(draft, _ONE, changed)


def settle_membership(draft: Draft, *, height: int, final_height: int) -> None:
    """A block of ``height`` is applied, after which the chain knows blocks to be final up to ``final_height``."""
    membership = membership_of(draft)
    if membership.pending is not None and final_height >= membership.pending_height:
        begun = Membership(
            members=membership.pending,
            previous=membership.members,
            since=height,
            sequence=membership.sequence,
        )
        MEMBERSHIP.put(draft, _ONE, begun)
    elif membership.previous is not None and final_height >= membership.since:
        MEMBERSHIP.put(draft, _ONE, replace(membership, previous=None))


def encode_change(change: Change) -> Fragment:
    """As a block has it."""
    writer = Writer().u8(NUMBER)
    _write_members(writer, change)
    writer.u32(len(change.signatures))
    for voter in sorted(change.signatures):
        writer.raw(voter).raw(change.signatures[voter])
    return Fragment(writer.data)


def is_change(fragment: Fragment) -> bool:
    """By its first byte."""
    return fragment[:1] == bytes([NUMBER])


def decode_change(data: bytes) -> Change:
    """Read one; nothing is verified.

    Raises:
        BytesInvalid: it is none.
        ChangeRefused: its voters are not in order, so that it would have another form.
    """
    reader = Reader(data, what="change of members")
    reader.u8(lowest=NUMBER, highest=NUMBER)
    sequence = reader.u32()
    members = tuple(reader.raw(KEY_SIZE_BYTES) for _ in range(reader.u32(highest=VOTERS_MAX)))
    signatures: dict[bytes, bytes] = {}
    latest = b""
    for _ in range(reader.u32(highest=VOTERS_MAX)):
        voter = reader.raw(KEY_SIZE_BYTES)
        if voter <= latest:
            raise ChangeRefused("read change", reason="its voters are not in order")
        latest = voter
        signatures[voter] = reader.raw(SIGNATURE_SIZE_BYTES)
    reader.end()
    return Change(sequence, members, signatures)


def _write_members(writer: Writer, change: Change) -> None:
    writer.u32(change.sequence).u32(len(change.members))
    for member in change.members:
        writer.raw(member)
