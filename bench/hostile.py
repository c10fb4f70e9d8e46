"""What one hostile node of four costs the other three: real processes, real sockets.

The same cluster runs once with four honest nodes and once for each way to do harm, see
``bench.hostile_node``. For each: from data ready to submitted on the honest nodes, as a ratio to
the honest run, and by which metric the hostile node (peer 3) is named. Duties that the hostile
node leads in round 1 are shown apart: no protocol of this kind can do without that leader faster
than its first timer.
"""

import asyncio
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console

from bench.hostile_node import KINDS
from tetrarch.clock import SystemClock
from tetrarch.demo.cluster import DemoOptions, build_demo
from tetrarch.demo.show import Demo
from tetrarch.demo.summary import NodeDuty, percentile

SLOTS = 24
SLOT_MS = 4_000
VALIDATORS = 64
HOSTILE = 3  # 0-based
WARM_UP_SLOTS = 2
_NAMED = re.compile(r'^tetrarch_(\w+)\{([^}]*peer="3"[^}]*)\} ([0-9.e+]+)$', re.MULTILINE)


async def measure(kind: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="tetrarch-bench-") as folder:
        demo = build_demo(
            DemoOptions(
                slots=SLOTS,
                slot_duration_ms=SLOT_MS,
                validators=VALIDATORS,
                nodes=4,
                fork="electra",
            ),
            folder=Path(folder),
            clock=SystemClock(),
            console=Console(quiet=True),
            show=False,
        )
        if kind != "honest":
            child = demo.nodes[HOSTILE]
            bad = replace(child, module="bench.hostile_node", arguments=(kind, *child.arguments))
            demo.nodes = (*demo.nodes[:HOSTILE], bad)
        async with asyncio.TaskGroup() as tasks:
            naming = tasks.create_task(named(demo))
            summary = await demo.run()
        duties = [
            duty
            for duty in demo.node_duties
            if duty.slot >= WARM_UP_SLOTS and duty.node != HOSTILE and "submitted" in duty.at_ms
        ]
    figures: dict[str, Any] = {"missed": summary.missed, "named_by": naming.result()}
    for duty_type in ("attester", "proposer"):
        of_type = [duty for duty in duties if duty.type == duty_type and "fetched" in duty.at_ms]
        for name, some in {
            "": [duty for duty in of_type if duty.round == 1],
            "_later_rounds": [duty for duty in of_type if duty.round != 1],
        }.items():
            figures |= spans(f"{duty_type}{name}", some)
    return figures


def spans(name: str, duties: list[NodeDuty]) -> dict[str, Any]:
    took = [duty.at_ms["submitted"] - duty.at_ms["fetched"] for duty in duties]
    return {
        f"{name}_count": len(took),
        f"{name}_p50_ms": percentile(took, 0.5),
        f"{name}_p99_ms": percentile(took, 0.99),
    }


async def named(demo: Demo) -> dict[str, float]:
    """What node 0's metrics say against the hostile peer, shortly before the end."""
    end_s = demo.genesis_time_s + (SLOTS - 1) * SLOT_MS / 1000
    await asyncio.sleep(max(end_s - SystemClock().wall_s(), 0))
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{demo.node_urls[0]}/metrics") as answer,
    ):
        text = await answer.text()
    found = {f"{name}{{{labels}}}": float(value) for name, labels, value in _NAMED.findall(text)}
    return {
        name: value
        for name, value in found.items()
        if value > 0 and any(word in name for word in ("fault", "dropped", "rejected", "refused"))
    }


def run() -> dict[str, Any]:
    table = {kind: asyncio.run(measure(kind)) for kind in ("honest", *KINDS)}
    honest = table["honest"]
    for kind, figures in table.items():
        print(f"{kind}:")
        for name, value in figures.items():
            base = honest.get(name)
            ratio = f"  x{value / base:.2f}" if name.endswith("_ms") and base and value else ""
            print(f"  {name:32} {value}{ratio}")
    return table


if __name__ == "__main__":
    run()
