"""What hostile callers cost an honest one of a node of the overlay: real processes, TLS, loopback.

The honest one asks for a block fifty times a second, along a link that is there before the attack. Attackers
come from eight other addresses of this machine and run as idle work, for they would take the processors
from the others here, which over a network they cannot. Shown for each: round trips, as a ratio to
those of the calm before it; the node's own processor time, memory and descriptors; how often the attack got through
with what it does.
"""

import asyncio
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from ipaddress import ip_address
from itertools import count, islice
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from time import perf_counter
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.network.overlay.http2 import (
    BEGIN,
    DATA,
    END_STREAM,
    HEADERS,
    RST_STREAM,
    WINDOW_UPDATE,
    Wire,
    call,
    frame,
    frames,
    message,
    reset,
    wire,
)
from tests.ports import free_ports

from tetrarch.entropy import system_entropy
from tetrarch.errors import TetrarchError
from tetrarch.network.frames import Batch, Ping, decode_frame, encode_batch, encode_pong
from tetrarch.network.overlay.addresses import Address
from tetrarch.network.overlay.dialling import dialled, talk_stream
from tetrarch.network.overlay.meeting import Introduction, meet_as_dialer
from tetrarch.network.overlay.memory_chain import MemoryChain
from tetrarch.network.overlay.messages import Ids, Kind, Status, encode_ids, encode_status
from tetrarch.network.overlay.profile import BLOCKS, NodeId
from tetrarch.network.overlay.reference.wire import NODE
from tetrarch.network.streams import DialledStream

MEASURED_S = 6.0
EVERY_S = 0.02
CONNECTIONS = 1000
CALLS_AT_ONCE = 16
SOURCES = [f"127.0.0.{number}" for number in range(66, 74)]
CHAIN = MemoryChain(b"trial")
ASKED = encode_batch([(Kind.ASK, encode_ids(Ids(BLOCKS, (CHAIN.block0,))))])
ENDLESS = encode_batch([(Kind.STATUS, encode_status(Status(CHAIN.block0, 0)))] * 64)

Attack = Callable[[Address, str], Awaitable[None]]


def introduction() -> Introduction:
    key = Ed25519PrivateKey.generate()
    return Introduction(
        node=NodeId(key.public_key().public_bytes_raw()),
        block0=CHAIN.block0,
        program="bench",
        certificates=(),
        sign=key.sign,
        entropy=system_entropy,
    )


@asynccontextmanager
async def met(address: Address) -> AsyncIterator[DialledStream]:
    """A stream to a node that took our greeting."""
    async with (
        dialled(address, secured=True) as open_,
        talk_stream(open_.channel) as stream,
    ):
        await meet_as_dialer(stream, introduction(), certificate=open_.certificate, expected=None)
        yield stream


class Honest:
    """An open link, and round trips along it."""

    def __init__(self, stream: DialledStream) -> None:
        self._stream = stream
        self._answered = asyncio.Event()
        self._writing = asyncio.Lock()

    async def _say(self, data: bytes) -> None:
        async with self._writing:  # grpcio takes one message at a time
            await self._stream.write(data)

    async def read(self) -> None:
        while True:
            match decode_frame(await self._stream.read()):
                case Ping(sequence):
                    await self._say(encode_pong(sequence, 0))
                case Batch(messages) if any(kind == Kind.ITEM for kind, _ in messages):
                    self._answered.set()
                case _:
                    pass

    async def round_trips_ms(self) -> list[float]:
        taken_ms: list[float] = []
        end_s = perf_counter() + MEASURED_S
        while perf_counter() < end_s:
            begun_s = perf_counter()
            self._answered.clear()
            await self._say(ASKED)
            async with asyncio.timeout(30):
                await self._answered.wait()
            taken_ms.append(1000 * (perf_counter() - begun_s))
            await asyncio.sleep(EVERY_S)
        return sorted(taken_ms)


# -- attacks ------------------------------------------------------------------------------------------


