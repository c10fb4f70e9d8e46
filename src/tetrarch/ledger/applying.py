"""Blocks upon blocks: whether one may follow another, and the state that it leaves. Pure.

link      parent, length and date follow; the slot is one of its epoch
epoch     where a new one begins: rewards, retirements, the snapshot
leader    its maker proves that the slot is his
state     if it is to say what state it found, it found that
content   every fragment holds, in order
nonce     what was drawn for it is hashed into it
"""

from dataclasses import dataclass
from itertools import takewhile

from tetrarch.crypto.ristretto import Point
from tetrarch.errors import PeerFault
from tetrarch.ledger.blocks import LENGTH_SIZE_BYTES, Block, Fragment
from tetrarch.ledger.checkpoints import (
    OF_BLOCK_MAX,
    apply_certificate,
    begin_checkpoints,
    decode_certificate,
    is_certificate,
    note_ancestor,
    standing_of,
)
from tetrarch.ledger.dates import BlockDate, DateInvalid
from tetrarch.ledger.elections import (
    Election,
    apply_election,
    decode_election,
    elected_of,
    is_election,
)
from tetrarch.ledger.epochs import (
    begin_epoch,
    count_block,
    nonce_of,
    put_nonce,
    snapshot_for,
    stake_voters,
)
from tetrarch.ledger.finality import Checkpoint
from tetrarch.ledger.fragments.kind import where_upon
from tetrarch.ledger.fragments.signed import apply_fragment, check_signature, decode_fragment
from tetrarch.ledger.genesis import begin_state, read_genesis
from tetrarch.ledger.headers import BlockId, Header, PraosProof
from tetrarch.ledger.leaders import BftLeaders, Leaders, PraosLeaders, verify
from tetrarch.ledger.membership import (
    apply_change,
    decode_change,
    follow_stake,
    is_change,
    settle_membership,
)
from tetrarch.ledger.parameter_votes import begin_parameters, parameters_for
from tetrarch.ledger.parameters import Mode
from tetrarch.ledger.praos import evolve, stir
from tetrarch.ledger.settings import Settings, settings_of
from tetrarch.ledger.state_chunks import digest_of
from tetrarch.ledger.state_digest import (
    decode_digest,
    encode_digest,
    is_digest,
    is_due,
    note_digested,
)
from tetrarch.ledger.tables import Base, Draft, Layer, View, first_layer


class BlockRefused(PeerFault):
    """A block that may not stand where it says."""

    code = "block_refused"


@dataclass(frozen=True, slots=True)
class Place:
    """A block that holds, and what can be seen from it."""

    block0: BlockId
    id: BlockId
    header: Header
    layer: Layer

    @property
    def settings(self) -> Settings:
        """As they are after it."""
        return settings_of(self.layer)

    @property
    def checkpoint(self) -> Checkpoint:
        """It, as members vote for it."""
        return Checkpoint(self.header.chain_length, self.id)

    @property
    def slot(self) -> int:
        """Its own, of the chain."""
        return self.settings.era.slot(self.header.date)


def first_place(block0: Block, base: Base) -> Place:
    """Where a chain begins: its first block is final, and lies in ``base``, which is empty.

    Raises:
        GenesisInvalid, ParametersInvalid, BytesInvalid: the block is no chain's first.
    """
    genesis = read_genesis(block0)
    draft = first_layer(base).draft()
    begin_state(draft, genesis)
    begin_checkpoints(draft, block0.header.id)
    base.take(draft.changes)
    return Place(block0.header.id, block0.header.id, block0.header, first_layer(base))


def apply_block(parent: Place, block: Block) -> Place:
    """The block after ``parent``. Cost: that of its leader's proof, and 0.2 ms a fragment.

    Raises:
        BlockRefused, LeaderRefused, FragmentRefused or another PeerFault: it does not hold, and why.
    """
    header = block.header
    check_link(parent, header)
    draft = draft_upon(parent, header.date)
    content = split_content(block)
    maximum = settings_of(draft).parameters.content_size_bytes_max
    if content.paid_size_bytes > maximum:
        raise BlockRefused("apply block", content_bytes=content.paid_size_bytes, maximum=maximum)
    _apply_elections(draft, content.elections, parent.block0)
    leaders = leaders_of(draft, header.date.epoch)
    if leaders is None:
        raise BlockRefused("apply block", reason="nobody may make blocks in its epoch")
    point = verify(leaders, header)
    _check_digest(parent, header, draft, content.digests)
    _apply_content(draft, content, header, parent.block0)
    final_height = standing_of(draft).final.height
    settle_membership(draft, height=header.chain_length, final_height=final_height)
    _count(draft, header, point)
    return Place(parent.block0, header.id, header, parent.layer.above(draft.changes))


def draft_upon(parent: Place, date: BlockDate) -> Draft:
    """The state that a block of ``date`` begins with, before its content."""
    draft = parent.layer.draft()
    enter_epoch(draft, parent.header, date)
    note_ancestor(draft, parent.checkpoint)
    return draft


def check_link(parent: Place, header: Header) -> None:
    """Whether a header may follow ``parent``, whoever made it.

    Raises:
        BlockRefused: it may not.
    """
    before = parent.header
    if header.parent != parent.id:
        raise BlockRefused("link block", parent=header.parent.hex(), expected=parent.id.hex())
    if header.chain_length != before.chain_length + 1:
        expected = before.chain_length + 1
        raise BlockRefused("link block", chain_length=header.chain_length, expected=expected)
    if header.date <= before.date:
        raise BlockRefused("link block", date=str(header.date), after=str(before.date))
    try:
        parent.settings.era.slot(header.date)
    except DateInvalid as error:
        raise BlockRefused("link block", **error.fields) from None


