"""Real certificates and meshes on loopback sockets, for the tests of this folder."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.ports import free_ports

from tetrarch.clock import SystemClock
from tetrarch.entropy import system_entropy
from tetrarch.network.mesh import Mesh, MeshSettings
from tetrarch.network.peer import PeerIdentity
from tetrarch.observability.metrics import Metrics

LOCK_HASH = bytes(range(32))
PATIENCE_S = 30.0


@dataclass(frozen=True)
class TlsIdentity:
    key_pem: bytes
    certificate_pem: bytes
    certificate_der: bytes


@cache
def make_identity(name: str, issuer: str | None = None) -> TlsIdentity:
    """A certificate like those of the cluster files: P-256, own subject, one shared DNS name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer, signer_name = key, subject
    if issuer is not None:
        signer = load_key(make_identity(issuer).key_pem)
        signer_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=999))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("node.tetrarch")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    encoding = serialization.Encoding
    return TlsIdentity(
        key.private_bytes(
            encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        certificate.public_bytes(encoding.PEM),
        certificate.public_bytes(encoding.DER),
    )


def load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _candidates() -> Iterator[int]:
    """Ports below the ephemeral range, so that no outgoing connection takes them meanwhile,
    in a range of each test worker's own, so that no other test does."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    start = os.getpid()
    while True:
        for offset in range(1400):
            yield 20_000 + worker * 1400 + (start + offset) % 1400


_ports = _candidates()


class RecordingLog:
    """Keeps lines as (level, event, fields)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []
        self._bound: dict[str, Any] = {}

    def bind(self, **fields: Any) -> "RecordingLog":
        child = RecordingLog()
        child.lines, child._bound = self.lines, {**self._bound, **fields}
        return child

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        self.lines.append((level, event, {**self._bound, **fields}))

    def debug(self, event: str, **fields: Any) -> None:
        self._write("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._write("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._write("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._write("error", event, fields)

    def critical(self, event: str, **fields: Any) -> None:
        self._write("critical", event, fields)

    def find(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        return [
            line
            for _, name, line in self.lines
            if name == event and all(line.get(key) == value for key, value in fields.items())
        ]


@dataclass
class SkewedClock:
    ahead_s: float

    def wall_s(self) -> float:
        return SystemClock().wall_s() + self.ahead_s


@dataclass
class Node:
    settings: MeshSettings
    mesh: Mesh
    log: RecordingLog
    metrics: Metrics
    received: list[tuple[int, int, bytes]] = field(default_factory=list)

    def count(self, name: str, **labels: str) -> float:
        """A sample, 0 when it does not exist yet."""
        return self.metrics.registry.get_sample_value("tetrarch_" + name, labels) or 0.0


class World:
    """The files of a cluster; builds its nodes."""

    def __init__(self, count: int = 4) -> None:
        self.ports = free_ports(count)
        self.identities = [make_identity(f"node-{index}") for index in range(count)]

    def settings(self, index: int, **changes: Any) -> MeshSettings:
        own = self.identities[index]
        peers = tuple(
            PeerIdentity(
                index=other,
                certificate_der=identity.certificate_der,
                host="127.0.0.1",
                port=self.ports[other],
            )
            for other, identity in enumerate(self.identities)
            if other != index
        )
        settings = MeshSettings(
            own_index=index,
            lock_hash=LOCK_HASH,
            peers=peers,
            private_key_pem=own.key_pem,
            certificate_pem=own.certificate_pem,
            listen_host="127.0.0.1",
            listen_port=self.ports[index],
            builder_api=False,
            version="0.1.0",
            nickname=f"n{index}",
        )
        return replace(settings, **changes)

    def node(self, index: int, *, clock: Any = None, topics: Any = None, **changes: Any) -> Node:
        from tetrarch.network.ports import Topic

        log, metrics = RecordingLog(), Metrics()
        settings = self.settings(index, **changes)
        mesh = Mesh(
            settings, clock=clock or SystemClock(), entropy=system_entropy, metrics=metrics, log=log
        )
        node = Node(settings, mesh, log, metrics)
        for topic in Topic if topics is None else topics:

            async def note(peer: int, payload: bytes, topic: Topic = topic) -> None:
                node.received.append((peer, topic, payload))

            mesh.subscribe(topic, note)
        return node


@asynccontextmanager
async def running(*nodes: Node) -> AsyncIterator[list["asyncio.Task[None]"]]:
    """Run the nodes' meshes; on exit all stop, and a crash of one fails the test."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(node.mesh.run(), name="mesh") for node in nodes]
        try:
            for node in nodes:
                await node.mesh.listening.wait()
            yield tasks
        finally:
            for task in tasks:
                task.cancel()


async def until(condition: Callable[[], object]) -> None:
    """Wait for ``condition``; only a broken program waits as long as the limit."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def see_each_other(first: Node, second: Node) -> None:
    """Wait until these two nodes have their stream."""

    def seen(node: Node, other: Node) -> bool:
        statuses = {status.index: status.connected for status in node.mesh.status()}
        return statuses[other.mesh.own_index]

    await until(lambda: seen(first, second) and seen(second, first))


async def connected(*nodes: Node) -> None:
    """Wait until every node has a stream to every peer."""
    await until(lambda: all(n.mesh.connected_count() == len(n.mesh.peers) for n in nodes))


def run_node_forever(index: int, ports: list[int], identities: list[TlsIdentity]) -> None:
    """The main function of a process of its own, which a test may kill."""
    world = World(len(ports))
    world.ports, world.identities = ports, identities
    asyncio.run(world.node(index).mesh.run())
