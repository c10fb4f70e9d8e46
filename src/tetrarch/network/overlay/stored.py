"""What is kept of the nodes across a restart, as bytes. Pure.

A node that was put aside or banned stays so; a node that was known is dialled first, before anybody has
gossiped. Records are signed, so a database that somebody else wrote names no false node.
"""

from typing import Annotated, TypeAlias, TypeVar

import msgspec

from tetrarch.decoding import UNDECODABLE
from tetrarch.errors import OperatorError
from tetrarch.network.conduct import EVENTS_MAX, Conduct, Fault, Tip
from tetrarch.network.overlay.nodes import Ban, Nodes
from tetrarch.network.overlay.profile import (
    PROFILE_MAX_BYTES,
    NodeId,
    ProfileInvalid,
    Topic,
    check_signature,
    decode_profile,
)
from tetrarch.network.overlay.quarantines import Quarantine
from tetrarch.network.overlay.spreading import ItemId

_T = TypeVar("_T")
_FAULTS = {fault.label: fault for fault in Fault}
_Record: TypeAlias = Annotated[bytes, msgspec.Meta(max_length=PROFILE_MAX_BYTES)]


class StoredNodeDamaged(OperatorError):
    """A row of the overlay's database cannot be read."""

    code = "overlay_stored_node_damaged"
    exit_code = 65
    mend = "remove the overlay's database: nodes are found again, and bans must be set again"


class StoredConduct(msgspec.Struct, frozen=True, array_like=True):
    """See ``Conduct``."""

    since_s: float
    failures_s: tuple[float, ...]
    faults: tuple[tuple[float, str], ...]
    met_s: float | None
    latency_s: float | None
    last_message_s: dict[bytes, float]
    contributions: int
    tip: tuple[bytes, int, float] | None


class StoredQuarantine(msgspec.Struct, frozen=True, array_like=True):
    """See ``Quarantine``."""

    since_s: float
    until_s: float
    reason: str
    ended: bool


class StoredNode(msgspec.Struct, frozen=True, array_like=True):
    """One node that is not forgotten."""

    record: _Record
    conduct: StoredConduct
    times_quarantined: int
    quarantine: StoredQuarantine | None


class StoredBan(msgspec.Struct, frozen=True, array_like=True):
    """See ``Ban``."""

    reason: str
    since_s: float


_node_decoder = msgspec.msgpack.Decoder(StoredNode)
_ban_decoder = msgspec.msgpack.Decoder(StoredBan)


def rows_of(nodes: Nodes) -> dict[NodeId, bytes]:
    """What to keep of each node that is not forgotten and said where it is. Some 5 µs a node."""
    stored = ((node, _stored(nodes, node)) for node in nodes)
    return {node: msgspec.msgpack.encode(each) for node, each in stored if each.record}


def ban_rows_of(nodes: Nodes) -> dict[NodeId, bytes]:
    """What to keep of each ban."""
    return {
        node: msgspec.msgpack.encode(StoredBan(ban.reason, ban.since_s))
        for node, ban in nodes.bans.items()
    }


def restore(
    nodes: Nodes, rows: dict[NodeId, bytes], bans: dict[NodeId, bytes], *, now_s: float
) -> None:
    """Put what was kept into ``nodes``, which are empty.

    Raises:
        StoredNodeDamaged: a row is none.
    """
    for node, row in bans.items():
        ban = _decoded(_ban_decoder, row)
        nodes.restore_ban(node, Ban(ban.reason, ban.since_s))
    for row in rows.values():
        stored = _decoded(_node_decoder, row)
        try:
            profile = decode_profile(stored.record)
            check_signature(profile)
        except ProfileInvalid as error:
            raise StoredNodeDamaged("read stored node", reason=error) from None
        kept = stored.quarantine
        quarantine = (
            None
            if kept is None
            else Quarantine(profile, kept.since_s, kept.until_s, kept.reason, kept.ended)
        )
        nodes.restore(
            profile,
            _conduct(stored.conduct),
            times_quarantined=stored.times_quarantined,
            quarantine=quarantine,
            now_s=now_s,
        )


def _stored(nodes: Nodes, node: NodeId) -> StoredNode:
    quarantine = nodes.quarantined.get(node)
    profile = nodes.known.profiles[node] if quarantine is None else quarantine.profile
    conduct = nodes.conduct(node) or Conduct(0.0)
    return StoredNode(
        record=profile.record,
        conduct=StoredConduct(
            since_s=conduct.since_s,
            failures_s=tuple(conduct.failures_s),
            faults=tuple((at_s, fault.label) for at_s, fault in conduct.faults),
            met_s=conduct.met_s,
            latency_s=conduct.latency_s,
            last_message_s={bytes(topic): at_s for topic, at_s in conduct.last_message_s.items()},
            contributions=conduct.contributions,
            tip=None
            if conduct.tip is None
            else (conduct.tip.block, conduct.tip.height, conduct.tip.told_s),
        ),
        times_quarantined=nodes.times_quarantined(node),
        quarantine=None
        if quarantine is None
        else StoredQuarantine(
            quarantine.since_s, quarantine.until_s, quarantine.reason, quarantine.ended
        ),
    )


def _conduct(stored: StoredConduct) -> Conduct[Topic]:
    tip = stored.tip
    return Conduct(
        since_s=stored.since_s,
        failures_s=list(stored.failures_s[-EVENTS_MAX:]),
        faults=[(at_s, _FAULTS[label]) for at_s, label in stored.faults if label in _FAULTS][
            -EVENTS_MAX:
        ],
        met_s=stored.met_s,
        latency_s=stored.latency_s,
        last_message_s={Topic(topic): at_s for topic, at_s in stored.last_message_s.items()},
        contributions=stored.contributions,
        tip=None if tip is None else Tip(ItemId(tip[0]), tip[1], tip[2]),
    )


def _decoded(decoder: "msgspec.msgpack.Decoder[_T]", row: bytes) -> _T:
    try:
        return decoder.decode(row)
    except UNDECODABLE as error:
        raise StoredNodeDamaged("read stored node", reason=error) from None
