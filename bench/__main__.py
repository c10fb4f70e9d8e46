"""Run all benchmarks, or those named, and write what they return to ``bench/results``.

usage: python -m bench [NAME ...]
"""

import importlib
import json
import platform
import sys
import time
from pathlib import Path

NAMES = (
    "bls",
    "frost",
    "ssz_block",
    "mesh",
    "enclave",
    "evidence",
    "elections",
    "elections_simulated",
    "qbft",
    "duties",
    "simulated",
    "hostile",
    "overlay",
    "overlay_hostile",
    "ledger",
    "ledger_nodes",
)
RESULTS = Path(__file__).parent / "results"


def main() -> int:
    names = sys.argv[1:] or NAMES
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        print(f"unknown benchmarks {unknown}; there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    RESULTS.mkdir(exist_ok=True)
    for name in names:
        print(f"\n== {name} ==", flush=True)
        begun = time.perf_counter()
        figures = importlib.import_module(f"bench.{name}").run()
        seconds = round(time.perf_counter() - begun, 1)
        result = {"machine": platform.processor() or platform.machine(), "figures": figures}
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1, default=str))
        print(f"({seconds} s; bench/results/{name}.json)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
