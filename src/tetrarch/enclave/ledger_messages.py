"""Messages by which a node has its enclave hold a ledger's keys, name its leaders' slots and sign."""

from typing import Annotated, TypeAlias

import msgspec

from tetrarch.crypto.kes import PERIODS
from tetrarch.enclave.messages import Message, Path, Root, SecretFile
from tetrarch.ledger.blocks import FRAGMENT_SIZE_BYTES_MAX
from tetrarch.ledger.finality import VOTERS_MAX
from tetrarch.ledger.headers import PRAOS_SIZE_BYTES, SIGNATURE_SIZE_BYTES
from tetrarch.ledger.keyring import LEADERS_MAX, SLICE_MAX, LeaderIs, Lottery
from tetrarch.ledger.reservations import SPAN_SIZE_BYTES_MAX, Kind

Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Slot: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
Height: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
Period: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=PERIODS)]
SpanBytes: TypeAlias = Annotated[bytes, msgspec.Meta(max_length=SPAN_SIZE_BYTES_MAX)]
HeaderBytes: TypeAlias = Annotated[bytes, msgspec.Meta(max_length=1 + PRAOS_SIZE_BYTES)]


class OpenLedger(Message, frozen=True, tag="open_ledger"):
    """Read the keys in ``folder``, or make them; ``secret`` opens their seal.

    ``block0``: the chain that they sign for from now on; None: it is not there yet, and nothing is signed.
    """

    folder: Path
    secret: SecretFile
    block0: Root | None = None
    is_shared: bool = False  # from now on, and for good, there may be copies of the keys


class AddLeader(Message, frozen=True, tag="add_leader"):
    """Make the keys of one more leader: of ``pool``, or of one in turn."""

    pool: Root | None = None


class DropLeader(Message, frozen=True, tag="drop_leader"):
    """Forget a leader's keys."""

    number: Number


class AskLeaders(Message, frozen=True, tag="leaders"):
    """Whose blocks can you sign?"""


class AskSlots(Message, frozen=True, tag="slots"):
    """In which of ``count`` slots of an epoch from ``first`` on is the pool drawn?"""

    number: Number
    lottery: Lottery
    first: Slot
    count: Annotated[int, msgspec.Meta(ge=0, le=SLICE_MAX)]


class EvolveKey(Message, frozen=True, tag="evolve"):
    """Bring a pool's evolving key to a period."""

    number: Number
    kes_period: Period


class SignHeader(Message, frozen=True, tag="sign_header"):
    """``header``: without a proof, as it travels. ``lottery`` and ``kes_period``: of a pool."""

    number: Number
    header: HeaderBytes
    lottery: Lottery | None = None
    kes_period: Period = 0


class SignLink(Message, frozen=True, tag="sign_link"):
    """Vote for a link from ``source`` to ``target``: heights, and blocks."""

    source_height: Height
    source_block: Root
    target_height: Height
    target_block: Root


class SignChange(Message, frozen=True, tag="sign_change"):
    """Agree to other members of the chain; ``sequence``: of the change."""

    sequence: Slot
    members: Annotated[tuple[Root, ...], msgspec.Meta(max_length=VOTERS_MAX)]


class SignFragment(Message, frozen=True, tag="sign_fragment"):
    """Say something as a voter; ``fragment``: all of it but the signature."""

    fragment: Annotated[bytes, msgspec.Meta(max_length=FRAGMENT_SIZE_BYTES_MAX)]


class AskSpan(Message, frozen=True, tag="ask_span"):
    """Ask for a span to be reserved for this life; ``kind`` as it is on the wire."""

    kind: Annotated[int, msgspec.Meta(ge=0, lt=len(Kind))]
    first: Height
    until: Height


class GrantSpan(Message, frozen=True, tag="grant_span"):
    """Keep a span for who asked; ``request`` as it travels."""

    request: SpanBytes


class VotersAre(Message, frozen=True, tag="voters_are"):
    """Who may vote, with what weight."""

    weights: Annotated[dict[Root, Number], msgspec.Meta(max_length=VOTERS_MAX)]
    by_stake: bool


class HoldSpan(Message, frozen=True, tag="hold_span"):
    """A quorum of each of ``voters`` keeps a span for this life; ``receipts`` as they travel."""

    receipts: Annotated[tuple[SpanBytes, ...], msgspec.Meta(max_length=VOTERS_MAX)]
    voters: Annotated[tuple[VotersAre, ...], msgspec.Meta(min_length=1, max_length=2)]


class SpanAnswered(Message, frozen=True, tag="span_answered"):
    """The request, or the receipt, as it travels."""

    content: SpanBytes


class LedgerOpened(Message, frozen=True, tag="ledger_opened"):
    """``voter``: the public key that votes. ``is_shared``: there may be copies."""

    voter: Root
    is_shared: bool
    leaders: Annotated[tuple[LeaderIs, ...], msgspec.Meta(max_length=LEADERS_MAX)]


class SlotsDrawn(Message, frozen=True, tag="slots_drawn"):
    """Of those that were asked for."""

    slots: Annotated[tuple[Slot, ...], msgspec.Meta(max_length=SLICE_MAX)]


class HeaderSigned(Message, frozen=True, tag="header_signed"):
    """As it travels."""

    header: HeaderBytes


class LinkSigned(Message, frozen=True, tag="link_signed"):
    """Of the vote, the change, or the fragment."""

    signature: Annotated[
        bytes, msgspec.Meta(min_length=SIGNATURE_SIZE_BYTES, max_length=SIGNATURE_SIZE_BYTES)
    ]


LedgerCall: TypeAlias = (
    OpenLedger
    | AddLeader
    | DropLeader
    | AskLeaders
    | AskSlots
    | EvolveKey
    | SignHeader
    | SignLink
    | SignChange
    | SignFragment
    | AskSpan
    | GrantSpan
    | HoldSpan
)
LedgerAnswer: TypeAlias = LedgerOpened | SlotsDrawn | HeaderSigned | LinkSigned | SpanAnswered
