"""Whatever a node says is answered, ignored or held against it and nobody else; nothing grows without end."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.network.overlay.support import BOTH, address
from tests.network.overlay.world import Node, nodes_of

from tetrarch.network.conduct import Fault
from tetrarch.network.overlay.memory_chain import INVALID, make_block
from tetrarch.network.overlay.messages import (
    CONTENT_MAX_BYTES,
    IDS_MAX,
    Ids,
    Item,
    Kind,
    Records,
    Status,
    encode_gossip,
    encode_ids,
    encode_item,
    encode_pull,
    encode_status,
)
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS, NodeId, Profile, sign_profile
from tetrarch.network.overlay.spreading import ASKED_MAX, ItemId
from tetrarch.network.overlay.talking import ANSWER_MAX_BYTES
from tetrarch.observability.logs import SilentLog


class Talker:
    """Another node, as far as its key goes."""

    def __init__(self, number: int) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
        self.node = NodeId(self._key.public_key().public_bytes_raw())
        self._address = address(f"20.0.{number}.1")

    def profile(self, time_s: float) -> Profile:
        return sign_profile(
            self._key.sign,
            node=self.node,
            time_s=int(time_s),
            address=self._address,
            interests=BOTH,
        )


class Listening:
    """A node without wires, and what it queued for whom. Everybody seems linked."""

    def __init__(self, folder: Path) -> None:
        self.us: Node = nodes_of(folder, 1)[0]
        self.us.overlay.talking._log = SilentLog()
        self.sent: dict[NodeId, list[tuple[int, bytes]]] = {}
        self.closed: dict[NodeId, str] = {}
        links = self.us.overlay.links
        links.send = self._send  # type: ignore[method-assign]
        links.close = self.closed.setdefault  # type: ignore[method-assign, assignment]
        links.backlog_bytes = self.backlog_bytes  # type: ignore[method-assign]
        self.now_s = self.us.overlay.now_s

    def _send(self, node: NodeId, kind: int, payload: bytes) -> bool:
        self.sent.setdefault(node, []).append((kind, payload))
        return True

    def backlog_bytes(self, node: NodeId) -> int:
        return sum(len(payload) for _, payload in self.sent.get(node, ()))

    async def handle(self, talker: Talker, kind: int, payload: bytes) -> None:
        await self.us.overlay.talking.handle(talker.node, kind, payload)

    async def meet(self, talker: Talker) -> None:
        record = talker.profile(self.now_s()).record
        await self.handle(talker, Kind.GOSSIP, encode_gossip(Records(record, (), ())))
        assert talker.node in self.us.nodes.known

    def items_for(self, talker: Talker) -> list[bytes]:
        return [payload for kind, payload in self.sent.get(talker.node, ()) if kind == Kind.ITEM]


LIAR, BYSTANDER = Talker(1), Talker(2)
IDS = st.integers(0, 3).map(lambda number: ItemId(bytes([number]) * 32))
TOPICS = st.sampled_from([BLOCKS, FRAGMENTS])


def damaged(payload: bytes, at: int, change: int) -> bytes:
    if not payload or not change:
        return payload
    at %= len(payload)
    return payload[:at] + bytes([payload[at] ^ change]) + payload[at + 1 :]


@st.composite
def messages(draw: st.DrawFn) -> tuple[int, bytes]:
    """Noise, and what an honest node says, with a byte of it changed."""
    own = LIAR.profile(draw(st.sampled_from([0, 215_000_000, 2**32 - 1]))).record
    whole: dict[int, Callable[[], bytes]] = {
        Kind.GOSSIP: lambda: encode_gossip(
            Records(own, (draw(st.binary(max_size=200)),), (BYSTANDER.profile(1).record,))
        ),
        Kind.ANNOUNCE: lambda: encode_ids(
            Ids(draw(TOPICS), tuple(draw(st.lists(IDS, min_size=1, max_size=5))))
        ),
        Kind.ASK: lambda: encode_ids(
            Ids(draw(TOPICS), tuple(draw(st.lists(IDS, min_size=1, max_size=5))))
        ),
        Kind.ITEM: lambda: encode_item(Item(draw(TOPICS), draw(st.binary(min_size=1)))),
        Kind.STATUS: lambda: encode_status(Status(draw(IDS), draw(st.integers(0, 2**64 - 1)))),
        Kind.PULL: lambda: encode_pull(tuple(draw(st.lists(IDS, min_size=1, max_size=70)))),
    }
    kind = draw(st.integers(0, 255) | st.sampled_from(list(Kind)))
    if kind not in whole or draw(st.booleans()):
        return kind, draw(st.binary(max_size=300))
    return kind, damaged(whole[kind](), draw(st.integers(0)), draw(st.integers(0, 255)))


@given(st.lists(messages(), min_size=1, max_size=30))
@settings(deadline=None)
def test_no_message_does_harm(talk: list[tuple[int, bytes]]) -> None:
    async def main(folder: Path) -> None:
        listening = Listening(folder)
        await listening.meet(BYSTANDER)
        await listening.meet(LIAR)
        for kind, payload in talk:
            await listening.handle(LIAR, kind, payload)
        await listening.us.overlay.talking.do(
            listening.us.overlay.machine.spreading.tick(now_s=listening.now_s() + 1)
        )
        nodes = listening.us.nodes
        assert set(nodes) <= {LIAR.node, BYSTANDER.node}
        bystander = nodes.conduct(BYSTANDER.node)
        assert bystander is not None
        assert not bystander.faults
        assert listening.us.height == 0
        assert set(listening.closed) <= {LIAR.node}
        assert (LIAR.node in listening.closed) == (LIAR.node in nodes.quarantined)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (99, b""),
        (Kind.GOSSIP, b"noise"),
        (Kind.GOSSIP, encode_gossip(Records(BYSTANDER.profile(1).record, (), ()))),
        (Kind.STATUS, b"noise"),
        (Kind.ITEM, BLOCKS + INVALID),
        (Kind.ITEM, FRAGMENTS + INVALID),
    ],
)
def test_a_stranger_that_errs_loses_its_link(tmp_path: Path, kind: int, payload: bytes) -> None:
    """It never said who it is in gossip, so it has no points to lose."""

    async def main() -> None:
        listening = Listening(tmp_path)
        await listening.handle(LIAR, kind, payload)
        assert listening.closed == {LIAR.node: "erred"}

    asyncio.run(main())


def test_of_who_was_put_aside_nothing_more_is_heard(tmp_path: Path) -> None:
    async def main() -> None:
        listening = Listening(tmp_path)
        await listening.meet(LIAR)
        block = make_block(listening.us.chain.tip(), 1, INVALID)
        await listening.handle(LIAR, Kind.ITEM, encode_item(Item(BLOCKS, block)))
        assert listening.closed == {LIAR.node: "quarantined"}
        good = make_block(listening.us.chain.tip(), 1, b"good")
        await listening.handle(LIAR, Kind.ITEM, encode_item(Item(BLOCKS, good)))
        assert listening.us.height == 0

    asyncio.run(main())


def test_who_is_put_aside_is_said_once(tmp_path: Path) -> None:
    async def main() -> None:
        listening = Listening(tmp_path)
        listening.us.overlay.talking._log = listening.us._log()
        await listening.meet(LIAR)
        for _ in range(20):
            listening.us.overlay.talking.blame(LIAR.node, Fault.FLOOD, None)
        assert listening.us.text.getvalue().count('"event": "overlay_node_quarantined"') == 1

    asyncio.run(main())


@pytest.mark.parametrize("kind", [Kind.ASK, Kind.PULL])
def test_who_asks_for_more_than_it_reads_does_not_get_it(tmp_path: Path, kind: Kind) -> None:
    async def main() -> None:
        listening = Listening(tmp_path)
        await listening.meet(LIAR)
        size_bytes = CONTENT_MAX_BYTES // 4
        content = Random(1).randbytes(size_bytes - 100)
        for number in range(10):
            await listening.us.chain.take(
                BLOCKS, make_block(listening.us.chain.tip(), number, content)
            )
        main_chain = tuple(listening.us.chain.main())
        payload = (
            encode_pull(main_chain[:1])
            if kind is Kind.PULL
            else encode_ids(Ids(BLOCKS, main_chain[1:] * (IDS_MAX // 10)))
        )
        for _ in range(3):
            await listening.handle(LIAR, kind, payload)
        waiting = listening.items_for(LIAR)
        assert abs(sum(map(len, waiting)) - ANSWER_MAX_BYTES) <= size_bytes
        first = [make_id(listening, each) for each in waiting]
        assert first == list(main_chain[1 : 1 + len(first)]), "in order, from the first"

    asyncio.run(main())


def make_id(listening: Listening, payload: bytes) -> ItemId:
    return listening.us.chain.item_id(BLOCKS, payload[32:])


def test_one_item_asked_for_many_times_is_sent_once(tmp_path: Path) -> None:
    async def main() -> None:
        listening = Listening(tmp_path)
        await listening.us.chain.take(FRAGMENTS, b"small")
        item = listening.us.chain.item_id(FRAGMENTS, b"small")
        await listening.handle(LIAR, Kind.ASK, encode_ids(Ids(FRAGMENTS, (item,) * IDS_MAX)))
        assert len(listening.items_for(LIAR)) == 1

    asyncio.run(main())


def test_announcements_of_what_is_nowhere_fill_no_memory(tmp_path: Path) -> None:
    async def main() -> None:
        listening = Listening(tmp_path)
        await listening.meet(LIAR)
        random = Random(1)
        for _ in range(5):
            ids = tuple(ItemId(random.randbytes(32)) for _ in range(IDS_MAX))
            await listening.handle(LIAR, Kind.ANNOUNCE, encode_ids(Ids(FRAGMENTS, ids)))
        spreading = listening.us.overlay.machine.spreading
        assert len(spreading._asked) <= ASKED_MAX
        await listening.us.overlay.talking.do(spreading.tick(now_s=listening.now_s() + 31))
        assert listening.closed == {LIAR.node: "quarantined"}
        assert not spreading._asked

    asyncio.run(main())