async def half_open(address: Address, source: str) -> None:
    """A connection that says nothing after its handshakes; as many at once as ``CONNECTIONS``."""
    made = await wire(address, source=source)
    await _until_cut(made, BEGIN)


async def silent(address: Address, source: str) -> None:
    """A connection that does not begin a handshake."""
    made = await wire(address, source=source, secured=False)
    await _until_cut(made, b"")


async def drip(address: Address, source: str) -> None:
    """A greeting, one byte after the other."""
    made = await wire(address, source=source)
    try:
        await made.say(BEGIN + call(1))
        for byte in message(bytes(200)):
            await made.say(frame(DATA, 0, 1, bytes([byte])))
            await asyncio.sleep(0.05)
    finally:
        made.drop()


async def resets(address: Address, source: str) -> None:
    """Calls that are taken back at once, without end."""
    made = await wire(address, source=source)
    try:
        await made.say(BEGIN)
        for stream in count(1, 2):
            await made.say(call(stream) + reset(stream))
            if stream % 64 == 1:
                await asyncio.sleep(0.002)
    finally:
        made.drop()


async def oversize(address: Address, source: str) -> None:
    """A greeting of as many bytes as it gets rid of."""
    made = await wire(address, source=source)
    try:
        await made.say(BEGIN + call(1) + frame(DATA, 0, 1, message(b"", size_bytes=2**22)))
        while True:
            await made.say(frame(DATA, 0, 1, bytes(16_384)))
    finally:
        made.drop()


async def endless(address: Address, source: str) -> None:
    """A new key each time, a right greeting, and messages as fast as they are taken."""
    del source  # grpcio chooses it: the honest one's
    async with met(address) as stream:
        while True:
            await stream.write(ENDLESS)


async def questions(address: Address, source: str) -> None:
    """Where the chain ends, asked as often at once as a connection may, and again with each answer."""
    made = await wire(address, source=source)
    try:
        await made.say(BEGIN + frame(WINDOW_UPDATE, 0, 0, (2**30).to_bytes(4, "big")))
        streams, heard = count(1, 2), bytearray()
        free = CALLS_AT_ONCE
        while True:
            for stream in islice(streams, free):
                asked = frame(DATA, END_STREAM, stream, message(b""))
                await made.say(call(stream, f"{NODE}Tip") + asked)
            data = await made.hear()
            if not data:
                return
            heard += data
            free = sum(_ends_call(*each) for each in frames(heard))
    finally:
        made.drop()


def _ends_call(kind: int, flags: int) -> bool:
    return kind == RST_STREAM or (kind == HEADERS and bool(flags & END_STREAM))


async def _until_cut(made: Wire, begin: bytes) -> None:
    try:
        await made.say(begin)
        await made.ended()
    finally:
        made.drop()


ATTACKS: dict[str, tuple[Attack, int]] = {  # and how many of them at once
    "silent": (silent, CONNECTIONS),
    "half_open": (half_open, CONNECTIONS),
    "drip": (drip, 200),
    "resets": (resets, 32),
    "oversize": (oversize, 32),
    "endless": (endless, 4),
    "questions": (questions, 32),
}


async def attack(name: str, address: Address, done: "Synchronized[int]") -> None:
    work, at_once = ATTACKS[name]

    async def again_and_again(source: str) -> None:
        while True:
            with suppress(OSError, TetrarchError, TimeoutError):
                await work(address, source)
            done.value += 1
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as tasks:
        for number in range(at_once):
            tasks.create_task(again_and_again(SOURCES[number % len(SOURCES)]))


