"""Electing a leader: real members over sockets on this machine.

A leader resigns, and every member waits for the certificate of the next one. Each member has its
enclave's process, a sealed and synced state, TLS and signatures; the physical limit beside it is one
synced write for each of the vote and the leader's signature, and the time that n members' signatures
take to be verified by n members on these cores. How it grows beyond: ``elections_simulated``.
"""

import asyncio
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.ports import free_ports

from tetrarch.election.campaigning import Campaign, Leadership, campaign
from tetrarch.election.timing import Timing
from tetrarch.storage.durable_file import write_durably

# All members share one event loop here: 20 of them would send 3,800 heartbeats a second over it at the
# usual interval, be late with some, and suspect each other. So they say them less often, and a term
# has time for 20 enclaves on these cores.
TIMINGS = {
    4: Timing(),
    7: Timing(),
    10: Timing(),
    20: Timing(heartbeat_s=0.5, term_s=2.0, term_max_s=16.0, retry_s=1.0),
}
ELECTIONS = {4: 10, 7: 10, 10: 10, 20: 5}
QUIET_S = 1.0  # before each, so that enclaves have done all that was asked of them
AGREED_S_MAX = 60.0
LOST_S, LOST_MAX = 15.0, 3
VERIFICATIONS_PER_MEMBER = 2  # of each other member's: a vote, and a share of the certificate


async def over_sockets(count: int, folder: Path) -> list[float]:
    """Milliseconds from a resignation until all know the next leader, some times."""
    names = [f"127.0.0.1:{port}" for port in free_ports(count)]
    async with AsyncExitStack() as stack:
        members = await asyncio.gather(
            *(
                stack.enter_async_context(
                    campaign(
                        name,
                        [other for other in names if other != name],
                        folder=folder / str(place),
                        timing=TIMINGS[count],
                    )
                )
                for place, name in enumerate(names)
            )
        )
        times_ms: list[float] = []
        lost = 0
        while len(times_ms) < ELECTIONS[count]:
            before = await _agreed(members)  # from here to the resignation nothing else runs
            leader = next(member for member in members if member.own_name == before.leader)
            begun_s = time.perf_counter()
            leader.resign()
            try:
                async with asyncio.timeout(LOST_S):
                    await asyncio.gather(*(_follows(member, before) for member in members))
            except TimeoutError:
                # Its enclave was behind, and resigned from an older term. That is no election.
                lost += 1
                if lost > LOST_MAX:
                    raise
                continue
            times_ms.append((time.perf_counter() - begun_s) * 1e3)
        return times_ms


async def _agreed(members: list[Campaign]) -> Leadership:
    """What all know, once that has been one leader of all of them for a while."""
    since_s, term = time.perf_counter(), 0
    async with asyncio.timeout(AGREED_S_MAX):
        while True:
            known = [member.leading for member in members]
            terms = {0 if each is None else each.term for each in known}
            first = known[0]
            if first is None or terms != {term} or len(first.members) != len(members):
                since_s, term = time.perf_counter(), max(terms)
            elif time.perf_counter() - since_s >= QUIET_S:
                return first
            await asyncio.sleep(0.01)


async def _follows(member: Campaign, before: Leadership) -> None:
    """Once this member knows who follows the leader that resigned."""
    async for leading in member.leaders():
        if leading.term > before.term and leading.leader != before.leader:
            return


def limit_ms(count: int, folder: Path) -> float:
    """Two synced writes, and all members' verifications on the two cores of this machine."""
    key = Ed25519PrivateKey.generate()
    text = Random(1).randbytes(200)
    signature, public = key.sign(text), key.public_key()
    begun_s = time.perf_counter()
    for _ in range(200):
        public.verify(signature, text)
    verify_ms = (time.perf_counter() - begun_s) * 1e3 / 200
    writes_ms = []
    for _ in range(20):
        begun_s = time.perf_counter()
        write_durably(folder / "state", text * 20)
        writes_ms.append((time.perf_counter() - begun_s) * 1e3)
    verifications = VERIFICATIONS_PER_MEMBER * count * (count - 1)
    return round(2 * median(writes_ms) + verifications * verify_ms / 2, 2)


def run() -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for count in TIMINGS:
        with tempfile.TemporaryDirectory(prefix="tetrarch-bench-") as folder:
            try:
                times_ms = sorted(asyncio.run(over_sockets(count, Path(folder))))
            except TimeoutError:  # so busy a machine says nothing
                print(f"  n = {count:3} over sockets: no certificate in time", flush=True)
                continue
            figures[f"sockets_n{count:02}"] = {
                "p50_ms": round(median(times_ms), 1),
                "p90_ms": round(times_ms[int(len(times_ms) * 0.9)], 1),
                "limit_ms": limit_ms(count, Path(folder)),
            }
        print(f"  n = {count:3} over sockets: {figures[f'sockets_n{count:02}']}", flush=True)
    return figures


if __name__ == "__main__":
    run()
