"""The enclave process: a batch of votes from request to signatures, durable record included.

Beside it the native limit: one hash to the curve and one multiplication for each share, on two
threads, and nothing else.
"""

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from tests.enclave.enclave_world import OLD_CHAIN, validators, vote, write_share

from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.keys import BlsKeyRing
from tetrarch.enclave.ports import Approved, SignRandao

BATCHES = (1, 31, 100)
REPEATS = 40


async def measure(folder: Path) -> dict[str, Any]:
    keys = validators(max(BATCHES))
    files = [write_share(folder, key, name=f"s{number}") for number, key in enumerate(keys)]
    begun = time.perf_counter()
    client = await EnclaveClient.start(database=folder / "enclave.sqlite", shares=files)
    figures: dict[str, Any] = {"start_ms": round((time.perf_counter() - begun) * 1e3, 1)}
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
    times = []
    for number in range(REPEATS):
        begun = time.perf_counter()
        await client.sign((SignRandao(keys[0].pubkey, number),))
        times.append((time.perf_counter() - begun) * 1e3)
    figures["randao_p50_ms"] = round(median(times), 2)
    await client.close()
    return figures


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
    for size in BATCHES:
        figures[f"votes_{size}_native_ms"] = native_ms(size)
    for name, value in sorted(figures.items()):
        print(f"  {name:28} {value}")
    return figures


if __name__ == "__main__":
    run()
