"""One simulated node of a ledger: chain, leadership and votes as in production; keys, disk, clock and network simulated.

What comes is taken and told on, once; of a block whose parent is not here the sender is asked for what lies between.
Each slot every node says what its tip is, so that who missed blocks hears of them.
"""

import asyncio
from collections.abc import Callable
from typing import Final, TypeAlias, TypeVar

import msgspec

from tetrarch.leadership.electing import LOOK_S, Electing
from tetrarch.leadership.leading import Leadership
from tetrarch.leadership.logs import Logs
from tetrarch.leadership.ports import Keys, LeadershipPorts
from tetrarch.leadership.reserving import Reserving
from tetrarch.leadership.voting import Voting
from tetrarch.ledger.blocks import Block, Fragment
from tetrarch.ledger.chain import LedgerChain
from tetrarch.ledger.ports import LedgerPorts
from tetrarch.ledger.state_arriving import StateArriving
from tetrarch.ledger.store import LedgerStore
from tetrarch.network.overlay.chain import Verdict
from tetrarch.network.overlay.profile import (
    BLOCKS,
    FRAGMENTS,
    NODE_ID_SIZE_BYTES,
    STATES,
    NodeId,
)
from tetrarch.network.overlay.profile import Topic as OverlayTopic
from tetrarch.network.overlay.spreading import ItemId
from tetrarch.network.ports import Topic
from tetrarch.observability.logs import Log
from tetrarch.sim.loop import SimClock
from tetrarch.sim.network import SimBus
from tetrarch.storage.inline import InlineDatabase

PATH_MAX: Final = 50  # blocks in one answer
_T = TypeVar("_T")


class _Ask(msgspec.Struct, frozen=True, tag="ask"):
    """What have you after one of these?"""

    checkpoints: tuple[bytes, ...]


class _Tip(msgspec.Struct, frozen=True, tag="tip"):
    """My branch ends here."""

    block: bytes
    height: int


class Item(msgspec.Struct, frozen=True, tag="item"):
    """A block, a fragment or a vote, as nodes send it."""

    is_block: bool
    content: bytes

    @property
    def payload(self) -> bytes:
        """Of the message that it travels in."""
        return msgspec.msgpack.encode(self)


class _AskPart(msgspec.Struct, frozen=True, tag="ask_part"):
    """Have you this part of a state?"""

    part: bytes


class _Part(msgspec.Struct, frozen=True, tag="part"):
    """A part of a state."""

    content: bytes


_Message: TypeAlias = _Ask | _Tip | Item | _AskPart | _Part
_DECODER: Final = msgspec.msgpack.Decoder(_Message)


class InlineCompute:
    """Work in the caller's own task, in no time."""

    async def run(self, function: Callable[[], _T], /) -> _T:
        """See ``Compute``."""
        return function()


class _Givers:
    """All other nodes, as ``StateArriving`` sees an overlay's."""

    def __init__(self, bus: SimBus) -> None:
        self._bus = bus
        self.links = list(map(_node_id, bus.peers))

    def ask(self, node: NodeId, topic: OverlayTopic, item: ItemId) -> bool:
        """See ``Giver``."""
        assert topic == STATES
        message = msgspec.msgpack.encode(_AskPart(item))
        self._bus.send(int.from_bytes(node, "big"), Topic.REQUESTS, message)
        return True


