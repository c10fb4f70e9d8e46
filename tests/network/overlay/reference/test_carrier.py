"""One link over the reference's subscriptions: what goes and what comes, whatever the other side sends."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from tests.network.overlay.support import BOTH, NOW_S, address, node_id
from tests.network.overlay.world import Meters

from tetrarch.network.faults import StreamBroken
from tetrarch.network.overlay.addresses import NOWHERE, Address
from tetrarch.network.overlay.memory_chain import MemoryChain, make_block
from tetrarch.network.overlay.messages import (
    Ids,
    Item,
    Kind,
    OverlayMessageInvalid,
    Records,
    Status,
    decode_gossip,
    decode_ids,
    decode_item,
    decode_status,
    encode_gossip,
    encode_ids,
    encode_item,
    encode_pull,
    encode_status,
)
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS, NodeId, Profile, sign_profile
from tetrarch.network.overlay.reference.carrier import (
    FRAGMENTS_MAX,
    GOSSIPS_MAX,
    HEADERS_MAX,
    Fetch,
    Pull,
    ReferenceCarrier,
)
from tetrarch.network.overlay.reference.records import own_of, unwrap, wrap
from tetrarch.network.overlay.spreading import ItemId
from tetrarch.network.overlay.topology import PROFILES_MAX

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PEER = NodeId(KEY.public_key().public_bytes_raw())


class World:
    def __init__(self) -> None:
        self.chain = MemoryChain()
        self.meters = Meters()
        self.heard: list[tuple[int, bytes]] = []
        self.carrier = ReferenceCarrier(
            PEER,
            self.chain,
            deliver=lambda kind, payload: self.heard.append((kind, payload)),
            meters=self.meters,
        )


def in_loop(test: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        await test(World())

    asyncio.run(run())


def record(where: Address, certificate: bytes = b"") -> Profile:
    return sign_profile(
        KEY.sign,
        node=PEER,
        time_s=NOW_S,
        address=where,
        interests=BOTH,
        certificate=certificate,
    )


def item(number: int) -> ItemId:
    return ItemId(node_id(number))


# -- what goes ------------------------------------------------------------------------------------


def test_blocks_go_as_headers_and_fragments_whole() -> None:
    async def test(world: World) -> None:
        carrier, chain = world.carrier, world.chain
        block = make_block(chain.tip(), 1, b"content")
        carrier.put(Kind.ANNOUNCE, encode_ids(Ids(BLOCKS, (item(1),))))
        carrier.put(Kind.ITEM, encode_item(Item(BLOCKS, block)))
        carrier.put(Kind.STATUS, encode_status(Status(item(2), 7)))
        assert [await carrier.headers.next() for _ in range(3)] == [
            item(1),
            chain.item_id(BLOCKS, block),
            item(2),
        ]
        carrier.put(Kind.ANNOUNCE, encode_ids(Ids(FRAGMENTS, (item(3),))))
        carrier.put(Kind.ITEM, encode_item(Item(FRAGMENTS, b"fragment")))
        assert await carrier.fragments.next() == item(3)
        assert await carrier.fragments.next() == chain.item_id(FRAGMENTS, b"fragment")

    in_loop(test)


def test_what_is_wanted_of_blocks_are_wishes() -> None:
    async def test(world: World) -> None:
        carrier = world.carrier
        carrier.put(Kind.ASK, encode_ids(Ids(FRAGMENTS, (item(9),))))  # it cannot be asked for them
        carrier.put(Kind.ASK, encode_ids(Ids(BLOCKS, (item(1), item(2)))))
        carrier.put(Kind.PULL, encode_pull((item(3),)))
        assert await carrier.wishes.next() == Fetch((item(1), item(2)))
        assert await carrier.wishes.next() == Pull((item(3),))

    in_loop(test)


def test_profiles_go_that_it_can_use() -> None:
    async def test(world: World) -> None:
        plain, secured = record(address("20.0.0.1")), record(address("20.0.0.2"), b"c" * 32)
        private = record(NOWHERE)
        told = Records(plain.record, (secured.record,), (private.record,))
        world.carrier.put(Kind.GOSSIP, encode_gossip(told))
        assert await world.carrier.gossip.next() == (wrap(plain.record),)
        world.carrier.put(Kind.GOSSIP, encode_gossip(Records(secured.record, (), ())))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(world.carrier.gossip.next(), 0.01)

    in_loop(test)


def test_a_peer_that_reads_one_subscription_slowly_loses_of_that_only() -> None:
    """The reference drops such a peer and dials it again at once."""

    async def test(world: World) -> None:
        carrier = world.carrier
        for number in range(FRAGMENTS_MAX + 5):
            carrier.put(Kind.ANNOUNCE, encode_ids(Ids(FRAGMENTS, (item(number),))))
        carrier.put(Kind.ANNOUNCE, encode_ids(Ids(BLOCKS, (item(1),))))
        assert await carrier.fragments.next() == item(5)  # the newest stay
        assert await carrier.headers.next() == item(1)
        assert world.meters.dropped == {(Kind.ITEM, "slow"): 5}
        assert FRAGMENTS_MAX > HEADERS_MAX > GOSSIPS_MAX

    in_loop(test)


# -- what comes -----------------------------------------------------------------------------------


def test_a_header_whose_parent_is_here_is_an_announcement_and_another_a_status() -> None:
    async def test(world: World) -> None:
        other = MemoryChain()
        first = make_block(other.tip(), 1, b"first")
        await other.take(BLOCKS, first)
        one = other.tip()
        await other.take(BLOCKS, make_block(one, 2, b"second"))
        world.carrier.hear_header(one.header)
        world.carrier.hear_header(other.tip().header)
        (kind, payload), (kind2, payload2) = world.heard
        assert (kind, decode_ids(payload)) == (Kind.ANNOUNCE, Ids(BLOCKS, (one.block,)))
        assert (kind2, decode_status(payload2)) == (Kind.STATUS, Status(other.tip().block, 2))
        assert world.carrier.last is not None
        assert world.carrier.last.block == other.tip().block

    in_loop(test)


def test_blocks_and_fragments_are_items() -> None:
    async def test(world: World) -> None:
        world.carrier.hear_block(b"b")
        world.carrier.hear_fragment(b"f")
        assert [decode_item(payload) for _, payload in world.heard] == [
            Item(BLOCKS, b"b"),
            Item(FRAGMENTS, b"f"),
        ]

    in_loop(test)


def test_its_own_profile_is_found_among_others_and_too_many_are_left_out() -> None:
    async def test(world: World) -> None:
        own = record(address("20.0.0.1")).record
        others = [wrap(b"\0\0" + node_id(number) + b"rest") for number in range(100)]
        world.carrier.hear_gossip([*others, wrap(own)])
        world.carrier.hear_gossip(others[:2])
        world.carrier.hear_gossip([others[0], wrap(own)])
        first, second, third = (decode_gossip(payload) for _, payload in world.heard)
        assert first.own == own
        assert len(first.others) == PROFILES_MAX - 1
        assert second.own == b""
        assert len(second.others) == 2
        assert len(third.others) == 1

    in_loop(test)


def test_headers_that_are_no_chain_are_refused() -> None:
    async def test(world: World) -> None:
        other = MemoryChain()
        headers = []
        for number in range(3):
            await other.take(BLOCKS, make_block(other.tip(), number, b"x"))
            headers.append(other.tip().header)
        assert len(world.carrier.read_headers(headers)) == 3
        with pytest.raises(OverlayMessageInvalid):
            world.carrier.read_headers([headers[0], headers[2]])
        with pytest.raises(OverlayMessageInvalid):
            world.carrier.read_headers([b"no header"])

    in_loop(test)


@given(st.lists(st.binary(max_size=2000), max_size=80), st.binary(max_size=200))
def test_whatever_it_sends_is_a_message_or_its_fault(nodes: list[bytes], header: bytes) -> None:
    async def test(world: World) -> None:
        world.carrier.hear_gossip(nodes)
        (_, payload) = world.heard[-1]
        assert len(decode_gossip(payload).others) < PROFILES_MAX  # it can be read again
        with contextlib.suppress(OverlayMessageInvalid):
            world.carrier.hear_header(header)

    in_loop(test)


@given(st.binary(max_size=600))
def test_records_are_wrapped_and_unwrapped(data: bytes) -> None:
    assert unwrap(wrap(data)) == data
    assert unwrap(b"\xff\xff" + data) == b"\xff\xff" + data  # a length that is not its own
    assert own_of([data[:20]], PEER) == b""


# -- its end --------------------------------------------------------------------------------------


def test_all_who_wait_for_its_end_hear_of_it_and_of_the_first_reason() -> None:
    async def test(world: World) -> None:
        waiting = [asyncio.create_task(world.carrier.run()) for _ in range(3)]
        await asyncio.sleep(0)
        world.carrier.close(StreamBroken("use stream", reason="first"))
        world.carrier.close(StreamBroken("use stream", reason="second"))
        for each in waiting:
            with pytest.raises(StreamBroken, match="first"):
                await each
        with pytest.raises(StreamBroken, match="first"):
            await world.carrier.run()

    in_loop(test)
