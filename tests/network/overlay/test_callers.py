"""Goal: callers that keep to nothing are bounded, sent away and told of briefly; honest ones come in meanwhile.

Method: whole nodes on 127.0.0.1, hostile callers from other addresses of this machine, that speak TLS,
HTTP/2 and gRPC by hand.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.network.overlay.http2 import (
    BEGIN,
    DATA,
    END_STREAM,
    HEADERS,
    PING,
    PREFACE,
    Wire,
    call,
    frame,
    frames,
    message,
    reset,
    wire,
)
from tests.network.overlay.world import Node, nodes_of, until

from tetrarch.network.overlay import meeting
from tetrarch.network.overlay.callers import REFUSED_AFTER_S
from tetrarch.network.overlay.connections import accepted
from tetrarch.network.overlay.doors import DoorLimits
from tetrarch.network.overlay.greeting import GREETING_MAX_BYTES
from tetrarch.network.overlay.messages import RECEIVED_MAX_BYTES

LIMITS = DoorLimits()
HELLO_BYTES = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"  # where a TLS handshake begins


def lines_of(node: Node, event: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in node.text.getvalue().splitlines()]
    return [line for line in lines if line["event"] == event]


def connections(node: Node) -> int:
    """From the hostile addresses."""
    return sum(
        str(each.caller.ip) != "127.0.0.1" for each in accepted({node.overlay.addresses[0].port})
    )


async def assert_serves(node: Node, other: Node) -> None:
    """An honest node comes in, and both have the same chain in the end."""
    async with other.running():
        await until(lambda: other.node in node.links)
        await node.make_block(b"all goes on")
        await until(lambda: other.height == node.height)
    assert "Traceback" not in node.text.getvalue()


def against(
    folder: Path, attack: Callable[[Node, AsyncExitStack], Awaitable[None]], **changes: object
) -> Node:
    """Run ``attack`` against a node, which an honest one joins while it goes on, and after it."""

    async def main() -> Node:
        node, other, later = nodes_of(folder, 3, **changes)
        async with node.running():
            async with AsyncExitStack() as stack:
                await attack(node, stack)
                await assert_serves(node, other)
            await assert_serves(node, later)
        return node

    return asyncio.run(main())


async def opened(node: Node, stack: AsyncExitStack, begin: bytes = b"", **how: object) -> Wire:
    made = await wire(node.overlay.addresses[0], **how)  # type: ignore[arg-type]
    stack.callback(made.drop)
    if begin:
        await made.say(begin)
    return made


@pytest.mark.parametrize(
    ("secured", "begin"),
    [(False, b""), (False, HELLO_BYTES), (True, b""), (True, PREFACE), (True, BEGIN)],
    ids=["silent", "half a handshake", "TLS and silence", "half HTTP/2", "HTTP/2 and silence"],
)
def test_connections_without_a_call_are_few(tmp_path: Path, secured: bool, begin: bytes) -> None:
    async def crowd(node: Node, stack: AsyncExitStack) -> None:
        wires = [await opened(node, stack, begin, secured=secured) for _ in range(60)]
        await until(lambda: 0 < connections(node) <= LIMITS.waiting_of_address_max)
        assert await wires[0].ended() is not None
        await until(lambda: bool(lines_of(node, "overlay_connections_cut")))  # after the cut itself

    against(tmp_path, crowd)


def test_a_crowd_of_many_addresses_is_bounded_too(tmp_path: Path) -> None:
    limits = DoorLimits(waiting_max=20)

    async def crowd(node: Node, stack: AsyncExitStack) -> None:
        for number in range(60):
            await opened(node, stack, BEGIN, source=f"127.0.1.{number + 1}")
        await until(lambda: 0 < connections(node) <= limits.waiting_max)

    against(tmp_path, crowd, doors=limits)


def test_half_open_calls_keep_others_of_their_address_out_and_nobody_else(tmp_path: Path) -> None:
    async def crowd(node: Node, stack: AsyncExitStack) -> None:
        for _ in range(30):
            await opened(node, stack, BEGIN + call(1))
        await until(lambda: lines_of(node, "overlay_caller_refused") != [])
        await until(lambda: bool(lines_of(node, "overlay_caller_refused")))
        assert lines_of(node, "overlay_caller_refused")[0]["reason"] == "address_full"

    against(tmp_path, crowd)


def test_a_greeting_byte_by_byte_has_as_long_as_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meeting, "MEETING_TIMEOUT_S", 0.5)

    async def drip(node: Node, stack: AsyncExitStack) -> None:
        made = await opened(node, stack, BEGIN + call(1))
        with suppress(OSError):
            for byte in message(bytes(100)):
                await made.say(frame(DATA, 0, 1, bytes([byte])))
                await asyncio.sleep(0.02)
        await until(lambda: lines_of(node, "overlay_caller_refused") != [])
        (line,) = lines_of(node, "overlay_caller_refused")
        assert "overlay" in str(line["reason"]) or "greet" in str(line["reason"])

    against(tmp_path, drip)


@pytest.mark.parametrize("size_bytes", [GREETING_MAX_BYTES + 1, RECEIVED_MAX_BYTES + 1, 2**32 - 1])
def test_a_greeting_that_is_too_large_is_none(tmp_path: Path, size_bytes: int) -> None:
    async def oversize(node: Node, stack: AsyncExitStack) -> None:
        made = await opened(node, stack, BEGIN + call(1))
        sent = message(bytes(min(size_bytes, 8 * GREETING_MAX_BYTES)), size_bytes=size_bytes)
        await made.say(frame(DATA, END_STREAM, 1, sent))
        heard = bytearray()
        while b"grpc-status" not in heard:
            more = await made.hear()
            assert more, heard
            heard += more

    against(tmp_path, oversize)


@pytest.mark.parametrize("wait_s", [0.0, 0.002])
def test_calls_that_are_taken_back_at_once_cost_nobody_else(tmp_path: Path, wait_s: float) -> None:
    async def reset_rapidly(node: Node, stack: AsyncExitStack) -> None:
        for _ in range(3):
            made = await opened(node, stack, BEGIN)
            with suppress(OSError):
                for stream in range(1, 1001, 2):
                    await made.say(call(stream))
                    await asyncio.sleep(wait_s)
                    await made.say(reset(stream))
        assert len(lines_of(node, "overlay_caller_refused")) <= 1, "knocking fills no disk"

    against(tmp_path, reset_rapidly)


def test_who_calls_again_and_again_is_cut(tmp_path: Path) -> None:
    """grpcio answers each call that is refused, and waits for the next; we make each wait."""

    async def call_on(node: Node, stack: AsyncExitStack) -> None:
        for _ in range(LIMITS.unproven_of_address_max):
            await opened(node, stack, BEGIN + call(1))
        await asyncio.sleep(0.1)
        made = await opened(node, stack, BEGIN)
        begun_s = asyncio.get_running_loop().time()
        await made.say(call(1))
        heard = bytearray()
        while not any(kind == HEADERS for kind, _ in frames(heard)):
            heard += await made.hear()
        assert asyncio.get_running_loop().time() - begun_s > 0.9 * REFUSED_AFTER_S
        await made.say(b"".join(call(stream) for stream in range(3, 35, 2)))  # as many as it may
        async with asyncio.timeout(5):
            await made.ended()
        (line,) = lines_of(node, "overlay_caller_refused")
        assert line["reason"] == "address_full"

    against(tmp_path, call_on)


def test_who_pings_without_end_is_cut(tmp_path: Path) -> None:
    async def ping(node: Node, stack: AsyncExitStack) -> None:
        made = await opened(node, stack, BEGIN)
        with suppress(OSError):
            for _ in range(200):
                await made.say(frame(PING, 0, 0, bytes(8)) * 10)
        async with asyncio.timeout(8):  # less than silence has
            await made.ended()

    against(tmp_path, ping)


def test_methods_and_fields_that_nobody_knows_are_answered_by_grpc(tmp_path: Path) -> None:
    async def ask(node: Node, stack: AsyncExitStack) -> None:
        made = await opened(node, stack, BEGIN + call(1, "/some.Other/Method"))
        heard = bytearray()
        while b"grpc-status" not in heard:
            heard += await made.hear()
        large = await opened(node, stack, BEGIN + call(1, "/x", (b"x-large", bytes([97]) * 15_000)))
        heard = bytearray()
        while b"grpc-status" not in heard and (more := await large.hear()):
            heard += more
        assert not lines_of(node, "overlay_caller_refused")

    against(tmp_path, ask)


NOISE = st.one_of(
    st.binary(min_size=1, max_size=2000),
    st.binary(max_size=200).map(lambda noise: PREFACE + noise),
    st.binary(max_size=200).map(lambda noise: BEGIN + noise),
    st.binary(max_size=200).map(lambda noise: BEGIN + call(1) + noise),
    st.binary(max_size=1500).map(
        lambda noise: BEGIN + call(1) + frame(DATA, END_STREAM, 1, message(noise))
    ),
    st.text(max_size=60).map(lambda path: BEGIN + call(1, "/" + path)),
)


def test_noise_of_every_layer_stops_nothing(tmp_path: Path) -> None:
    async def noise(node: Node, stack: AsyncExitStack) -> None:
        del stack
        said: list[tuple[bool, bytes]] = []

        @settings(max_examples=150, deadline=None, database=None, derandomize=True)
        @given(st.booleans(), NOISE)
        def draw(secured: bool, data: bytes) -> None:
            said.append((secured, data))

        draw()
        for number, (secured, data) in enumerate(said):
            made = await wire(
                node.overlay.addresses[0],
                secured=secured,
                source=f"127.0.2.{number % 250 + 1}",
            )
            with suppress(OSError):
                await made.say(data)
                async with asyncio.timeout(0.02):
                    await made.hear()
            made.drop()

    against(tmp_path, noise)


def test_whoever_erred_holds_a_place_of_its_address_for_a_while(tmp_path: Path) -> None:
    """Keys are free: else each would begin anew."""

    async def err(node: Node, stack: AsyncExitStack) -> None:
        for _ in range(LIMITS.unproven_of_address_max + 4):
            made = await opened(node, stack, BEGIN + call(1))
            await made.say(frame(DATA, END_STREAM, 1, message(b"noise")))
            await made.hear()
            await asyncio.sleep(0.05)
        doors = node.overlay._listener._callers._doors
        await until(lambda: doors._held["127.0.0.66", False] == LIMITS.unproven_of_address_max)
        await until(lambda: doors.callers == 0)

    against(tmp_path, err)


def test_settings_of_doors_reach_the_listener(tmp_path: Path) -> None:
    (node,) = nodes_of(tmp_path, 1, doors=replace(LIMITS, callers_max=1))
    assert node.overlay._listener._callers._doors._limits.callers_max == 1


def test_what_is_cut_is_told_now_and_then(tmp_path: Path) -> None:
    async def come_back(node: Node, stack: AsyncExitStack) -> None:
        for _ in range(2):
            for _ in range(30):
                await opened(node, stack, BEGIN)
            await until(lambda: connections(node) <= LIMITS.waiting_of_address_max)
            await asyncio.sleep(0.6)
        assert len(lines_of(node, "overlay_connections_cut")) == 1

    against(tmp_path, come_back)
