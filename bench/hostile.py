"""What one hostile node of four costs the other three: real processes, real sockets.

The same cluster runs with four honest nodes, once for each way to do harm (``bench.hostile_node``),
and with honest ones again: what differs between those two runs is the machine's. For each: from
data ready to submitted on the honest nodes, as a ratio to the first honest run, and by which
metrics the honest nodes name the hostile one. Duties whose round 1 the hostile node leads are
shown apart: it can always be silent there, and no protocol of this kind can do without a silent
leader faster than its first timer.
"""

import asyncio
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from bench.hostile_node import KINDS
from tetrarch.clock import SystemClock
from tetrarch.consensus.messages import leader
from tetrarch.demo.cluster import DemoOptions, build_demo
from tetrarch.demo.show import Demo
from tetrarch.demo.summary import NodeDuty, percentile
from tetrarch.duties.duty import Duty, DutyType

SLOTS = 24
SLOT_MS = 4_000
VALIDATORS = 64
NODES = 4
HOSTILE = 3  # 0-based
WARM_UP_SLOTS = 2
NAMING = "tetrarch_peer_faults_total"


async def measure(kind: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="tetrarch-bench-") as folder:
        demo = build_demo(
            DemoOptions(
                slots=SLOTS,
                slot_duration_ms=SLOT_MS,
                validators=VALIDATORS,
                nodes=NODES,
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
    for duty_type in (DutyType.ATTESTER, DutyType.PROPOSER):
        name = duty_type.name.lower()
        of_type = [duty for duty in duties if duty.type == name and "fetched" in duty.at_ms]
        led = [duty for duty in of_type if leader(Duty(duty.slot, duty_type), 1, NODES) == HOSTILE]
        figures |= spans(name, [duty for duty in of_type if duty not in led])
        figures |= spans(f"{name}_it_leads", led)
    return figures


def spans(name: str, duties: list[NodeDuty]) -> dict[str, Any]:
    took = [duty.at_ms["submitted"] - duty.at_ms["fetched"] for duty in duties]
    return {
        f"{name}_count": len(took),
        f"{name}_p50_ms": percentile(took, 0.5),
        f"{name}_p99_ms": percentile(took, 0.99),
    }


async def named(demo: Demo) -> dict[str, int]:
    """What honest nodes' metrics say against the hostile one, added up, shortly before the end."""
    end_s = demo.genesis_time_s + (SLOTS - 1) * SLOT_MS / 1000
    await asyncio.sleep(max(end_s - SystemClock().wall_s(), 0))
    found: Counter[str] = Counter()
    async with aiohttp.ClientSession() as session:
        for url in demo.node_urls[:HOSTILE]:
            async with session.get(f"{url}/metrics") as answer:
                text = await answer.text()
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    if sample.name == NAMING and sample.labels["peer"] == f"node{HOSTILE}":
                        found[sample.labels["kind"]] += int(sample.value)
    return {kind: count for kind, count in sorted(found.items()) if count}


def run() -> dict[str, Any]:
    table = {kind: asyncio.run(measure(kind)) for kind in ("honest", *KINDS)}
    table["honest_again"] = asyncio.run(measure("honest"))
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
