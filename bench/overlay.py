"""The overlay's figures: messages along a link, items to twenty processes, memory of known nodes, joining.

Beside each stands what the same machine does without it in the same run: a bare gRPC stream, the bytes
alone over TCP, the bare records, one meeting. All processes share the machine's cores.
"""

import asyncio
import multiprocessing
import socket
import statistics
import tempfile
import threading
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from time import monotonic, process_time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.network.overlay.support import BOTH, NOW_S, node_id
from tests.network.overlay.world import LOOPBACK, RULES, Node
from tests.ports import free_ports

from bench.mesh import measure_beside
from tetrarch.network.overlay.addresses import Address
from tetrarch.network.overlay.chain import Verdict
from tetrarch.network.overlay.dialling import dialled, talk_stream
from tetrarch.network.overlay.machine import OverlayMachine
from tetrarch.network.overlay.meeting import meet_as_dialer
from tetrarch.network.overlay.memory_chain import MemoryChain, make_block
from tetrarch.network.overlay.profile import BLOCKS, NodeId, Profile, Topic, sign_profile
from tetrarch.network.overlay.settings import OverlaySettings, TrustedPeer

PULLED = 10_000  # blocks of 1 kB
NODES = 20
ROUND_S = 2.0
BLOCK_HEAD_BYTES = 40  # of the trial chain: sizes are those of whole blocks
SIZES = (1_000, 100_000, 1_000_000)
PUBLISHED = 9  # of each size
KNOWN = 1000
MEETINGS = 50
PATIENCE_S = 120.0


class TimedChain(MemoryChain):
    """Tells when each block came. ``monotonic`` is the same clock in all processes of a machine."""

    def __init__(self, tell: Callable[[int, float], None]) -> None:
        super().__init__(b"bench")
        self._tell = tell

    async def take(self, topic: Topic, content: bytes) -> Verdict:
        verdict = await super().take(topic, content)
        if verdict is Verdict.NEW and topic == BLOCKS:
            self._tell(self.tip().height, monotonic())
        return verdict


def node_of(folder: Path, port: int, trusted: int | None, chain: MemoryChain) -> Node:
    address = Address(LOOPBACK, port)
    settings = OverlaySettings(
        rules=RULES,
        listen=(address,),
        public=address,
        trusted=() if trusted is None else (TrustedPeer(address=Address(LOOPBACK, trusted)),),
        round_s=ROUND_S,
    )
    return Node(folder, settings, chain)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - it looks at a node
            await asyncio.sleep(0.005)


# -- messages along a link ------------------------------------------------------------------------------


def serve_blocks(folder: Path, port: int, pipe: Connection) -> None:
    """The other process: it has the blocks."""

    async def main() -> None:
        chain = MemoryChain(b"bench")
        for number in range(PULLED):
            await chain.take(BLOCKS, make_block(chain.tip(), number, bytes(1000)))
        async with node_of(folder, port, None, chain).running():
            pipe.send(process_time())
            while not await asyncio.to_thread(pipe.poll, 60):
                pass
            pipe.send(process_time())
            await asyncio.to_thread(pipe.recv)

    asyncio.run(main())


async def pull_blocks(folder: Path, ports: list[int], pipe: Connection) -> dict[str, float]:
    node = node_of(folder, ports[1], ports[0], MemoryChain(b"bench"))
    server_s = pipe.recv()
    async with node.running():
        await until(lambda: node.height > 0)
        own_s, begun_s, before = process_time(), monotonic(), node.height
        await until(lambda: node.height == PULLED)
        took_s, own_s = monotonic() - begun_s, process_time() - own_s
        pipe.send(True)
        server_s = await asyncio.to_thread(pipe.recv) - server_s
    count = PULLED - before
    return {
        "messages_per_s": count / took_s,
        "receiver_cpu_us": own_s / count * 1e6,
        "sender_cpu_us": server_s / PULLED * 1e6,
    }


def measure_link() -> dict[str, float]:
    ports = free_ports(2)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory(prefix="tetrarch-bench-") as folder:
        process = context.Process(
            target=serve_blocks, args=(Path(folder) / "0", ports[0], theirs), daemon=True
        )
        process.start()
        try:
            return asyncio.run(pull_blocks(Path(folder) / "1", ports, ours))
        finally:
            process.kill()
            process.join()


