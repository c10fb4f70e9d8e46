"""What an operator may do to a running node of the overlay: ban, let in again, dial."""

from typing import Annotated, Any, TypeAlias

import msgspec

from tetrarch.api.overlay_views import NODE_DIGITS, find_node
from tetrarch.errors import ConfigInvalid, InputInvalid
from tetrarch.network.overlay.overlay import Overlay
from tetrarch.network.overlay.profile import NodeId
from tetrarch.network.overlay.settings import read_trusted
from tetrarch.observability.controls import Control

# Shown in terminals and logs: printable characters only.
Line: TypeAlias = Annotated[str, msgspec.Meta(max_length=255, pattern=r"^[ -~]*\Z")]
Digits: TypeAlias = Annotated[str, msgspec.Meta(max_length=66, pattern=r"^(0x)?[0-9a-fA-F]*\Z")]
WHY_NOT_LENGTH_MAX = 255


class Ban(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``node``: the first digits of a known one's id, or all of any."""

    node: Digits
    reason: Line = ""


class Unban(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``node``: the first digits of a banned one's id, or all."""

    node: Digits


class Connect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``peer``: an address, perhaps with a node id and a certificate's SHA-256, as a trusted peer."""

    peer: Line


def overlay_controls(overlay: Overlay) -> dict[str, Control[Any]]:
    """By the paths at which the monitoring listener serves them."""

    async def ban(asked: Ban) -> object:
        node = _named(asked.node) or find_node(overlay.machine.nodes.everybody(), asked.node)
        if node == overlay.identity.node:
            raise InputInvalid("ban node", reason="it is this node itself")
        await overlay.ban(node, asked.reason or "by the operator")
        return {"node": node.hex(), "banned": True}

    async def unban(asked: Unban) -> object:
        node = _named(asked.node) or find_node(overlay.machine.nodes.bans, asked.node)
        return {"node": node.hex(), "was_banned": await overlay.unban(node)}

    async def connect(asked: Connect) -> object:
        try:
            peer = read_trusted(asked.peer, plain=overlay.settings.is_plain)
        except ConfigInvalid as error:
            raise InputInvalid(error.action, **error.fields) from None
        outcome = await overlay.connect(peer)
        return {
            "address": str(peer.address),
            "node": None if outcome.node is None else outcome.node.hex(),
            "linked": not outcome.why_not,
            "why_not": _printable(outcome.why_not),
        }

    return {
        "overlay/ban": Control(Ban, ban),
        "overlay/unban": Control(Unban, unban),
        "overlay/connect": Control(Connect, connect),
    }


def _named(text: str) -> NodeId | None:
    """The node whose whole id ``text`` is, known or not."""
    digits = text.lower().removeprefix("0x")
    return NodeId(bytes.fromhex(digits)) if len(digits) == NODE_DIGITS else None


def _printable(text: str) -> str:
    """Its parts may be the other node's words."""
    shown = "".join(each if " " <= each <= "~" else "?" for each in text)
    return shown[:WHY_NOT_LENGTH_MAX]
