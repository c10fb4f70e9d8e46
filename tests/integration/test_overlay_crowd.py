"""Goal: a thousand connections that come again and again cost a node little memory, and honest ones nothing.

Method: two processes of ``tetrarch overlay node``; a crowd from other addresses of this machine that stops
half way: before TLS, within it, after HTTP/2's beginning, within a call.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import pytest
from tests.integration.test_overlay_processes import OverlayProcess, linked, running, until
from tests.network.overlay.http2 import BEGIN, call, wire
from tests.ports import free_ports

from tetrarch.network.overlay.addresses import Address

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

Tell = Callable[[object], None]
CROWD = 1000
LASTS_S = 10.0
SOURCES = [f"127.0.0.{number}" for number in range(66, 74)]
KINDS = ((False, b""), (False, b"\x16\x03\x01\x02\x00\x01"), (True, BEGIN), (True, BEGIN + call(1)))
GROWTH_MAX_MB = 250


class Watched:
    """A process as the system sees it."""

    def __init__(self, node: OverlayProcess) -> None:
        assert node._process is not None
        self._proc = Path(f"/proc/{node._process.pid}")

    @property
    def memory_mb(self) -> float:
        pages = int((self._proc / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    @property
    def descriptors(self) -> int:
        return len(list((self._proc / "fd").iterdir()))


async def crowd(address: Address, seen: Callable[[], None]) -> int:
    """Connect, stop half way, and come back when cut; how often."""
    came = 0

    async def again_and_again(number: int) -> None:
        nonlocal came
        secured, begin = KINDS[number % len(KINDS)]
        while True:
            with suppress(OSError):
                source = SOURCES[number % len(SOURCES)]
                made = await wire(address, secured=secured, source=source)
                came += 1
                try:
                    await made.say(begin)
                    await made.ended()
                finally:
                    made.drop()
            await asyncio.sleep(0.2)

    with suppress(TimeoutError):
        async with asyncio.timeout(LASTS_S), asyncio.TaskGroup() as tasks:
            for number in range(CROWD):
                tasks.create_task(again_and_again(number))
            while True:
                seen()
                await asyncio.sleep(0.5)
    return came


def test_a_crowd_costs_little_and_keeps_nobody_out(tmp_path: Path, tell: Tell) -> None:
    ports = free_ports(2)
    node = OverlayProcess(0, ports, tmp_path, "--block-every-s", 0.5)
    other = OverlayProcess(1, ports, tmp_path)
    with running([node]):
        until("it answers", lambda: node.height > 0)
        watched, address = Watched(node), Address(ip_address("127.0.0.1"), ports[0])
        calm_mb, heights, most_mb = watched.memory_mb, [node.height], 0.0

        def look() -> None:
            nonlocal most_mb
            most_mb = max(most_mb, watched.memory_mb)
            heights.append(node.height)
            if len(heights) == 6:
                other.start()  # in the midst of it

        try:
            came = asyncio.run(crowd(address, look))
            begun_height = node.height
            until("it has joined", lambda: linked(other) == 1)
            until("it has the chain", lambda: other.height >= begun_height)
            assert came > CROWD, "nobody was cut"
            assert heights[-1] > heights[0]
            assert most_mb - calm_mb < GROWTH_MAX_MB
            until("the crowd is gone", lambda: watched.descriptors < 100, timeout_s=30)
            lines = node.text.count("overlay_caller_refused")
            assert lines <= len(SOURCES) * (2 + LASTS_S / 10), "knocking fills no disk"
            assert "Traceback" not in node.text, node.tail(60)
        finally:
            other.kill()
    tell(f"{came} connections came; memory {calm_mb:.0f} MB before, {most_mb:.0f} MB at most")