class SimLedgerNode:
    """One life of a node; ``live`` it. Implements ``leadership.ports.Network``.

    ``newest``: the certificate that its own member of an election has, where leaders are elected. ``arriving``: what takes a
    state of others, if it has no chain yet.
    """

    def __init__(  # noqa: PLR0913 - a composition of ports
        self,
        bus: SimBus,
        keys: Keys,
        database: InlineDatabase,
        clock: SimClock,
        log: Log,
        *,
        on_invalid: Callable[[int, bytes], None],
        newest: Callable[[], Fragment | None] | None = None,
        prunes: bool = False,
        arriving: Callable[[LedgerStore], StateArriving] | None = None,
    ) -> None:
        self.chain: LedgerChain | None = None
        self.leadership: Leadership | None = None
        self._bus = bus
        self._keys = keys
        self._database = database
        self._clock = clock
        self._log = log
        self._on_invalid = on_invalid
        self._newest = newest
        self._prunes = prunes
        self._arriving = arriving
        self._taker: StateArriving | None = None

    async def live(
        self, block0: Block, *, on_open: Callable[[LedgerChain], None], logs: Logs
    ) -> None:
        """Until cancelled."""
        compute = InlineCompute()
        ports = LedgerPorts(
            store=LedgerStore(self._database),
            compute=compute,
            clock=self._clock,
            log=self._log,
            prunes=self._prunes,
        )
        self._bus.subscribe(Topic.REQUESTS, self._received)
        if self._arriving is not None and await ports.store.load() is None:
            await self._arrive(self._arriving(ports.store))
        chain = self.chain = await LedgerChain.open(ports, block0)
        on_open(chain)
        leading = LeadershipPorts(
            keys=self._keys, network=self, compute=compute, clock=self._clock, log=self._log
        )
        leadership = self.leadership = Leadership(leading, chain, logs=logs)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._bus.run(), name="bus")
            tasks.create_task(leadership.run(), name="leadership")
            tasks.create_task(Voting(leading, chain).run(), name="voting")
            tasks.create_task(Reserving(leading, chain).run(), name="reserving")
            tasks.create_task(self._say_tip(chain), name="tips")
            if self._newest is not None:
                electing = Electing(leading, url="")
                tasks.create_task(self._elect(electing, self._newest), name="electing")

    async def _arrive(self, arriving: StateArriving) -> None:
        """As ``ledger_node`` does over an overlay."""
        self._taker = arriving
        async with asyncio.TaskGroup() as tasks:
            bus = tasks.create_task(self._bus.run(), name="bus")
            await arriving.run(_Givers(self._bus))
            bus.cancel()
        self._taker = None

    async def propose_block(self, content: bytes) -> Verdict:
        """See ``Network``."""
        return await self._take(None, Item(True, content))

    async def propose_fragment(self, content: bytes) -> Verdict:
        """See ``Network``."""
        return await self._take(None, Item(False, content))

    async def _say_tip(self, chain: LedgerChain) -> None:
        while True:
            await asyncio.sleep(chain.tree.tip.settings.frame.slot_duration_s)
            tip = chain.tip()
            self._tell(_Tip(tip.block, tip.height))

    async def _elect(self, electing: Electing, newest: Callable[[], Fragment | None]) -> None:
        """As ``Electing.run``, whose member is asked over HTTP."""
        while True:
            found = newest()
            if found is not None:
                await electing.give(found)
            await asyncio.sleep(LOOK_S)

    async def _received(self, peer: int, payload: bytes) -> None:
        message: _Message = _DECODER.decode(payload)
        chain = self.chain
        if chain is None:
            if isinstance(message, _Part) and self._taker is not None:
                self._taker.take(_node_id(peer), message.content)
            return
        match message:
            case _Part():
                pass  # it has begun
            case _AskPart(part=part):
                content = await chain.content(STATES, ItemId(part))
                if content is not None:
                    self._send(peer, _Part(content))
            case Item():
                await self._take(peer, message)
            case _Tip(block=block):
                if chain.height_of(ItemId(block)) is None:
                    self._ask(peer)
            case _Ask(checkpoints=checkpoints):
                known = [ItemId(each) for each in checkpoints]
                for item in chain.path(known, None, count_max=PATH_MAX):
                    content = await chain.content(BLOCKS, item)
                    if content is not None:
                        self._send(peer, Item(True, content))

    async def _take(self, peer: int | None, item: Item) -> Verdict:
        assert self.chain is not None
        verdict = await self.chain.take(BLOCKS if item.is_block else FRAGMENTS, item.content)
        if verdict is Verdict.NEW:
            self._tell(item, but=peer)
        elif verdict is Verdict.ORPHAN and peer is not None:
            self._ask(peer)
        elif verdict is Verdict.INVALID:
            self._on_invalid(-1 if peer is None else peer, item.content)
        return verdict

    def _ask(self, peer: int) -> None:
        assert self.chain is not None
        self._send(peer, _Ask(self.chain.checkpoints()))

    def _tell(self, message: Item | _Tip, *, but: int | None = None) -> None:
        """All others, or all but whom it is from."""
        payload = msgspec.msgpack.encode(message)
        for peer in self._bus.peers:
            if peer != but:
                self._bus.send(peer, Topic.REQUESTS, payload)

    def _send(self, peer: int, message: Item | _Ask | _Part) -> None:
        self._bus.send(peer, Topic.REQUESTS, msgspec.msgpack.encode(message))


def _node_id(peer: int) -> NodeId:
    return NodeId(peer.to_bytes(NODE_ID_SIZE_BYTES, "big"))
