"""The mesh between two processes on loopback, and a bare grpc.aio stream beside it as the limit.

Round trips of 500 B, one at a time, as consensus sees them; then 1 kB messages one way as fast as
the queues take them. CPU is that of each process per round trip or message, all threads. The bare
stream has the same TLS, but neither frames, queues, inboxes nor metrics.
"""

import asyncio
import multiprocessing
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from time import perf_counter, process_time
from typing import Any

import grpc
import grpc.aio
from tests.network.mesh_world import Node, TlsIdentity, World, connected, running

from tetrarch.network.certificates import to_pem
from tetrarch.network.ports import Topic
from tetrarch.network.streams import DIALER_OPTIONS, LISTENER_OPTIONS

ROUND_TRIPS = 3000
WARM_UP = 300
MESSAGES = 30_000
WINDOW = 1000  # messages on their way at most: none is dropped
PING = bytes(500)
MESSAGE = bytes(1000)
INSTANCES = 500
QUORUM = 3
VALUE = bytes(30_000)
VOTE = bytes(200)
_HEAD = struct.Struct(">BI")
_PROPOSE, _PREPARE, _COMMIT = 1, 2, 3
_CPU_ASKED = b"cpu"
_ANSWER = struct.Struct(">dI")  # the server's CPU seconds so far, messages of MESSAGE's size so far
_PATH = "/bench.Raw/Echo"

