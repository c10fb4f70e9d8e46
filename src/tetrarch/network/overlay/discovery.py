"""Finds out under which address others reach this node, and helps others to find out theirs.

    we dial somebody             -> it says where it sees us (in its greeting)
    several say the same         -> some of those that we are linked with are asked to reach us there
    several have                 -> that is our address: it stands in our profile from then on

Whoever is asked dials only the address where it sees the asker, so nobody can be made to dial a third;
the asker names no more than the port.
"""

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Protocol, TypeAlias

from tetrarch.errors import ConfigInvalid
from tetrarch.network.overlay.addresses import Address, may_be_told, read_address
from tetrarch.network.overlay.links import Links
from tetrarch.network.overlay.meeting import Met
from tetrarch.network.overlay.messages import (
    Kind,
    OverlayMessageInvalid,
    Reach,
    decode_reach,
    decode_reached,
    encode_reach,
    encode_reached,
)
from tetrarch.network.overlay.observed import Observed, ObservedRules
from tetrarch.network.overlay.profile import NodeId
from tetrarch.network.overlay.reaching import Target
from tetrarch.observability.logs import Log

ASK_S = 2.0
ASKED_AT_ONCE = 2
ASKED_AGAIN_S = 60.0  # the same node; and so often we dial for one at most
PROBES_MAX = 4  # at once, for others

Spawn: TypeAlias = Callable[[Coroutine[Any, Any, None], str], object]


class Prober(Protocol):
    """Dials a node, and says whether it is there."""

    async def is_there(self, target: Target) -> bool: ...  # noqa: D102


class Discovery:
    """One node's. Without ``rules`` it only helps others. ``found`` hears of our address."""

    def __init__(
        self,
        rules: ObservedRules | None,
        links: Links,
        *,
        certificate: bytes,
        private_addresses: bool,
        random: Random,
        found: Callable[[Address], None],
        log: Log,
    ) -> None:
        self.observed = None if rules is None else Observed(rules)
        self._links = links
        self._certificate = certificate
        self._private_addresses = private_addresses
        self._random = random
        self._found = found
        self._log = log
        self._seen_at: dict[NodeId, Address] = {}
        self._asked_s: dict[NodeId, float] = {}
        self._probed_s: dict[NodeId, float] = {}
        self._probes = 0

    @property
    def address(self) -> Address | None:
        """Ours, once it is known."""
        return None if self.observed is None else self.observed.confirmed

    def met(self, met: Met) -> None:
        """Somebody showed who it is."""
        if met.address is None:
            return
        self._seen_at[met.node] = met.address
        if self.observed is None or not met.observed:
            return
        try:
            self.observed.seen(met.address, read_address(met.observed).ip)
        except ConfigInvalid:  # its own affair
            return

    def left(self, node: NodeId) -> None:
        """Its link is gone."""
        for kept in (self._seen_at, self._asked_s, self._probed_s):
            kept.pop(node, None)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(ASK_S)
            self._ask()

    def _ask(self) -> None:
        candidate = None if self.observed is None else self.observed.candidate
        if candidate is None or candidate == self.address:
            return
        now_s = asyncio.get_running_loop().time()
        others = [
            node
            for node in self._links
            if node in self._seen_at and now_s >= self._asked_s.get(node, 0.0) + ASKED_AGAIN_S
        ]
        for node in self._random.sample(others, min(ASKED_AT_ONCE, len(others))):
            self._asked_s[node] = now_s
            question = Reach(candidate.port, self._certificate)
            self._links.send(node, Kind.REACH, encode_reach(question))

    def hear_question(
        self, node: NodeId, payload: bytes, *, reaching: Prober, spawn: Spawn
    ) -> None:
        """It asks whether we reach it. Raises OverlayMessageInvalid: that is no question."""
        asked = decode_reach(payload)
        seen, now_s = self._seen_at.get(node), asyncio.get_running_loop().time()
        if seen is None or self._probes >= PROBES_MAX:
            return
        if now_s < self._probed_s.get(node, -ASKED_AGAIN_S) + ASKED_AGAIN_S / 2:
            return
        address = Address(seen.ip, asked.port)
        if not may_be_told(address, private_allowed=self._private_addresses):
            return
        self._probed_s[node] = now_s
        self._probes += 1
        target = Target(
            address=address,
            node=node,
            certificate=asked.certificate,
            secured=bool(asked.certificate),
            is_extended=True,
        )
        spawn(self._probe(target, node, reaching), "overlay_probe")

    def hear_answer(self, node: NodeId, payload: bytes) -> None:
        """It reached us. Raises OverlayMessageInvalid: that is no answer, or nobody asked."""
        address = decode_reached(payload)
        seen = self._seen_at.get(node)
        if self.observed is None or node not in self._asked_s or seen is None:
            raise OverlayMessageInvalid("read answer", reason="nobody asked")
        if self.observed.reached(seen, address):
            self._log.info("overlay_address_found", address=str(address))
            self._found(address)

    async def _probe(self, target: Target, node: NodeId, reaching: Prober) -> None:
        try:
            if await reaching.is_there(target):
                self._links.send(node, Kind.REACHED, encode_reached(target.address))
        finally:
            self._probes -= 1