def run_attack(name: str, port: int, done: "Synchronized[int]") -> None:
    """The attackers' process."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as it runs
    asyncio.run(attack(name, Address(ip_address("127.0.0.1"), port), done))


# -- the node -------------------------------------------------------------------------------------------


class Victim:
    """``tetrarch overlay node``, and what it uses."""

    def __init__(self, folder: Path) -> None:
        (self.port,) = free_ports(1)
        self.log = folder / "node.log"
        arguments = ["--listen", f"127.0.0.1:{self.port}", "--folder", folder / "node"]
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tetrarch", "overlay", "node", "--private-addresses"),
                *map(str, arguments),
            ],
            stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT,
        )
        self._proc = Path(f"/proc/{self._process.pid}")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def cpu_s(self) -> float:
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        pages = int((self._proc / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def descriptors(self) -> int:
        return len(list((self._proc / "fd").iterdir()))


@contextmanager
def attacked(name: str, port: int) -> Iterator["Synchronized[int]"]:
    context = multiprocessing.get_context("spawn")
    done = context.Value("i", 0)
    process = context.Process(target=run_attack, args=(name, port, done), daemon=True)
    process.start()
    try:
        yield done
    finally:
        process.kill()
        process.join()


async def measured(victim: Victim, honest: Honest) -> dict[str, float]:
    cpu_s, begun_s = victim.cpu_s(), perf_counter()
    seen: list[tuple[float, int]] = []

    async def watch() -> None:
        while True:
            seen.append((victim.memory_mb(), victim.descriptors()))
            await asyncio.sleep(0.1)

    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch())
        taken_ms = await honest.round_trips_ms()
        watching.cancel()
    return {
        "p50_ms": statistics.median(taken_ms),
        "p99_ms": taken_ms[len(taken_ms) * 99 // 100],
        "cpu": (victim.cpu_s() - cpu_s) / (perf_counter() - begun_s),
        "memory_mb": max(memory_mb for memory_mb, _ in seen),
        "descriptors": max(descriptors for _, descriptors in seen),
    }


async def measure(name: str) -> dict[str, Any]:
    """A calm and an attack, along one honest link to a node of its own."""
    with tempfile.TemporaryDirectory(prefix="tetrarch-bench-") as folder, ExitStack() as stack:
        victim = Victim(Path(folder))
        stack.callback(victim.stop)
        address = Address(ip_address("127.0.0.1"), victim.port)
        while True:
            with suppress(TetrarchError):
                async with met(address):
                    break
            await asyncio.sleep(0.2)
        async with met(address) as stream, asyncio.TaskGroup() as tasks:
            honest = Honest(stream)
            reading = tasks.create_task(honest.read())
            calm = await measured(victim, honest)
            done = stack.enter_context(attacked(name, victim.port))
            await asyncio.sleep(3)  # it starts
            before = done.value
            under = await measured(victim, honest)
            attempts = (done.value - before) / MEASURED_S
            reading.cancel()
        log_kb = victim.log.stat().st_size / 1000
    return {
        **{f"calm_{key}": value for key, value in calm.items()},
        **under,
        "p50_ratio": under["p50_ms"] / calm["p50_ms"],
        "attempts_per_s": attempts,
        "log_kb": log_kb,
    }


def run() -> dict[str, Any]:
    """Print the table; return its figures."""
    print(
        f"{'attack':<12}{'p50 calm':>10}{'p50':>8}{'ratio':>8}{'p99':>8}{'CPU calm':>10}{'CPU':>7}"
        f"{'MB calm':>9}{'MB':>6}{'fds':>6}{'tries/s':>9}{'log kB':>8}"
    )
    table = {}
    for name in ATTACKS:
        row = table[name] = asyncio.run(measure(name))
        print(
            f"{name:<12}{row['calm_p50_ms']:>10.2f}{row['p50_ms']:>8.2f}{row['p50_ratio']:>8.2f}"
            f"{row['p99_ms']:>8.1f}{row['calm_cpu']:>10.2f}{row['cpu']:>7.2f}"
            f"{row['calm_memory_mb']:>9.0f}{row['memory_mb']:>6.0f}{row['descriptors']:>6.0f}"
            f"{row['attempts_per_s']:>9.0f}{row['log_kb']:>8.0f}",
            flush=True,
        )
    return table


if __name__ == "__main__":
    run()
