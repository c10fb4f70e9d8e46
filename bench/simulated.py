"""The whole workflow of n nodes in virtual time, with the CPU costs of this machine.

n in {4, 7, 10}, v up to 3000, two networks: delay from a duty's start to its submission, CPU and
bytes per node and slot. Then 50 epochs at v = 100: memory must not grow.
"""

import asyncio
import gc
import sys
from functools import partial
from pathlib import Path
from typing import Any

from bench.metered_world import FIRST_SLOT, MeteredWorld, Size
from bench.operation_costs import Costs, as_figures, measure_costs
from bench.virtual_cpu import run_metered
from tetrarch.consensus.messages import quorum
from tetrarch.demo.summary import percentile
from tetrarch.sim.chain import GENESIS_S, SLOT_MS

NODES = (4, 7, 10)
VALIDATORS = (1, 100, 1000, 3000)
DELAYS_S = (0.001, 0.040)
SLOT_S = SLOT_MS / 1000
WARM_UP_SLOTS = 4
MEASURED_SLOTS = {1: 34, 100: 34, 1000: 12, 3000: 8}
MEMORY_EPOCHS = 50
MEMORY_SAMPLES = 5
MEMORY_SLOTS_PER_EPOCH = 8


async def _until_slot(slot: float) -> None:
    start_s = GENESIS_S + slot * SLOT_S
    await asyncio.sleep(start_s - asyncio.get_running_loop().time())


async def measure(size: Size, costs: Costs) -> dict[str, Any]:
    """One world's row."""
    world = MeteredWorld(size, costs)
    first = FIRST_SLOT + WARM_UP_SLOTS
    last = first + MEASURED_SLOTS[size.validators]
    async with asyncio.TaskGroup() as tasks:
        lives = [tasks.create_task(world.live(index)) for index in range(size.node_count)]
        await _until_slot(first)
        gc.collect()
        gc.freeze()  # as ``launch`` does: a collection would walk all nodes' objects at once
        before = [(p.cpu_s, p.loop_s, p.sent_bytes, p.sent_messages) for p in world.processors]
        await _until_slot(last)
        after = [(p.cpu_s, p.loop_s, p.sent_bytes, p.sent_messages) for p in world.processors]
        gc.unfreeze()
        for life in lives:
            life.cancel()
    spent = [
        [b - a for a, b in zip(*pair, strict=True)] for pair in zip(before, after, strict=True)
    ]
    per_node_slot = [
        sum(each[at] for each in spent) / size.node_count / (last - first) for at in range(4)
    ]
    row: dict[str, Any] = {
        "cpu_ms_per_node_slot": round(per_node_slot[0] * 1000, 1),
        "loop_ms_per_node_slot": round(per_node_slot[1] * 1000, 1),
        "kb_sent_per_node_slot": round(per_node_slot[2] / 1000, 1),
        "messages_sent_per_node_slot": round(per_node_slot[3], 1),
        "warnings": world.warnings,
        "duties": {},
    }
    for kind, duties in sorted(world.delays_s.items()):
        slots = range(first, last - 1)
        chosen = [times for duty, times in duties.items() if duty.slot in slots]
        all_ms = [1000 * each for times in chosen for each in times]
        if all_ms:
            row["duties"][kind.name.lower()] = {
                "count": len(chosen),
                "everywhere": all(len(times) == size.node_count for times in chosen),
                "p50_ms": percentile(all_ms, 0.5),
                "p99_ms": percentile(all_ms, 0.99),
            }
    return row


def resident_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


async def memory(costs: Costs) -> list[dict[str, float]]:
    """Memory blocks that Python holds, and the process's memory, at every fifth epoch.

    All four nodes together. Blocks are counted by the interpreter itself, which costs nothing and
    shows a leak of a single object in each slot.
    """
    size = Size(
        node_count=4,
        threshold=3,
        validators=100,
        delay_s=DELAYS_S[0],
        slots_per_epoch=MEMORY_SLOTS_PER_EPOCH,
    )
    world = MeteredWorld(size, costs)
    samples = []
    async with asyncio.TaskGroup() as tasks:
        lives = [tasks.create_task(world.live(index)) for index in range(size.node_count)]
        for epoch in range(MEMORY_SAMPLES, MEMORY_EPOCHS + 1, MEMORY_SAMPLES):
            await _until_slot(FIRST_SLOT + epoch * MEMORY_SLOTS_PER_EPOCH)
            world.delays_s.clear()
            gc.collect()
            blocks = sys.getallocatedblocks()
            samples.append({"epoch": epoch, "blocks": blocks, "resident_mb": resident_mb()})
        for life in lives:
            life.cancel()
    return samples


def slope(samples: list[dict[str, float]], name: str) -> float:
    """Growth per epoch by least squares, from epoch 30 on: until then bounded memories fill."""
    points = [(each["epoch"], each[name]) for each in samples if each["epoch"] >= 30]
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    above = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return round(above / sum((x - mean_x) ** 2 for x, _ in points), 2)


def run() -> dict[str, Any]:
    figures: dict[str, Any] = {"costs": {}, "worlds": []}
    for nodes in NODES:
        costs = measure_costs(nodes, quorum(nodes))
        figures["costs"][str(nodes)] = as_figures(costs)
        for validators in VALIDATORS:
            for delay_s in DELAYS_S:
                size = Size(
                    node_count=nodes,
                    threshold=quorum(nodes),
                    validators=validators,
                    delay_s=delay_s,
                )
                gc.collect()
                row = run_metered(partial(measure, size, costs), seed=1)
                named = {"nodes": nodes, "validators": validators, "delay_ms": delay_s * 1000}
                figures["worlds"].append(named | row)
                print_row(named, row)
    costs = measure_costs(4, 3)
    samples = run_metered(lambda: memory(costs), seed=1)
    slopes = {name: slope(samples, name) for name in ("blocks", "resident_mb")}
    figures["memory"] = {"samples": samples, "growth_per_epoch": slopes}
    for each in samples:
        print(
            f"  epoch {each['epoch']:3}: {each['blocks']} blocks, resident {each['resident_mb']} MB"
        )
    print(f"  growth per epoch, four nodes together: {slopes}")
    return figures


def print_row(named: dict[str, Any], row: dict[str, Any]) -> None:
    print(
        f"n {named['nodes']:2}  v {named['validators']:4}  network {named['delay_ms']:3.0f} ms:"
        f"  CPU {row['cpu_ms_per_node_slot']} ms (loop {row['loop_ms_per_node_slot']}),"
        f" {row['kb_sent_per_node_slot']} kB, {row['messages_sent_per_node_slot']} messages"
        f" per node and slot  {row['warnings'] or ''}",
        flush=True,
    )
    for kind, told in row["duties"].items():
        missing = "" if told["everywhere"] else "  NOT ON ALL NODES"
        print(
            f"    {kind:28} p50 {told['p50_ms']:8.1f}  p99 {told['p99_ms']:8.1f} ms"
            f"  ({told['count']} duties){missing}"
        )


if __name__ == "__main__":
    run()
