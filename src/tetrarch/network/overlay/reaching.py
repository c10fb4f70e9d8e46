"""Dials one node and talks with it until the link ends: along our own service, or the reference's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from tetrarch.errors import PeerFault, TetrarchError
from tetrarch.network.faults import StreamBroken
from tetrarch.network.overlay.addresses import Address
from tetrarch.network.overlay.dialling import dialled
from tetrarch.network.overlay.links import LinkedAlready
from tetrarch.network.overlay.meeting import NodeShutOut, meet_as_dialer
from tetrarch.network.overlay.profile import NodeId, Profile
from tetrarch.network.overlay.reference.dialled import DialledReference, connected, shake_hands
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
    """``met`` raises a PeerFault for whom we do not talk with: node, and whether along our own service."""

    def __init__(
        self,
        wires: Wires,
        *,
        is_extended: bool,
        met: Callable[[NodeId, bool], None],
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
        met: list[NodeId] = []
        address = str(target.address)

        def note(node: NodeId, is_extended: bool) -> None:  # noqa: FBT001 - as ``met``
            met.append(node)
            self._met(node, is_extended)
            on_met(node)

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
        return Talk(met[0] if met else None, error)

    async def _talk_extended(self, target: Target, note: Callable[[NodeId, bool], None]) -> None:
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
            note(node, True)
            await self._wires.links.serve(node, open_.stream, dialled=True)

    async def _talk_as_reference(
        self, target: Target, note: Callable[[NodeId, bool], None]
    ) -> None:
        async with connected(target.address) as channel:
            own = self._wires.introduction
            node, latency_s = await shake_hands(channel, own, expected=target.node)
            note(node, False)
            carrier = self._wires.reference_carrier(node, latency_s=latency_s)
            link = DialledReference(channel, carrier, self._wires.chain)
            await self._wires.links.carry(node, link, dialled=True)
