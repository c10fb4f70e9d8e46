"""The bytes behind the hashes of one instance: kept while they matter, fetched when missing."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from tetrarch.consensus.codec import ValueItem, WantItem, hash_value
from tetrarch.consensus.messages import ValueHash
from tetrarch.consensus.ports import ConsensusPorts
from tetrarch.duties.types import Duty
from tetrarch.network.ports import Topic

ANSWERS_MAX = 32  # WANTs of one peer that are answered in the life of an instance
FETCH_ROUND_SHARE = 0.25  # of a round's time: how long one peer is waited for
FETCH_BACKOFF_MAX = 8


@dataclass(slots=True, eq=False)
class Wanted:
    """Somebody waits for the bytes of ``value_hash``."""

    value_hash: ValueHash
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    waiters: int = 0
    value: bytes | None = None


class Values:
    """Holds the few values that the instance's machine names; takes no others from peers."""

    def __init__(self, duty: Duty, ports: ConsensusPorts) -> None:
        self._duty = duty
        self._ports = ports
        self._known: dict[ValueHash, bytes] = {}
        self._wanted: dict[ValueHash, Wanted] = {}
        self._answers: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._known)

    def get(self, value_hash: ValueHash) -> bytes | None:
        """The bytes, if they are here."""
        return self._known.get(value_hash)

    def add_own(self, value: bytes) -> ValueHash:
        """Keep the node's own value; returns its hash."""
        value_hash = hash_value(value)
        self.keep(value_hash, value)
        return value_hash

    def take(self, value: bytes) -> bool:
        """Keep a peer's value if it is one that somebody here waits for."""
        if not self._wanted:
            return False
        value_hash = hash_value(value)
        if value_hash not in self._wanted:
            return False
        self.keep(value_hash, value)
        return True

    def keep_only(self, named: Iterable[ValueHash]) -> None:
        """Drop what no longer matters, and wait for it no longer."""
        keep = set(named)
        for value_hash in [known for known in self._known if known not in keep]:
            del self._known[value_hash]
        for value_hash in [wanted for wanted in self._wanted if wanted not in keep]:
            self._wanted.pop(value_hash).settled.set()

    def answer(self, peer: int, value_hash: ValueHash) -> ValueItem | None:
        """What to answer to a peer that lacks a value; None when it is not here or enough."""
        value = self._known.get(value_hash)
        answers = self._answers.get(peer, 0)
        if value is None or answers >= ANSWERS_MAX:
            return None
        self._answers[peer] = answers + 1
        return ValueItem(self._duty, value)

    def expect(self, value_hash: ValueHash) -> Wanted:
        """From now on ``take`` accepts these bytes; ``obtain`` waits for them."""
        wanted = self._wanted.setdefault(value_hash, Wanted(value_hash))
        wanted.waiters += 1
        return wanted

    async def obtain(self, wanted: Wanted, source: int) -> bytes | None:
        """The bytes of an expected value: wait for them, asking one peer after another.

        ``source``, which named the value, is asked first. None: the value matters no more.
        """
        try:
            if wanted.value is None:
                wanted.value = self._known.get(wanted.value_hash)
            if wanted.value is None and not wanted.settled.is_set():
                await self._ask(wanted, source)
            return wanted.value
        finally:
            wanted.waiters -= 1
            if wanted.waiters == 0 and self._wanted.get(wanted.value_hash) is wanted:
                del self._wanted[wanted.value_hash]

    async def _ask(self, wanted: Wanted, source: int) -> None:
        bus = self._ports.bus
        order = sorted(bus.peers, key=lambda peer: (peer != source, peer))
        item = WantItem(self._duty, wanted.value_hash)
        request = self._ports.codec.encode([item])
        patience_s = self._ports.times.rounds.round_s * FETCH_ROUND_SHARE
        backoff = 1
        while order:
            for peer in order:
                bus.send(peer, Topic.CONSENSUS, request)
                if await _settled(wanted, patience_s * backoff):
                    return
            backoff = min(2 * backoff, FETCH_BACKOFF_MAX)
        await wanted.settled.wait()

    def keep(self, value_hash: ValueHash, value: bytes) -> None:
        """Hold ``value``, whose hash this is, until it is no longer named."""
        self._known[value_hash] = value
        wanted = self._wanted.get(value_hash)
        if wanted is not None:
            wanted.value = value
            wanted.settled.set()


async def _settled(wanted: Wanted, patience_s: float) -> bool:
    try:
        async with asyncio.timeout(patience_s):
            await wanted.settled.wait()
    except TimeoutError:
        return False
    return True
