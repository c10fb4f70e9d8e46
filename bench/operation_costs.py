"""What one node's operations cost on this machine: measured with the real functions, at the start.

Costs of batches are lines: ``base`` plus ``each`` per item. All in seconds of CPU.
"""

import asyncio
import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
from aiohttp import web
from tests.crypto.keys import deal
from tests.enclave.enclave_world import OLD_CHAIN, validators, vote, write_share
from tests.network.mesh_world import World, connected, running

from bench.duties import cpu_ms
from tetrarch.crypto import k1
from tetrarch.crypto.k1 import IdentityKey
from tetrarch.duties.group_crypto import BlsGroupCrypto, PartialClaim, PartialsFor
from tetrarch.duties.keys import ClusterKeys
from tetrarch.duties.types import PartialSignature, PubKey, RandaoPayload, ShareIndex
from tetrarch.enclave.client import EnclaveClient
from tetrarch.entropy import system_entropy
from tetrarch.network.ports import Topic

SMALL, LARGE = 1, 64
REPEATS = 7
MESSAGES = 300
BATCHES = 60  # of an enclave: its CPU is known in steps of 10 ms


@dataclass(frozen=True, slots=True)
class Line:
    """``base`` seconds, and ``each`` for every item."""

    base: float
    each: float

    def of(self, count: int) -> float:
        return self.base + self.each * count


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Everything that is charged and not measured in place."""

    decompress: Line  # partials on arrival
    combine: Line  # of threshold partials, verified
    verify_partials: Line  # late ones, when the group's signature is made
    verify_group: float
    identity_sign: float
    identity_verify: float
    enclave: Line  # request to answer, durable record and signatures included
    send: float  # a mesh message, frame and TLS included
    receive: float
    request: float  # of the beacon node over HTTP
    item: float  # JSON of one submitted or answered object


def seconds(work: Callable[[], object], *, clock: Callable[[], float] = time.thread_time) -> float:
    """The median of some tries."""
    took = []
    for _ in range(REPEATS):
        begun = clock()
        work()
        took.append(clock() - begun)
    return median(took)


def line(cost_of: Callable[[int], float]) -> Line:
    small, large = cost_of(SMALL), cost_of(LARGE)
    each = max((large - small) / (LARGE - SMALL), 0.0)
    return Line(max(small - each, 0.0), each)


def measure_costs(node_count: int, threshold: int) -> Costs:
    """Some seconds."""
    dealings = [deal(number, shares=node_count, threshold=threshold) for number in range(LARGE)]
    keys = ClusterKeys(
        threshold=threshold,
        share_count=node_count,
        own_share_index=ShareIndex(1),
        shares={
            PubKey(each.commitments[0]): tuple(
                each.shares[share].public_key() for share in range(1, node_count + 1)
            )
            for each in dealings
        },
    )
    crypto = BlsGroupCrypto(keys=keys, entropy=system_entropy)
    crypto.warm(keys.pubkeys)
    root = b"r" * 32
    signed = [
        (PubKey(each.commitments[0]), ShareIndex(share), each.shares[share].sign(root))
        for each in dealings
        for share in range(1, threshold + 1)
    ]
    payload = RandaoPayload(epoch=1)
    partials = [
        PartialSignature(pubkey=p, share_index=s, payload=payload, signature=signature)
        for p, s, signature in signed
    ]
    items = [
        PartialsFor(
            PubKey(each.commitments[0]),
            root,
            tuple((s, signature) for p, s, signature in signed if p == each.commitments[0]),
        )
        for each in dealings
    ]
    late_share = ShareIndex(threshold + 1)
    late = [
        PartialClaim(
            PubKey(each.commitments[0]), late_share, root, each.shares[late_share].sign(root)
        )
        for each in dealings
    ]

    def fresh(count: int) -> float:
        def work() -> None:
            crypto._points.clear()  # noqa: SLF001 - a partial arrives once
            crypto.arrived(partials[:count])

        return seconds(work)

    def combine(count: int) -> float:
        crypto._points.clear()  # noqa: SLF001
        crypto.arrived(partials)
        return seconds(lambda: crypto.combine(items[:count], avoid=()))

    identity = IdentityKey.from_bytes(b"\1" * 32)
    digest = b"d" * 32
    proof = identity.sign(digest)
    public = identity.public_key()
    group = deal(0, shares=node_count, threshold=threshold)
    whole = crypto.combine(items[:1], avoid=()).signatures[0] or b""
    obj = {"a": "0x" + "ab" * 48, "b": "0x" + "cd" * 96, "c": {"d": "12345", "e": "0x" + "ef" * 32}}
    enclave, mesh, request = asyncio.run(_measure_processes())
    crypto.combine(items, avoid=())  # which late partials come after
    return Costs(
        decompress=line(fresh),
        combine=line(combine),
        verify_partials=line(lambda count: seconds(lambda: crypto.false_partials(late[:count]))),
        verify_group=seconds(lambda: crypto.verifies(PubKey(group.commitments[0]), root, whole)),
        identity_sign=seconds(lambda: identity.sign(digest)),
        identity_verify=seconds(lambda: k1.verify(public, digest, proof)),
        enclave=enclave,
        send=mesh / 2,
        receive=mesh / 2,
        request=request / 2,  # the other half is the server's
        item=seconds(lambda: json.loads(json.dumps(obj))) / 2,
    )


async def _measure_processes() -> tuple[Line, float, float]:
    with tempfile.TemporaryDirectory(prefix="tetrarch-bench-") as folder:
        enclave = await _enclave(Path(folder))
    return enclave, await _mesh(), await _http()


async def _enclave(folder: Path) -> Line:
    """CPU of a batch, in both processes. Waiting for the disk is not in it."""
    keys = validators(LARGE)
    files = [write_share(folder, key, name=f"s{number}") for number, key in enumerate(keys)]
    client = await EnclaveClient.start(database=folder / "enclave.sqlite", shares=files)
    await client.configure(OLD_CHAIN)
    epoch, found = 0, {}
    for size in (SMALL, LARGE):
        begun_ms = cpu_ms(os.getpid())
        for _ in range(BATCHES):
            epoch += 1
            batch = tuple(vote(key.pubkey, epoch, epoch + 1) for key in keys[:size])
            await client.sign(batch)
        found[size] = (cpu_ms(os.getpid()) - begun_ms) / BATCHES / 1000
    await client.close()
    return line(found.__getitem__)


async def _mesh() -> float:
    """CPU of one message from ``send`` to its handler, both nodes' work together."""
    world, arrived = World(2), asyncio.Event()
    nodes = [world.node(0, topics=[]), world.node(1, topics=[])]

    async def note(_peer: int, _payload: bytes) -> None:
        arrived.set()

    for node in nodes:
        node.mesh.subscribe(Topic.CONSENSUS, note)
    async with running(*nodes):
        await connected(*nodes)
        begun = time.process_time()
        for _ in range(MESSAGES):
            arrived.clear()
            nodes[0].mesh.send(1, Topic.CONSENSUS, bytes(1000))
            await arrived.wait()
        return (time.process_time() - begun) / MESSAGES


async def _http() -> float:
    """CPU of one small request and its answer, client and server together."""

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"data": "0x" + "ab" * 96})

    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    async with aiohttp.ClientSession() as session:
        begun = time.process_time()
        for _ in range(MESSAGES):
            async with session.post(
                f"http://{host}:{port}/", json=[{"a": "0x" + "ab" * 96}]
            ) as got:
                await got.read()
        took = time.process_time() - begun
    with contextlib.suppress(Exception):
        await runner.cleanup()
    return took / MESSAGES


def as_figures(costs: Costs) -> dict[str, Any]:
    """Microseconds, for the table and the results."""
    figures: dict[str, Any] = {}
    for name in costs.__dataclass_fields__:
        value = getattr(costs, name)
        if isinstance(value, Line):
            figures[f"{name}_base_us"] = round(value.base * 1e6, 1)
            figures[f"{name}_each_us"] = round(value.each * 1e6, 1)
        else:
            figures[f"{name}_us"] = round(value * 1e6, 1)
    return figures