# -- items to twenty processes ----------------------------------------------------------------------------


def run_node(folder: Path, ports: list[int], place: int, pipe: Connection) -> None:
    """One of the processes. It publishes a block of each size that it is sent; joined, it says so."""

    async def main() -> None:
        chain = TimedChain(lambda height, at_s: pipe.send((height, at_s)))
        node = node_of(folder / str(place), ports[place], ports[0] if place else None, chain)
        random = Random(place)
        begun_s = monotonic()
        async with node.running():
            await until(lambda: len(node.links) > 0 or not place)
            linked_s = monotonic() - begun_s
            await until(lambda: len(node.nodes.known) >= len(ports) - 1)
            pipe.send(("joined", linked_s, monotonic() - begun_s))
            while True:
                size_bytes = await asyncio.to_thread(pipe.recv)
                await node.make_block(random.randbytes(size_bytes - BLOCK_HEAD_BYTES))

    asyncio.run(main())


def receive(pipe: Connection) -> Any:
    if not pipe.poll(PATIENCE_S):
        raise TimeoutError("a node says nothing")
    return pipe.recv()


def measure_network() -> dict[str, Any]:
    """Time to the last of all for each size; and what the last node to come took to join."""
    ports = free_ports(NODES)
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in ports]
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="tetrarch-bench-") as folder:
        processes = [
            context.Process(target=run_node, args=(Path(folder), ports, place, theirs), daemon=True)
            for place, (_, theirs) in enumerate(pipes)
        ]
        ours = [pipe for pipe, _ in pipes]
        try:
            for process in processes:
                process.start()
            joined = [receive(pipe) for pipe in ours]
            found["together_known_s"] = max(known_s for _, _, known_s in joined)
            publisher = ours[-2]
            for size_bytes in SIZES:
                found[f"to_last_of_{NODES}_{size_bytes}_ms"] = [
                    publish(publisher, ours, size_bytes) for _ in range(PUBLISHED)
                ]
            found["join"] = [
                rejoin(context, processes, pipes, Path(folder), ports) for _ in range(3)
            ]
        finally:
            for process in processes:
                process.kill()
                process.join()
    return found


def publish(publisher: Connection, pipes: list[Connection], size_bytes: int) -> float:
    publisher.send(size_bytes)
    times_s: list[float] = [receive(pipe)[1] for pipe in pipes]
    threading.Event().wait(0.3)  # what is told late is told
    return (max(times_s) - min(times_s)) * 1e3


def rejoin(
    context: Any, processes: list[Any], pipes: list[Any], folder: Path, ports: list[int]
) -> tuple[float, float]:
    """The last process ends, and begins anew with nothing but its key: first link, all known."""
    processes[-1].kill()
    processes[-1].join()
    pipes[-1] = context.Pipe()
    processes[-1] = context.Process(
        target=run_node, args=(folder, ports, len(ports) - 1, pipes[-1][1]), daemon=True
    )
    processes[-1].start()
    while True:
        told = receive(pipes[-1][0])
        if told[0] == "joined":
            return told[1], told[2]


