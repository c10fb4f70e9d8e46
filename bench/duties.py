"""The whole node: four real node processes on one machine against the development chain.

For each number of validators: from attestation data (or block) ready to the group signature
submitted, per node and for the first node of the cluster; for every type, from the duty's start to
its submission; CPU, bytes sent and memory per node and slot. With 1000 validators of the mainnet preset about 31 attest in a slot. None of them is in the sync
committee, as mostly on a chain of a million; one more validator, which the chain runs, is all of it.

The limit beside it: what the same slot's native BLS work costs on this machine's two cores,
for four nodes and the chain, with nothing else: signing, decompressing, combining, verifying.
"""

import asyncio
import contextlib
import os
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from tests.crypto.keys import deal

from tetrarch.clock import SystemClock
from tetrarch.crypto.points import PublicKeyPoint
from tetrarch.crypto.slot import PartialsOfOne, sign_slot
from tetrarch.demo.cluster import DemoOptions, build_demo
from tetrarch.demo.show import Demo
from tetrarch.demo.summary import NodeDuty, percentile
from tetrarch.entropy import system_entropy

SLOTS = 26
SLOT_MS = 6_000
# Of the cluster, and others on the chain that nobody runs. Alone, all attesters of a slot aggregate;
# in committees of 128 (on mainnet 512) an eighth of them is drawn (on mainnet a 32nd).
VALIDATORS = ((1, 0), (100, 0), (1000, 0), (1000, 15_384))
NODES = 4
WARM_UP_SLOTS = 2
SIGNED_ONLY = ("randao", "prepare_aggregator", "prepare_sync_contribution")
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_ms(process_id: int) -> float:
    """User and system time of a process and its living children, in milliseconds."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rsplit(")", 1)[1].split()
    total = (int(fields[11]) + int(fields[12])) * 1000 / _TICKS
    for task in Path(f"/proc/{process_id}/task").iterdir():
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                total += cpu_ms(int(child))
    return total


def resident_mb(process_id: int) -> float:
    """Resident memory of a process and its living children, in MB."""
    total = 0.0
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            total = int(line.split()[1]) / 1024
    for task in Path(f"/proc/{process_id}/task").iterdir():
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                total += resident_mb(int(child))
    return total


def sent(url: str) -> tuple[float, float]:
    """Bytes and frames that the node at ``url`` has sent to its peers so far."""
    totals = dict.fromkeys(
        ("tetrarch_mesh_sent_bytes_total", "tetrarch_mesh_sent_frames_total"), 0.0
    )
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            name = line.partition("{")[0]
            if name in totals:
                totals[name] += float(line.rsplit(" ", 1)[1])
    return totals["tetrarch_mesh_sent_bytes_total"], totals["tetrarch_mesh_sent_frames_total"]


class Meter:
    """Reads CPU and traffic of all nodes at two slots, and memory at the second."""

    def __init__(self, demo: Demo) -> None:
        self._demo = demo
        self.cpu_ms_per_slot = 0.0
        self.kb_sent_per_slot = 0.0
        self.frames_sent_per_slot = 0.0
        self.resident_mb = 0.0

    async def _sent(self) -> tuple[float, float]:
        each = [await asyncio.to_thread(sent, url) for url in self._demo.node_urls]
        return sum(size for size, _ in each) / NODES, sum(count for _, count in each) / NODES

    def _all(self, read: Callable[[int], float]) -> float:
        running = [node.process.pid for node in self._demo.nodes if node.process is not None]
        return sum(map(read, running)) / max(len(running), 1)

    async def _until(self, slot: int) -> None:
        wait_s = self._demo.genesis_time_s + slot * SLOT_MS / 1000 - SystemClock().wall_s()
        await asyncio.sleep(max(wait_s, 0))

    async def run(self) -> None:
        await self._until(WARM_UP_SLOTS)
        size, frames = await self._sent()
        before, slot = self._all(cpu_ms), self._demo.slot
        await self._until(SLOTS - 1)
        slots = self._demo.slot - slot
        self.cpu_ms_per_slot = (self._all(cpu_ms) - before) / slots
        size_then, frames_then = await self._sent()
        self.kb_sent_per_slot = (size_then - size) / slots / 1000
        self.frames_sent_per_slot = (frames_then - frames) / slots
        self.resident_mb = self._all(resident_mb)


async def measure(validators: int, *, absent: int = 0, beacon_nodes: int = 1) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="tetrarch-bench-") as folder:
        options = DemoOptions(
            slots=SLOTS,
            slot_duration_ms=SLOT_MS,
            validators=validators,
            nodes=NODES,
            fork="electra",
            preset="mainnet" if validators > 200 else "minimal",
            outside_sync_committee=True,
            absent=absent,
            beacon_nodes=beacon_nodes,
        )
        demo = build_demo(
            options,
            folder=Path(folder),
            clock=SystemClock(),
            console=Console(quiet=True),
            show=False,
        )
        meter = Meter(demo)
        async with asyncio.TaskGroup() as tasks:
            metering = tasks.create_task(meter.run())
            summary = await demo.run()
            metering.cancel()
        duties = [duty for duty in demo.node_duties if duty.slot >= WARM_UP_SLOTS]
    figures = {
        "validators": validators,
        "others_on_chain": absent,
        "missed": summary.missed,
        "cpu_ms_per_node_slot": round(meter.cpu_ms_per_slot, 1),
        "kb_sent_per_node_slot": round(meter.kb_sent_per_slot, 1),
        "frames_sent_per_node_slot": round(meter.frames_sent_per_slot, 1),
        "resident_mb_per_node": round(meter.resident_mb, 1),
        "late": summary.late,
        "delays": delays(duties),
    }
    for kind in ("attester", "proposer"):
        figures |= spans([duty for duty in duties if duty.type == kind], kind)
    return figures


def delays(duties: Sequence[NodeDuty]) -> dict[str, dict[str, Any]]:
    """By type: from the duty's start to its submission (to the group's signature where nothing
    is submitted), over all nodes and slots."""
    found: dict[str, list[float]] = {}
    for duty in duties:
        ended_ms = duty.at_ms.get("aggregated" if duty.type in SIGNED_ONLY else "submitted")
        if ended_ms is not None:
            # A vote starts with its slot's block, or at a third: where this node did start it.
            found.setdefault(duty.type, []).append(ended_ms - duty.at_ms.get("scheduled", 0.0))
    return {
        kind: {
            "count": len(each),
            "p50_ms": percentile(each, 0.5),
            "p99_ms": percentile(each, 0.99),
        }
        for kind, each in sorted(found.items())
    }


def spans(duties: list[NodeDuty], kind: str) -> dict[str, Any]:
    """Times from data ready to submitted: per node, and for the first node of the cluster."""
    own = [
        duty.at_ms["submitted"] - duty.at_ms["fetched"]
        for duty in duties
        if "submitted" in duty.at_ms and "fetched" in duty.at_ms
    ]
    decided = [
        duty.at_ms["decided"] - duty.at_ms["fetched"]
        for duty in duties
        if "decided" in duty.at_ms and "fetched" in duty.at_ms
    ]
    by_slot: dict[int, list[NodeDuty]] = {}
    for duty in duties:
        if "submitted" in duty.at_ms and "fetched" in duty.at_ms:
            by_slot.setdefault(duty.slot, []).append(duty)
    first = [
        min(duty.at_ms["submitted"] for duty in group) - min(d.at_ms["fetched"] for d in group)
        for group in by_slot.values()
    ]
    sizes = [max(duty.validators for duty in group) for group in by_slot.values()]
    return {
        f"{kind}_duties": len(by_slot),
        f"{kind}_validators_per_slot": round(sum(sizes) / max(len(sizes), 1), 1),
        f"{kind}_ready_to_decided_p50_ms": percentile(decided, 0.5),
        f"{kind}_ready_to_submitted_p50_ms": percentile(own, 0.5),
        f"{kind}_ready_to_submitted_p99_ms": percentile(own, 0.99),
        f"{kind}_ready_to_first_submitted_p50_ms": percentile(first, 0.5),
        f"{kind}_ready_to_first_submitted_p99_ms": percentile(first, 0.99),
    }


def native_limit_ms(validators: int) -> float:
    """The slot's BLS work of all four nodes on two cores, and nothing else."""
    root = b"r" * 32
    items = []
    begun = time.perf_counter()
    signing_s = 0.0
    for number in range(validators):
        validator = deal(number, shares=NODES, threshold=3)
        begun = time.perf_counter()
        partials = {index: validator.shares[index].sign(root) for index in (1, 2, 3)}
        signing_s += (time.perf_counter() - begun) / 3
        items.append(
            PartialsOfOne(
                public_key=PublicKeyPoint.parse(validator.commitments[0]),
                message=root,
                public_shares={
                    index: PublicKeyPoint.parse(share.public_key())
                    for index, share in validator.shares.items()
                },
                partials=dict(partials),
            )
        )
    begun = time.perf_counter()
    sign_slot(items, threshold=3, entropy=system_entropy)
    combining_s = time.perf_counter() - begun
    return 1000 * NODES * (signing_s + combining_s) / 2


def run() -> dict[str, Any]:
    rows = [asyncio.run(measure(count, absent=absent)) for count, absent in VALIDATORS]
    for row in rows:
        row["native_bls_limit_ms"] = round(
            native_limit_ms(max(round(row["attester_validators_per_slot"]), 1)), 1
        )
        print(f"validators {row['validators']}, others on the chain {row['others_on_chain']}:")
        for kind, told in row["delays"].items():
            print(
                f"  {kind:28} p50 {told['p50_ms']:8.1f}  p99 {told['p99_ms']:8.1f} ms"
                f"  ({told['count']} of all nodes)"
            )
        for name, value in row.items():
            if name not in {"validators", "others_on_chain", "delays"}:
                print(f"  {name:44} {value}")
    return {
        f"{row['validators']} of {row['validators'] + row['others_on_chain']}": row for row in rows
    }


if __name__ == "__main__":
    run()
