"""The enclave process: a batch of votes from request to signatures, durable record included.

Beside it the native limit: one hash to the curve and one multiplication for each share, on two
threads, and nothing else. One duty's round trip and the bare signature are taken in turns, so that
both are of the same moment; goal: 0.4 ms between them. Locking (goal 30 ms) is what ``confine`` and
``lock_memory`` take in a process that has loaded all; starting (goal 400 ms) ends with an open, locked
enclave without keys, and an interpreter that does nothing is the limit beside it.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from tests.enclave.enclave_world import (
    OLD_CHAIN,
    Validator,
    validators,
    vote,
    write_share,
)

from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.keys import BlsKeyRing
from tetrarch.enclave.ports import Approved, SignRandao

BATCHES = (1, 31, 100, 200)
REPEATS = 40
STARTS = 10
GOALS = {"duty_over_bare_p50_ms": 0.4, "locked_p50_ms": 30, "started_p50_ms": 400}
LOCKED = """
import json, sys, time
from pathlib import Path
from tetrarch.enclave import process, sandbox  # all that an enclave has loaded
from tetrarch.enclave.confining import confine
from tetrarch.enclave.protections import Confinement
begun = time.perf_counter()
sandbox.protect_process()
active = confine(Confinement(writable=(Path(sys.argv[1]),)))
active += sandbox.lock_memory()
print(json.dumps([(time.perf_counter() - begun) * 1e3, active]))
"""


async def measure(folder: Path) -> dict[str, Any]:
    keys = validators(max(BATCHES))
    files = [write_share(folder, key, name=f"s{number}") for number, key in enumerate(keys)]
    begun = time.perf_counter()
    client = await EnclaveClient.start(database=folder / "enclave.sqlite", shares=files)
    opened_ms = round((time.perf_counter() - begun) * 1e3, 1)
    figures: dict[str, Any] = {f"started_with_{len(keys)}_keys_ms": opened_ms}
    await client.configure(OLD_CHAIN)
    epoch = 0
    for size in BATCHES:
        times = []
        for _ in range(REPEATS):
            epoch += 1
            batch = tuple(vote(key.pubkey, epoch, epoch + 1) for key in keys[:size])
            begun = time.perf_counter()
            results = await client.sign(batch)
            times.append((time.perf_counter() - begun) * 1e3)
            if not all(isinstance(result, Approved) for result in results):
                raise RuntimeError("the enclave refused a benchmark's vote")
            await asyncio.sleep(0.02)
        times.sort()
        figures[f"votes_{size}_p50_ms"] = round(median(times), 2)
        figures[f"votes_{size}_p90_ms"] = round(times[int(REPEATS * 0.9)], 2)
    figures |= await duty(client, keys[0])
    batches = []
    for number in range(REPEATS):
        begun = time.perf_counter()
        await client.sign(tuple(SignRandao(key.pubkey, number) for key in keys))
        batches.append((time.perf_counter() - begun) * 1e3)
    figures[f"duties_{len(keys)}_p50_ms"] = round(median(batches), 2)
    figures["duties_a_second"] = round(len(keys) / median(batches) * 1e3)
    await client.close()
    return figures


async def duty(client: EnclaveClient, key: Validator) -> dict[str, Any]:
    """One signature without a record, there and back, in turns with the bare one."""
    trips, bare = [], []
    ring = BlsKeyRing({key.pubkey: key.share})
    for number in range(5 * REPEATS):
        begun = time.perf_counter()
        await client.sign((SignRandao(key.pubkey, number),))
        between = time.perf_counter()
        ring.sign([(key.pubkey, number.to_bytes(32, "big"))])
        bare.append((time.perf_counter() - between) * 1e3)
        trips.append((between - begun) * 1e3)
    ring.close()
    return {
        "duty_p50_ms": round(median(trips), 3),
        "duty_bare_p50_ms": round(median(bare), 3),
        "duty_over_bare_p50_ms": round(median(trips) - median(bare), 3),
    }


def locking(folder: Path) -> dict[str, Any]:
    """Until locked, in a process of its own each time; and what is active then."""
    times, active = [], []
    for _ in range(STARTS):
        command = [sys.executable, "-c", LOCKED, str(folder)]
        told = subprocess.run(command, capture_output=True, check=True, timeout=60)
        milliseconds, active = json.loads(told.stdout)
        times.append(milliseconds)
    return {"locked_p50_ms": round(median(times), 1), "locked_by": ", ".join(active)}


async def starting(folder: Path) -> dict[str, Any]:
    """Until open and locked, without keys; and an interpreter that does nothing."""
    times, idle = [], []
    for number in range(STARTS):
        begun = time.perf_counter()
        client = await EnclaveClient.start(database=folder / f"start-{number}.sqlite", shares=())
        times.append((time.perf_counter() - begun) * 1e3)
        await client.close()
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-I", "-c", "pass"], check=True, timeout=60)  # noqa: ASYNC221
        idle.append((time.perf_counter() - begun) * 1e3)
    return {
        "started_p50_ms": round(median(times), 1),
        "started_interpreter_p50_ms": round(median(idle), 1),
    }


def native_ms(size: int) -> float:
    """Signing alone, on two threads."""
    keys = validators(size)
    ring = BlsKeyRing({key.pubkey: key.share for key in keys}, threads=2)
    wanted = [(key.pubkey, b"r" * 32) for key in keys]
    times = []
    for _ in range(10):
        begun = time.perf_counter()
        ring.sign(wanted)
        times.append((time.perf_counter() - begun) * 1e3)
    ring.close()
    return round(median(times), 2)


def run() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="tetrarch-bench-") as folder:
        figures = asyncio.run(measure(Path(folder)))
        figures |= locking(Path(folder)) | asyncio.run(starting(Path(folder)))
    for size in BATCHES:
        figures[f"votes_{size}_native_ms"] = native_ms(size)
    for name, value in sorted(figures.items()):
        goal = f"   (goal {GOALS[name]})" if name in GOALS else ""
        print(f"  {name:28} {value}{goal}")
    return figures


if __name__ == "__main__":
    run()
