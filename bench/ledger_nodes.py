"""Ten nodes of a chain as processes, slots of a second: from a slot's beginning to its block on the last of them, and final there.

Each tells its events as they happen; the times are the nodes' own, of one machine's clock. Beside it the physical limit: what
the ten would have to do one after the other on this machine's cores, a signature and its ten verifications, is some
milliseconds; what is waited for is the way of a block through processes that share two cores.
"""

import json
import tempfile
import threading
import time
import urllib.request
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

from tests.integration.ledger_chain import LedgerProcess, members_chain
from tests.integration.processes import running

NODES, SLOTS, BEGIN_S = 10, 60, 45.0


def run() -> dict[str, Any]:
    """All of it."""
    with tempfile.TemporaryDirectory() as folder:
        start_s = members_chain(
            Path(folder), NODES, start_in_s=BEGIN_S, parameters={"slots_per_epoch": 20}
        )
        first = LedgerProcess("node0", Path(folder))
        rest = [
            LedgerProcess(f"node{number}", Path(folder), trusted=first.port)
            for number in range(1, NODES)
        ]
        nodes = [first, *rest]
        events: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        with running(*nodes):
            for node in nodes:
                node.wait_alive()
            listening = [
                threading.Thread(target=_listen, args=(node.url, events, start_s), daemon=True)
                for node in nodes
            ]
            for each in listening:
                each.start()
            print(
                f"  {NODES} nodes up {start_s - time.time():.0f} s before the chain begins",
                flush=True,
            )
            time.sleep(max(0.0, start_s + SLOTS + 3 - time.time()))
            logs = [entry for node in nodes for entry in node.logs()]
    late_s = [_late_s(entry) for entry in logs if entry["wake_at_time"] is not None]
    made = sum(entry["outcome"] == "accepted" for entry in logs)
    found: dict[str, Any] = {"made": made, "wake_late_p99_s": _p99(late_s)}
    print(
        f"{made} blocks in {SLOTS} slots; leaders woken after their slot began:"
        f" p50 {1e3 * _p50(late_s):.1f}, p99 {1e3 * _p99(late_s):.1f} ms"
    )
    for event, what in (("block", "counts on"), ("final", "is final on")):
        last = [max(each) for each in events[event].values() if len(each) == NODES]
        found[event] = {"blocks": len(last), "p50_s": _p50(last), "p99_s": _p99(last)}
        print(
            f"a block {what} the last of {NODES}: p50 {1e3 * _p50(last):.0f}, p99 {1e3 * _p99(last):.0f} ms"
            f" after its slot began, of {len(last)} that did on all"
        )
    return found


def _listen(url: str, events: dict[str, dict[str, list[float]]], start_s: float) -> None:
    """Each event of blocks with a slot; the first two tell what was there before."""
    with urllib.request.urlopen(f"{url}/ledger/events", timeout=start_s + SLOTS) as stream:
        for line in stream:
            if line.startswith(b"data:"):
                told = json.loads(line[5:])
                if told.get("height"):
                    events[told["event"]][told["block"]].append(told["after_slot_s"])


def _late_s(entry: dict[str, Any]) -> float:
    woken, scheduled = (
        datetime.fromisoformat(entry[name]) for name in ("wake_at_time", "scheduled_at_time")
    )
    return (woken - scheduled).total_seconds()


def _p50(values: list[float]) -> float:
    return quantiles(values, n=100)[49]


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98]


if __name__ == "__main__":
    run()