def enter_epoch(draft: Draft, parent: Header, date: BlockDate) -> None:
    """If ``date`` is in another epoch than the block before it, that one begins."""
    before = parent.date.epoch
    if date.epoch <= before:
        return
    begin_epoch(draft, before, date.epoch, settings_of(draft).parameters.rewards)
    begin_parameters(draft, date.epoch)
    if settings_of(draft).parameters.mode is Mode.PRAOS:
        snapshot = snapshot_for(draft, date.epoch)
        if snapshot is not None:
            follow_stake(draft, stake_voters(snapshot), height=parent.chain_length + 1)


def digest_for(parent: Place, date: BlockDate) -> Fragment | None:
    """What a block of ``date`` upon ``parent`` is to say of the state; None: nothing."""
    if not is_due(parent.layer, parent.header.date, date):
        return None
    return encode_digest(digest_of(parent.layer))


def with_election(draft: Draft, election: Election | None) -> Draft:
    """A state as a block would have it that carries ``election``, which is news there."""
    if election is not None:
        apply_election(draft, election)
    return draft


def leaders_of(view: View, epoch: int) -> Leaders | None:
    """Who may make an epoch's blocks, as seen from a block of it or of the one before; None: nobody."""
    settings = settings_of(view)
    parameters = parameters_for(view, epoch)
    if parameters.mode is Mode.ELECTED:
        elected = elected_of(view)
        if elected is None:
            return None
        alone = settings.leaders[elected.member]
        return BftLeaders(epoch=epoch, era=settings.era, leaders=(alone,))
    if parameters.mode is Mode.BFT:
        if not settings.leaders:
            return None
        return BftLeaders(
            epoch=epoch, era=settings.era, leaders=settings.leaders, compat=parameters.compat
        )
    snapshot = snapshot_for(view, epoch)
    if snapshot is None:
        return None
    return PraosLeaders(
        epoch=epoch,
        era=settings.era,
        nonce=snapshot.nonce,
        coefficient_milli=parameters.coefficient_milli,
        slots_per_kes_period=parameters.slots_per_kes_period,
        pools=snapshot.pools,
    )


@dataclass(frozen=True, slots=True)
class Content:
    """A block's fragments by what they are; they stand in this order. ``paid``: what accounts paid for.

    Of the others there are some at most, and a quorum signed them: they take no room that the parameters give. Else a chain
    whose certificates are larger than that could never make one block more.
    """

    elections: tuple[Fragment, ...]
    digests: tuple[Fragment, ...]  # of the state
    certificates: tuple[Fragment, ...]
    changes: tuple[Fragment, ...]  # of members
    paid: tuple[Fragment, ...]

    @property
    def paid_size_bytes(self) -> int:
        """What the parameters bound."""
        return sum(LENGTH_SIZE_BYTES + len(each) for each in self.paid)


def split_content(block: Block) -> Content:
    """Of a block that is not the first."""
    rest = block.fragments
    found = []
    for is_one in (is_election, is_digest, is_certificate, is_change):
        found.append(tuple(takewhile(is_one, rest)))
        rest = rest[len(found[-1]) :]
    elections, digests, certificates, changes = found
    return Content(elections, digests, certificates, changes, rest)


def _apply_elections(draft: Draft, elections: tuple[Fragment, ...], block0: BlockId) -> None:
    """Who is elected may make this very block."""
    if len(elections) > 1:
        raise BlockRefused("apply block", elections=len(elections), maximum=1)
    for data in elections:
        election = decode_election(data, draft)
        election.check_signatures(block0)
        apply_election(draft, election)


def _check_digest(
    parent: Place, header: Header, draft: Draft, digests: tuple[Fragment, ...]
) -> None:
    """After its maker's proof: who is no leader makes nobody reckon."""
    due = is_due(parent.layer, parent.header.date, header.date)
    if len(digests) != due:
        raise BlockRefused("apply block", state_digests=len(digests), expected=int(due))
    for data in digests:
        if decode_digest(data) != digest_of(parent.layer):
            raise BlockRefused("apply block", reason="the state before it is another")
        note_digested(draft, height=header.chain_length)


def _apply_content(draft: Draft, content: Content, header: Header, block0: BlockId) -> None:
    """All other fragments of a block, in their order."""
    height = header.chain_length
    where = where_upon(draft, header.date, height=height, block0=block0)
    if len(content.certificates) > OF_BLOCK_MAX:
        count = len(content.certificates)
        raise BlockRefused("apply block", certificates=count, maximum=OF_BLOCK_MAX)
    if len(content.changes) > 1:
        raise BlockRefused("apply block", changes_of_members=len(content.changes), maximum=1)
    for data in content.certificates:
        certificate = decode_certificate(data)
        certificate.check_signatures(block0)
        apply_certificate(draft, certificate, height=height)
    for data in content.changes:
        change = decode_change(data)
        change.check_signatures(block0)
        apply_change(draft, change, height=height)
    for data in content.paid:
        fragment = decode_fragment(data)
        check_signature(fragment, block0)
        apply_fragment(draft, fragment, size_bytes=len(data), where=where)


def _count(draft: Draft, header: Header, point: Point | None) -> None:
    if isinstance(header.proof, PraosProof) and point is not None:
        put_nonce(draft, evolve(nonce_of(draft), point))
        count_block(draft, header.proof.pool)
    else:  # by stake the first epoch must go by what nobody knew when keys were chosen
        put_nonce(draft, stir(nonce_of(draft), header.id))