Call = Callable[[bytes], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    p50_us: float
    p99_us: float
    rtt_cpu_us: tuple[float, float]
    messages_per_s: float
    message_cpu_us: tuple[float, float]


class Sink:
    """The serving side's answer to each message; None to those that are only counted."""

    def __init__(self) -> None:
        self._count = 0

    def answer(self, payload: bytes) -> bytes | None:
        if payload == _CPU_ASKED:
            return _ANSWER.pack(process_time(), self._count)
        if len(payload) == len(MESSAGE):
            self._count += 1
            return None
        return payload


async def measure(name: str, call: Call, flood: Callable[[], Awaitable[None]]) -> Row:
    for _ in range(WARM_UP):
        await call(PING)
    server_s, _ = _ANSWER.unpack(await call(_CPU_ASKED))
    own_s, times_us = process_time(), []
    for _ in range(ROUND_TRIPS):
        start = perf_counter()
        await call(PING)
        times_us.append((perf_counter() - start) * 1e6)
    own_rtt_us = (process_time() - own_s) / ROUND_TRIPS * 1e6
    server_rtt_us = (_ANSWER.unpack(await call(_CPU_ASKED))[0] - server_s) / ROUND_TRIPS * 1e6

    server_s, before = _ANSWER.unpack(await call(_CPU_ASKED))
    own_s, start = process_time(), perf_counter()
    await flood()
    server_end_s, after = _ANSWER.unpack(await call(_CPU_ASKED))
    took_s = perf_counter() - start
    if after - before != MESSAGES:
        raise RuntimeError(f"{name}: {after - before} of {MESSAGES} messages arrived")
    own_us = (process_time() - own_s) / MESSAGES * 1e6
    server_us = (server_end_s - server_s) / MESSAGES * 1e6
    times_us.sort()
    return Row(
        name,
        times_us[ROUND_TRIPS // 2],
        times_us[ROUND_TRIPS * 99 // 100],
        (own_rtt_us, server_rtt_us),
        MESSAGES / took_s,
        (own_us, server_us),
    )


async def measure_mesh(world: World) -> Row:
    node = world.node(0, topics=[])
    answers: asyncio.Queue[bytes] = asyncio.Queue()

    async def note(_peer: int, payload: bytes) -> None:
        answers.put_nowait(payload)

    async def call(payload: bytes) -> bytes:
        node.mesh.send(1, Topic.CONSENSUS, payload)
        return await answers.get()

    async def flood() -> None:
        for _ in range(MESSAGES // WINDOW):
            for _ in range(WINDOW):
                node.mesh.send(1, Topic.CONSENSUS, MESSAGE)
            await call(_CPU_ASKED)

    node.mesh.subscribe(Topic.CONSENSUS, note)
    async with running(node):
        await connected(node)
        return await measure("mesh", call, flood)


async def serve_mesh(world: World, ready: Connection) -> None:
    node, sink = world.node(1, topics=[]), Sink()

    async def echo(peer: int, payload: bytes) -> None:
        answer = sink.answer(payload)
        if answer is not None:
            node.mesh.send(peer, Topic.CONSENSUS, answer)

    node.mesh.subscribe(Topic.CONSENSUS, echo)
    async with running(node):
        ready.send(True)
        await asyncio.Event().wait()


async def measure_raw(world: World) -> Row:
    own, server = world.identities
    credentials = grpc.ssl_channel_credentials(
        to_pem(server.certificate_der), own.key_pem, own.certificate_pem
    )
    options = (*DIALER_OPTIONS, ("grpc.ssl_target_name_override", "node.tetrarch"))
    address = f"127.0.0.1:{world.ports[1]}"
    async with grpc.aio.secure_channel(address, credentials, options) as channel:
        stream = channel.stream_stream(_PATH)()

        async def call(payload: bytes) -> bytes:
            await stream.write(payload)
            return bytes(await stream.read())

        async def flood() -> None:
            for _ in range(MESSAGES):
                await stream.write(MESSAGE)

        row = await measure("grpc.aio stream", call, flood)
        stream.cancel()
        return row


class RawEcho(grpc.GenericRpcHandler):  # type: ignore[misc] # grpcio has no types
    def service(self, _details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.stream_stream_rpc_method_handler(self.echo)

    async def echo(self, _requests: object, context: grpc.aio.ServicerContext) -> None:
        sink = Sink()
        while (payload := await context.read()) is not grpc.aio.EOF:
            answer = sink.answer(payload)
            if answer is not None:
                await context.write(answer)


async def serve_raw(world: World, ready: Connection) -> None:
    client, own = world.identities
    server = grpc.aio.server(options=LISTENER_OPTIONS)
    server.add_generic_rpc_handlers((RawEcho(),))
    credentials = grpc.ssl_server_credentials(
        [(own.key_pem, own.certificate_pem)], to_pem(client.certificate_der), True
    )
    server.add_secure_port(f"127.0.0.1:{world.ports[1]}", credentials)
    await server.start()
    ready.send(True)
    await asyncio.Event().wait()


def serve(kind: str, ports: list[int], identities: list[TlsIdentity], ready: Connection) -> None:
    """The other process."""
    world = World(2)
    world.ports, world.identities = ports, identities
    asyncio.run((serve_mesh if kind == "mesh" else serve_raw)(world, ready))


def measure_beside(kind: str) -> Row:
    world = World(2)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=serve, args=(kind, world.ports, world.identities, theirs), daemon=True
    )
    process.start()
    try:
        ours.recv()
        return asyncio.run((measure_mesh if kind == "mesh" else measure_raw)(world))
    finally:
        process.kill()
        process.join()
        ours.close()
        theirs.close()


class Phases:
    """The message pattern of an undisturbed QBFT instance, with nothing in the messages.

    The leader proposes a value, every node answers it with a prepare to all, a quorum of prepares
    with a commit to all, and is done at a quorum of commits.
    """

    def __init__(self, node: Node, on_done: Callable[[int], None]) -> None:
        self._mesh = node.mesh
        self._on_done = on_done
        self._counts: dict[tuple[int, int], int] = {}
        node.mesh.subscribe(Topic.CONSENSUS, self._receive)

    def propose(self, instance: int) -> None:
        self._say(_PROPOSE, instance, VALUE)
        self._say(_PREPARE, instance, VOTE)

    async def _receive(self, _peer: int, payload: bytes) -> None:
        phase, instance = _HEAD.unpack_from(payload)
        if phase == _PROPOSE:
            self._say(_PREPARE, instance, VOTE)
        else:
            self._count(phase, instance)

    def _say(self, phase: int, instance: int, body: bytes) -> None:
        self._mesh.broadcast(Topic.CONSENSUS, _HEAD.pack(phase, instance) + body)
        if phase != _PROPOSE:
            self._count(phase, instance)

    def _count(self, phase: int, instance: int) -> None:
        count = self._counts[phase, instance] = self._counts.get((phase, instance), 0) + 1
        if count == QUORUM and phase == _PREPARE:
            self._say(_COMMIT, instance, VOTE)
        elif count == QUORUM:
            self._on_done(instance)


async def follow_phases(world: World, index: int, ready: Connection) -> None:
    node = world.node(index, topics=[])
    Phases(node, lambda _instance: None)
    async with running(node):
        await connected(node)
        ready.send(True)
        await asyncio.Event().wait()


async def lead_phases(world: World, ready: list[Connection]) -> tuple[float, float, float]:
    done: asyncio.Queue[int] = asyncio.Queue()
    node = world.node(0, topics=[])
    phases = Phases(node, done.put_nowait)
    times_ms: list[float] = []
    own_s = 0.0
    async with running(node):
        await connected(node)
        for connection in ready:
            await asyncio.to_thread(connection.recv)
        for instance in range(INSTANCES + WARM_UP):
            if instance == WARM_UP:
                own_s = process_time()
            start = perf_counter()
            phases.propose(instance)
            await done.get()
            times_ms.append((perf_counter() - start) * 1e3)
            await asyncio.sleep(0.005)  # the last node's votes arrive, as between two duties
        cpu_ms = (process_time() - own_s) / INSTANCES * 1e3
    times_ms = sorted(times_ms[WARM_UP:])
    return times_ms[INSTANCES // 2], times_ms[INSTANCES * 99 // 100], cpu_ms


def serve_phases(
    index: int, ports: list[int], identities: list[TlsIdentity], ready: Connection
) -> None:
    """One of the other three processes."""
    world = World(4)
    world.ports, world.identities = ports, identities
    asyncio.run(follow_phases(world, index, ready))


def measure_phases() -> tuple[float, float, float]:
    """p50 and p99 from proposal to the leader's decision, and the leader's CPU, in ms."""
    world = World(4)
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(3)]
    processes = [
        context.Process(
            target=serve_phases, args=(index, world.ports, world.identities, theirs), daemon=True
        )
        for index, (_, theirs) in enumerate(pipes, start=1)
    ]
    for process in processes:
        process.start()
    try:
        return asyncio.run(lead_phases(world, [ours for ours, _ in pipes]))
    finally:
        for process in processes:
            process.kill()
            process.join()
        for pair in pipes:
            for connection in pair:
                connection.close()


def run() -> dict[str, Any]:
    """Print the table; return its figures."""
    rows = [measure_beside("raw"), measure_beside("mesh")]
    p50_ms, p99_ms, cpu_ms = measure_phases()
    print(
        f"{'network (us, CPU ours/theirs)':<32}{'rtt p50':>9}{'p99':>8}{'CPU per rtt':>14}"
        f"{'1 kB msg/s':>12}{'CPU per msg':>14}"
    )
    for row in rows:
        rtt_cpu = f"{row.rtt_cpu_us[0]:.0f}/{row.rtt_cpu_us[1]:.0f}"
        cpu = f"{row.message_cpu_us[0]:.1f}/{row.message_cpu_us[1]:.1f}"
        print(
            f"{row.name:<32}{row.p50_us:>9.0f}{row.p99_us:>8.0f}{rtt_cpu:>14}"
            f"{row.messages_per_s:>12.0f}{cpu:>14}"
        )
    print(
        "QBFT's messages alone, 4 processes, 30 kB value: proposal to the leader's decision"
        f" p50 {p50_ms:.1f} p99 {p99_ms:.1f} ms, leader's CPU {cpu_ms:.1f} ms"
    )
    phases = {"p50_ms": p50_ms, "p99_ms": p99_ms, "leader_cpu_ms": cpu_ms}
    figures: dict[str, Any] = {
        row.name: {
            "rtt_p50_us": row.p50_us,
            "rtt_p99_us": row.p99_us,
            "rtt_cpu_us": row.rtt_cpu_us,
            "messages_per_s": row.messages_per_s,
            "message_cpu_us": row.message_cpu_us,
        }
        for row in rows
    }
    return {**figures, "QBFT's messages, n=4": phases}


if __name__ == "__main__":
    run()
