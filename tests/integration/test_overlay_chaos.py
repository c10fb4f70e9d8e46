"""Goal: a network that delays, loses and falls in two has one chain again once it is whole.

Method: eight processes of ``tetrarch overlay node``, each in a network namespace, on real time; packets
between them take 10 to 60 ms, two in a hundred are lost. One node of each half makes blocks all the time.
The test is the switch between them: it parts the halves, and joins them again.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.namespaces import Internet, Line, internet
from tests.integration.processes import Command, get_json
from tests.integration.test_overlay_processes import until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

Tell = Callable[[object], None]
COUNT = 8
LEFT, RIGHT = range(4), range(4, COUNT)
MAKERS = {LEFT[-1]: 1.0, RIGHT[-1]: 0.7}  # seconds between blocks: one half's chain is longer
APART_BLOCKS = 14  # for longer than links bear silence
PORT, MONITORING_PORT = 3000, 3630
LINE = Line(delay_s=(0.01, 0.06), loss=0.02)


class DistantProcess(Command):
    """``tetrarch overlay node`` at a place of its own."""

    def __init__(self, place: int, net: Internet, folder: Path) -> None:
        self._net = net
        self.place = place
        arguments: list[object] = ["overlay", "node", "--listen", f"{net.ip(place)}:{PORT}"]
        arguments += ["--folder", folder / f"node{place}", "--private-addresses"]
        arguments += ["--monitoring-port", MONITORING_PORT, "--round-s", 2.0]
        arguments += ["--block-every-s", MAKERS.get(place, 0)]
        if place:
            arguments += ["--trusted", f"{net.ip(0)}:{PORT}"]
        command = net.command(place, sys.executable, "-m", "tetrarch")
        super().__init__(f"node{place}", arguments, folder, command)

    def ask(self, view: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{MONITORING_PORT}/overlay/{view}"
        return self._net.inside(self.place, lambda: get_json(url))

    @property
    def tip(self) -> tuple[int, str]:
        told = self.ask("tip")
        return told["height"], told["block"]

    @property
    def linked(self) -> int:
        return sum(each["linked"] for each in self.ask("nodes")["nodes"])


def heights(nodes: list[DistantProcess]) -> list[int]:
    return [node.tip[0] for node in nodes]


def test_two_halves_of_a_bad_network_have_one_chain_again(tmp_path: Path, tell: Tell) -> None:
    with internet(COUNT, LINE, seed=8) as net:
        nodes = [DistantProcess(place, net, tmp_path) for place in range(COUNT)]
        left, right = [nodes[place] for place in LEFT], [nodes[place] for place in RIGHT]
        try:
            for node in nodes:
                node.start()
            linked_s = until("all linked", lambda: all(node.linked == COUNT - 1 for node in nodes))
            height = max(heights(nodes)) + 2
            until("blocks at all", lambda: min(heights(nodes)) >= height)

            net.switch.part(LEFT, RIGHT)
            apart = max(heights(nodes)) + APART_BLOCKS
            until("both halves go on", lambda: min(heights(nodes)) >= apart)
            until("links across are gone", lambda: max(node.linked for node in nodes) <= 3)
            assert {node.tip[1] for node in left}.isdisjoint({node.tip[1] for node in right})

            nodes[LEFT[-1]].stop()  # the other maker's half has the longer chain
            net.switch.part()
            rest = [node for node in nodes if node.running]

            def one_chain() -> bool:
                return len({node.tip for node in rest}) == 1

            healed_s = until("one chain", one_chain)
            height = max(heights(rest)) + 3
            until("blocks at all again", lambda: min(heights(rest)) >= height)
            for node in nodes:
                assert "Traceback" not in node.text, node.tail(60)
        finally:
            for node in nodes:
                node.kill()
        switch = net.switch
        assert switch.lost > 0
    tell(
        f"{COUNT} linked after {linked_s:.1f} s; one chain {healed_s:.1f} s after the halves could"
        f" hear each other; {switch.carried} packets carried, {switch.lost} lost"
    )
