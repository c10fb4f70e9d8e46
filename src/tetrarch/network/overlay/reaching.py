"""Dials one node and talks with it until the link ends: along our own service, or the reference's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from tetrarch.errors import PeerFault
from tetrarch.network.faults import StreamBroken
from tetrarch.network.overlay.addresses import Address
from tetrarch.network.overlay.conduct import Fault
from tetrarch.network.overlay.dialling import dialled
from tetrarch.network.overlay.links import LinkedAlready
from tetrarch.network.overlay.meeting import meet_as_dialer
from tetrarch.network.overlay.profile import NodeId, Profile
from tetrarch.network.overlay.reference.dialled import DialledReference, connected, shake_hands
from tetrarch.network.overlay.settings import TrustedPeer
from tetrarch.network.overlay.wires import Wires
from tetrarch.observability.logs import Log


class NodeShutOut(PeerFault):
    """A node that was put aside or banned wants to talk; its time has not come."""

    code = "overlay_node_shut_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom to dial, as far as it is known before. ``certificate``: SHA-256, empty or None for any."""

    address: Address
    node: NodeId | None
    certificate: bytes | None
    secured: bool
    is_extended: bool

    @classmethod
    def of_profile(cls, profile: Profile) -> Self:
        """As a node described itself."""
        return cls(
            address=profile.address,
            node=profile.node,
            certificate=profile.certificate,
            secured=bool(profile.certificate),
            is_extended=profile.is_extended,
        )

    @classmethod
    def of_peer(cls, peer: TrustedPeer) -> Self:
        """As the operator said."""
        return cls(
            address=peer.address,
            node=peer.node,
            certificate=peer.certificate,
            secured=peer.secured,
            is_extended=peer.is_extended,
        )


class Reaching:
    """``met`` raises a PeerFault for whom we do not talk with: node, and whether along our own service."""

    def __init__(
        self,
        wires: Wires,
        *,
        is_extended: bool,
        met: Callable[[NodeId, bool], None],
        blame: Callable[[NodeId, Fault, PeerFault], None],
        log: Log,
    ) -> None:
        self._wires = wires
        self._is_extended = is_extended
        self._met = met
        self._blame = blame
        self._log = log

    async def talk(self, target: Target) -> bool:
        """Dial, meet, and talk until the link ends. Returns whether somebody showed who it is."""
        reached: list[NodeId] = []
        address = str(target.address)
        try:
            if target.is_extended and self._is_extended:
                await self._talk_extended(target, reached)
            else:
                await self._talk_as_reference(target, reached)
        except LinkedAlready:
            return True
        except (StreamBroken, NodeShutOut) as broken:
            self._log.debug("overlay_link_ended", address=address, reason=str(broken))
        except PeerFault as fault:
            self._log.info("overlay_peer_refused", address=address, reason=str(fault))
            if target.node is not None:
                self._blame(target.node, Fault.PROTOCOL, fault)
        return bool(reached)

    async def _talk_extended(self, target: Target, reached: list[NodeId]) -> None:
        async with dialled(
            target.address, secured=target.secured, pinned=target.certificate or None
        ) as open_:
            theirs = await meet_as_dialer(
                open_.stream,
                self._wires.introduction,
                certificate=open_.certificate,
                expected=target.node,
            )
            node = NodeId(theirs.node)
            reached.append(node)
            self._met(node, True)
            await self._wires.links.serve(node, open_.stream, dialled=True)

    async def _talk_as_reference(self, target: Target, reached: list[NodeId]) -> None:
        async with connected(target.address) as channel:
            node, latency_s = await shake_hands(
                channel, self._wires.introduction, expected=target.node
            )
            reached.append(node)
            self._met(node, False)
            carrier = self._wires.reference_carrier(node, latency_s=latency_s)
            link = DialledReference(channel, carrier, self._wires.chain)
            await self._wires.links.carry(node, link, dialled=True)
