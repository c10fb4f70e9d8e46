"""Dials one node and talks with it until the link ends: along our own service, or the reference's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from tetrarch.errors import PeerFault, TetrarchError
from tetrarch.network.faults import StreamBroken
from tetrarch.network.overlay.addresses import Address
from tetrarch.network.overlay.dialling import dialled, talk_stream
from tetrarch.network.overlay.links import LinkedAlready
from tetrarch.network.overlay.meeting import Met, NodeShutOut, meet_as_dialer
from tetrarch.network.overlay.profile import NodeId, Profile
from tetrarch.network.overlay.reference.dialled import (
    DialledReference,
    see_who_is_there,
    shake_hands,
)
from tetrarch.network.overlay.settings import TrustedPeer
from tetrarch.network.overlay.wires import Wires
from tetrarch.observability.logs import Log


@dataclass(frozen=True, slots=True)
class Talk:
    """One that we dialled for, and is over. ``node`` showed who it is, ``error`` ended it.

    Without an error another stream with the node stays.
    """

    node: NodeId | None
    error: TetrarchError | None


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
    """``met`` raises a PeerFault for whom we do not talk with."""

    def __init__(
        self,
        wires: Wires,
        *,
        is_extended: bool,
        met: Callable[[Met], None],
        log: Log,
    ) -> None:
        self._wires = wires
        self._is_extended = is_extended
        self._met = met
        self._log = log

    async def talk(
        self, target: Target, *, on_met: Callable[[NodeId], object] = lambda _: None
    ) -> Talk:
        """Dial, meet, and talk until the link ends. ``on_met`` hears who answered."""
        nodes: list[NodeId] = []
        address = str(target.address)

        def note(met: Met) -> None:
            nodes.append(met.node)
            self._met(met)
            on_met(met.node)

        error: TetrarchError | None = None
        try:
            if target.is_extended and self._is_extended:
                await self._talk_extended(target, note)
            else:
                await self._talk_as_reference(target, note)
        except LinkedAlready:
            pass
        except (StreamBroken, NodeShutOut) as ended:
            self._log.debug("overlay_link_ended", address=address, reason=str(ended))
            error = ended
        except PeerFault as fault:
            self._log.info("overlay_peer_refused", address=address, reason=str(fault))
            error = fault
        return Talk(nodes[0] if nodes else None, error)

    async def is_there(self, target: Target) -> bool:
        """Whether ``target``'s node answers at its address; no link is made."""
        own = self._wires.introduction
        pinned = target.certificate or None
        try:
            async with dialled(target.address, secured=target.secured, pinned=pinned) as open_:
                await see_who_is_there(open_.channel, own, expected=target.node)
        except (PeerFault, StreamBroken) as fault:
            self._log.debug("overlay_not_there", address=str(target.address), reason=str(fault))
            return False
        return True

    async def _talk_extended(self, target: Target, note: Callable[[Met], None]) -> None:
        pinned = target.certificate or None
        async with (
            dialled(target.address, secured=target.secured, pinned=pinned) as open_,
            talk_stream(open_.channel) as stream,
        ):
            theirs = await meet_as_dialer(
                stream,
                self._wires.introduction,
                certificate=open_.certificate,
                expected=target.node,
            )
            node, address = NodeId(theirs.node), target.address
            note(Met(node=node, is_extended=True, address=address, observed=theirs.observed))
            await self._wires.links.serve(node, stream, dialled=True)

    async def _talk_as_reference(self, target: Target, note: Callable[[Met], None]) -> None:
        async with dialled(target.address, secured=False) as open_:
            own = self._wires.introduction
            node, latency_s = await shake_hands(open_.channel, own, expected=target.node)
            note(Met(node=node, is_extended=False, address=target.address))
            carrier = self._wires.reference_carrier(node, latency_s=latency_s)
            link = DialledReference(open_.channel, carrier, self._wires.chain)
            await self._wires.links.carry(node, link, dialled=True)