def bytes_alone_ms(size_bytes: int) -> float:
    """The same bytes to 19 others one after the other, over bare TCP: no network does with fewer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    whole = bytes(size_bytes * (NODES - 1))
    with ours, theirs:
        begun_s = monotonic()
        sender = threading.Thread(target=ours.sendall, args=(whole,))
        sender.start()
        left = len(whole)
        while left:
            left -= len(theirs.recv(1 << 20))
        sender.join()
        return (monotonic() - begun_s) * 1e3


# -- memory, and a meeting ------------------------------------------------------------------------------------


def profiles(count: int) -> list[Profile]:
    keys = [Ed25519PrivateKey.from_private_bytes(node_id(number + 1)) for number in range(count)]
    return [
        sign_profile(
            key.sign,
            node=NodeId(key.public_key().public_bytes_raw()),
            time_s=NOW_S,
            address=Address(IPv4Address(0x14000001 + (number << 8)), 3000),
            interests=BOTH,
        )
        for number, key in enumerate(keys)
    ]


def measure_memory() -> dict[str, float]:
    machine = OverlayMachine(node_id(1), RULES, Random(1))
    records = [profile.record for profile in profiles(KNOWN)]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    heard = profiles(KNOWN)  # as they come from the wire: nothing of them is here before
    for profile in heard:
        machine.take_profiles([profile], profile.node, now_s=NOW_S)
    del heard
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    if len(machine.nodes.known) != KNOWN:
        raise RuntimeError(f"{len(machine.nodes.known)} of {KNOWN} are known")
    return {"known_1000_mb": used / 1e6, "records_alone_mb": sum(map(len, records)) / 1e6}


async def measure_meeting(folder: Path) -> float:
    """TCP, TLS twice (the certificate is looked at first) and the greetings, both sides in one process."""
    (port,) = free_ports(1)
    node = node_of(folder / "listener", port, None, MemoryChain(b"bench"))
    node.overlay._listener._callers._doors._limits = replace(  # noqa: SLF001 - we are many
        node.overlay._listener._callers._doors._limits,  # noqa: SLF001
        of_address_max=1000,
        unproven_of_address_max=1000,
    )
    other = node_of(folder / "dialer", port, None, MemoryChain(b"bench"))
    taken_ms = []
    async with node.running():
        for _ in range(MEETINGS):
            begun_s = monotonic()
            async with (
                dialled(Address(LOOPBACK, port), secured=True) as open_,
                talk_stream(open_.channel) as stream,
            ):
                await meet_as_dialer(
                    stream,
                    other.overlay._wires.introduction,  # noqa: SLF001
                    certificate=open_.certificate,
                    expected=None,
                )
                taken_ms.append((monotonic() - begun_s) * 1e3)
    return statistics.median(taken_ms)


def run() -> dict[str, Any]:
    """Print the tables; return their figures."""
    raw, link = measure_beside("raw"), measure_link()
    print(
        f"blocks of 1 kB pulled along one link: {link['messages_per_s']:.0f} a second, CPU"
        f" {link['sender_cpu_us']:.0f} us sender, {link['receiver_cpu_us']:.0f} us receiver"
        f"   (bare gRPC stream: {raw.messages_per_s:.0f}, {raw.message_cpu_us[0]:.0f} and"
        f" {raw.message_cpu_us[1]:.0f})"
    )
    network = measure_network()
    for size_bytes in SIZES:
        times_ms = sorted(network[f"to_last_of_{NODES}_{size_bytes}_ms"])
        alone_ms = statistics.median(bytes_alone_ms(size_bytes) for _ in range(9))
        network[f"bytes_alone_{size_bytes}_ms"] = alone_ms
        print(
            f"{size_bytes:>9} B to the last of {NODES} processes: p50 {statistics.median(times_ms):.0f} ms,"
            f" worst {times_ms[-1]:.0f} ms   (19 copies over bare TCP: {alone_ms:.2f} ms)"
        )
    with tempfile.TemporaryDirectory(prefix="tetrarch-bench-") as folder:
        meeting_ms = asyncio.run(measure_meeting(Path(folder)))
    linked_s, known_s = (statistics.median(each) for each in zip(*network["join"], strict=True))
    print(
        f"a node joins {NODES - 1} others: first link after {1e3 * linked_s:.0f} ms, all known after"
        f" {known_s:.1f} s of rounds of {ROUND_S:.0f} s; all {NODES} at once {network['together_known_s']:.1f} s"
        f"   (one meeting: {meeting_ms:.1f} ms)"
    )
    memory = measure_memory()
    print(
        f"{KNOWN} known nodes: {memory['known_1000_mb']:.2f} MB"
        f"   (their records alone: {memory['records_alone_mb']:.2f} MB)"
    )
    raw_figures = {"messages_per_s": raw.messages_per_s, "cpu_us": raw.message_cpu_us}
    return {
        "link": link,
        "bare gRPC stream": raw_figures,
        **network,
        "meeting_ms": meeting_ms,
        **memory,
    }


if __name__ == "__main__":
    run()
