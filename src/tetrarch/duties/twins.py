"""Twins: another process that runs with this node's certificate, as its peers see it."""

import asyncio
from collections.abc import Callable

from tetrarch.duties.witnesses import PeerState, Witnesses
from tetrarch.errors import PeerFault, Transient
from tetrarch.observability.logs import Log

TWIN_MEND = (
    "stop one of the two: a copy of this folder runs elsewhere; the newer of them signs nothing"
)
# Two processes push each other out of their streams, so that many an answer does not come.
STATE_KEPT_S = 60.0


class Twins:
    """What each peer said last; ``on_heard`` is called when all were asked once more."""

    def __init__(
        self,
        *,
        witnesses: Witnesses,
        peers: tuple[int, ...],
        faulty_max: int,
        slot_s: float,
        on_heard: Callable[[], None],
        log: Log,
    ) -> None:
        self._witnesses = witnesses
        self._peers = peers
        self._faulty_max = faulty_max
        self._slot_s = slot_s
        self._on_heard = on_heard
        self._log = log
        self._states: dict[int, PeerState] = {}  # of peers that answered lately
        self._noted_s: dict[int, float] = {}  # when, by the loop's clock
        self._told = False

    @property
    def seen(self) -> bool:
        """Whether more peers than can lie see two processes with our certificate."""
        return sum(state.has_twin for state in self._states.values()) > self._faulty_max

    @property
    def one_is_older(self) -> bool:
        """More peers than can lie see an older process with our certificate."""
        claims = sum(state.has_twin and state.twin_is_older for state in self._states.values())
        return claims > self._faulty_max

    def note(self, peer: int, state: PeerState) -> None:
        """``peer`` said it now."""
        self._states[peer] = state
        self._noted_s[peer] = asyncio.get_running_loop().time()

    async def watch(self) -> None:
        """Every slot: does another process of ours run?"""
        while True:
            await asyncio.gather(*(self._ask(peer) for peer in self._peers))
            if self.seen and not self._told:
                self._log.error("node_runs_twice", newer=self.one_is_older, mend=TWIN_MEND)
            self._told = self.seen
            self._on_heard()
            await asyncio.sleep(self._slot_s)

    async def _ask(self, peer: int) -> None:
        try:
            self.note(peer, await self._witnesses.ask_state(peer))
        except (PeerFault, Transient):
            now_s = asyncio.get_running_loop().time()
            if now_s - self._noted_s.get(peer, -STATE_KEPT_S) >= STATE_KEPT_S:
                self._states.pop(peer, None)
