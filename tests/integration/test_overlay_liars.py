"""Goal: nodes that lie, or never stop talking, are put aside by all, and blocks go on reaching everybody.

Method: eight processes of ``tetrarch overlay node`` that all know each other, one of which makes a block
every half second; then three of ``overlay_liar``, which do harm to whoever they link with.
"""

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.overlay_liar import KINDS
from tests.integration.processes import Command
from tests.integration.test_overlay_processes import OverlayProcess, known, linked, running, until
from tests.ports import free_ports

from tetrarch.entropy import system_entropy
from tetrarch.network.overlay.identity import open_identity

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

Tell = Callable[[object], None]
COUNT = 8
BLOCKS = 10


class LiarProcess(Command):
    """A process of ``overlay_liar``."""

    def __init__(self, kind: str, port: int, trusted_port: int, folder: Path) -> None:
        own = folder / f"liar-{kind}"
        own.mkdir()
        self.node = open_identity(own, system_entropy).node.hex()
        command = (sys.executable, "-m", "tests.integration.overlay_liar")
        super().__init__(f"liar-{kind}", [kind, port, trusted_port, own], folder, command)


def dispositions(node: OverlayProcess) -> dict[str, str]:
    return {each["node"]: each["disposition"] for each in node.nodes()}


def block_takes_s(nodes: list[OverlayProcess], count: int) -> list[float]:
    """From when the maker has a block until we saw it at all of them: our own asking included."""
    taken = []
    for _ in range(count):
        height = nodes[-1].height
        until("a block", lambda height=height: nodes[-1].height > height)  # type: ignore[misc]
        begun_s = time.monotonic()
        until("a block at all", lambda height=height: all(each.height > height for each in nodes))  # type: ignore[misc]
        taken.append(time.monotonic() - begun_s)
    return sorted(taken)


def test_liars_are_put_aside_by_all_and_blocks_go_on(tmp_path: Path, tell: Tell) -> None:
    ports = free_ports(COUNT + len(KINDS))
    nodes = [
        OverlayProcess(
            place, ports, tmp_path, *(("--block-every-s", 0.5) if place == COUNT - 1 else ())
        )
        for place in range(COUNT)
    ]
    liars = [
        LiarProcess(kind, port, ports[0], tmp_path)
        for kind, port in zip(KINDS, ports[COUNT:], strict=True)
    ]
    with running(nodes):
        until("all know all", lambda: all(known(node) == COUNT - 1 for node in nodes))
        before_s = block_takes_s(nodes, BLOCKS)
        with running(liars):  # type: ignore[arg-type]
            until("all are linked", lambda: all(linked(node) == len(ports) - 1 for node in nodes))
            for liar in liars:
                liar.send(signal.SIGUSR1)
            begun_s = time.monotonic()
            during_s = block_takes_s(nodes, BLOCKS)

            def all_put_all_aside() -> bool:
                return all(
                    dispositions(node).get(liar.node) == "quarantined"
                    for node in nodes
                    for liar in liars
                )

            until("all put them aside", all_put_all_aside)
            aside_s = time.monotonic() - begun_s
            after_s = block_takes_s(nodes, BLOCKS)
            assert all(liar.running for liar in liars), "they do not do harm any more"
        seen = [dispositions(node) for node in nodes]
        for node in nodes:
            assert "Traceback" not in node.text, node.tail(60)
    honest = [
        [aside for other, aside in each.items() if other not in {liar.node for liar in liars}]
        for each in seen
    ]
    assert honest == [["available"] * (COUNT - 1)] * COUNT, "nobody else is put aside"
    medians_ms = [round(1000 * each[BLOCKS // 2]) for each in (before_s, during_s, after_s)]
    tell(
        f"liars seen put aside by all after {aside_s:.1f} s; a block seen at all, median without, with"
        f" and after them: {medians_ms} ms"
    )
