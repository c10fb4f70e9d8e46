"""Goal: nodes of the overlay, as their users run them, find each other, survive each other, and shut out liars.

Method: ``tetrarch overlay node`` as twenty processes on this machine, started from one trusted peer;
what they know is asked at their monitoring listeners.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.integration.processes import Command, get_json, wait_for
from tests.ports import free_ports

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

Tell = Callable[[object], None]
COUNT = 20
ROUND_S = 2.0


class OverlayProcess(Command):
    """``tetrarch overlay node``."""

    def __init__(self, place: int, ports: list[int], folder: Path, *options: object) -> None:
        (monitoring_port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{monitoring_port}"
        arguments: list[object] = ["overlay", "node", "--listen", f"127.0.0.1:{ports[place]}"]
        arguments += ["--folder", folder / f"node{place}", "--private-addresses"]
        arguments += ["--monitoring-port", monitoring_port, "--round-s", ROUND_S]
        if place:
            arguments += ["--trusted", f"127.0.0.1:{ports[0]}"]
        super().__init__(f"node{place}", [*arguments, *options], folder)

    def nodes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = get_json(f"{self.url}/overlay/nodes")["nodes"]
        return found

    @property
    def height(self) -> int:
        return int(get_json(f"{self.url}/overlay/tip")["height"])


def known(node: OverlayProcess) -> int:
    return sum(each["disposition"] == "available" for each in node.nodes())


def linked(node: OverlayProcess) -> int:
    return sum(each["linked"] for each in node.nodes())


@contextmanager
def running(nodes: list[OverlayProcess]) -> Iterator[None]:
    try:
        for node in nodes:
            node.start()
        yield
    finally:
        for node in nodes:
            node.kill()


def until(what: str, condition: Callable[[], bool], timeout_s: float = 90.0) -> float:
    """Wait for ``condition``, which may find nobody listening yet; how long it took."""
    begun_s = time.monotonic()

    def holds() -> bool:
        try:
            return condition()
        except OSError:
            return False

    wait_for(what, holds, timeout_s=timeout_s)
    return time.monotonic() - begun_s


def test_twenty_find_each_other_and_ten_go_on_without_ten(tmp_path: Path, tell: Tell) -> None:
    ports = free_ports(COUNT)
    nodes = [
        OverlayProcess(
            place, ports, tmp_path, *(("--block-every-s", 2) if place == COUNT - 1 else ())
        )
        for place in range(COUNT)
    ]
    with running(nodes):
        found_s = until("all know all", lambda: all(known(node) == COUNT - 1 for node in nodes))
        height = nodes[-1].height + 1
        reached_s = until("a block at all", lambda: all(node.height >= height for node in nodes))
        gone, rest = nodes[:10], nodes[10:]  # the trusted peer of all others among them
        for node in gone:
            node.kill()
        # Each other, and the trusted one, which nobody puts aside.
        healed_s = until(
            "the rest know who is left", lambda: all(known(node) == len(rest) for node in rest)
        )
        assert all(linked(node) == len(rest) - 1 for node in rest)
        height = nodes[-1].height + 1
        again_s = until("a block at the rest", lambda: all(node.height >= height for node in rest))
        gone[3].start()
        back_s = until("one is back", lambda: all(linked(node) == len(rest) for node in rest))
        for node in nodes:
            assert "Traceback" not in node.text, node.tail(60)
    tell(
        f"{COUNT} knew each other {found_s:.1f} s after their start, a block reached all within"
        f" {reached_s:.1f} s; ten killed: the rest knew after {healed_s:.1f} s, a block within"
        f" {again_s:.1f} s; a restarted one was back after {back_s:.1f} s"
    )
