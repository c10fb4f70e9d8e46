"""The ledger in one process, and its keys in an enclave: schedules, headers, blocks, a chain from its beginning.

Beside each the physical limit: the bare operations of the curve or the disk that it cannot do without.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from statistics import median, quantiles
from typing import Any, cast

from tests.ledger.chain_maker import (
    bft_block,
    bft_genesis,
    keys_as,
    praos_genesis,
    praos_leaders,
    unsigned_block,
)
from tests.ledger.makers import account_id, bft_key, bft_public, signed_fragment

from tetrarch.clock import SystemClock
from tetrarch.compute import ThreadCompute
from tetrarch.crypto.ed25519 import forget_all
from tetrarch.leadership.leading import SLICE_SLOTS
from tetrarch.ledger.accounts import ACCOUNTS, Account
from tetrarch.ledger.applying import Place, apply_block, first_place
from tetrarch.ledger.blocks import Block, encode_block
from tetrarch.ledger.chain import LedgerChain
from tetrarch.ledger.checkpoints import encode_certificate
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.finality import Certificate, Checkpoint, Link
from tetrarch.ledger.fragments.transfer import Output, Transfer
from tetrarch.ledger.genesis import Grant, genesis_block
from tetrarch.ledger.headers import BlockId, PoolId
from tetrarch.ledger.keyring import lottery_of
from tetrarch.ledger.parameters import Parameters
from tetrarch.ledger.ports import LedgerPorts
from tetrarch.ledger.praos import FIRST_NONCE, vrf_input
from tetrarch.ledger.state_chunks import chunk_id, chunks_of, read_state, state_hash
from tetrarch.ledger.state_file import export_state, import_state
from tetrarch.ledger.store import SCHEMA, LedgerStore
from tetrarch.ledger.tables import Base, first_layer
from tetrarch.ledger_node import open_keys
from tetrarch.network.overlay.chain import Verdict
from tetrarch.network.overlay.profile import BLOCKS
from tetrarch.observability.logs import SilentLog
from tetrarch.storage.database import Database

EPOCH_SLOTS = 43_200
HEADERS = 300
TRANSFERS = 1000
CHAIN = 100_000
REPORT_EVERY = 10_000
CELLS = 100_000


def run() -> dict[str, Any]:
    """All of it."""
    found = asyncio.run(_keys()) | _headers() | _transfers() | _state()
    return found | asyncio.run(_chain())


def _timed(work: Callable[[], object], repeats: int, *, anew: bool = True) -> float:
    """Median seconds. ``anew``: each signature is verified each time, as if it had never come before."""
    times = []
    for _ in range(repeats):
        if anew:
            forget_all()
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return median(times)


# -- an enclave -----------------------------------------------------------------------------------


async def _keys() -> dict[str, Any]:
    """A pool's epoch, slice by slice; and votes signed meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            keys, _ = await open_keys(stack, Path(folder), None, BlockId(bytes(32)))
            leader = await keys.add_leader(PoolId(bytes(32)))
            lottery = lottery_of(FIRST_NONCE, 1 << 62)
            height = 0

            async def vote() -> float:
                nonlocal height
                height += 1
                link = Link(
                    Checkpoint(height - 1, BlockId(bytes(32))),
                    Checkpoint(height, BlockId(bytes(32))),
                )
                begun = time.perf_counter()
                await keys.sign_vote(link)
                return time.perf_counter() - begun

            calm = [await vote() for _ in range(200)]

            async def schedule() -> float:
                begun = time.perf_counter()
                for first in range(0, EPOCH_SLOTS, SLICE_SLOTS):
                    await keys.slots(leader.number, lottery, range(first, first + SLICE_SLOTS))
                return time.perf_counter() - begun

            alone_s = await schedule()
            task = asyncio.create_task(schedule())
            busy = []
            while not task.done():
                busy.append(await vote())
                await asyncio.sleep(0.01)
    vrf = keys_as(0).vrf
    begun = time.perf_counter()
    for slot in range(EPOCH_SLOTS):
        vrf.evaluate(vrf_input(FIRST_NONCE, slot))
    limit_s = time.perf_counter() - begun
    calm_p50, busy_p50 = median(calm), median(busy)
    calm_p99, busy_p99 = (quantiles(each, n=100)[98] for each in (calm, busy))
    print(
        f"schedule of {EPOCH_SLOTS} slots: {alone_s:.1f} s in one enclave, slices of {SLICE_SLOTS}"
        f"   (the pool's random function alone: {limit_s:.1f} s)"
    )
    print(
        f"a vote, recorded and signed: p50 {1e3 * calm_p50:.2f}, p99 {1e3 * calm_p99:.2f} ms;"
        f" while it schedules {1e3 * busy_p50:.2f}, {1e3 * busy_p99:.2f} ms"
    )
    return {
        "schedule_s": alone_s,
        "schedule_limit_s": limit_s,
        "vote_s": {"calm": [calm_p50, calm_p99], "scheduling": [busy_p50, busy_p99]},
    }


# -- headers and blocks ---------------------------------------------------------------------------


def _headers() -> dict[str, Any]:
    place = first_place(genesis_block(praos_genesis(1000)), Base())
    leaders = praos_leaders(place, 0)
    slot = keys_as(0).slots_drawn(leaders)[1]
    block = unsigned_block(place, BlockDate(0, slot))
    header = keys_as(0).signed(block.header, leaders)
    verify_s = _timed(lambda: leaders.verify(header), HEADERS)
    key = bft_key(0)
    signed = key.sign(b"x" * 600)
    public = key.public_key()
    ed25519_s = _timed(lambda: public.verify(signed, b"x" * 600), HEADERS)
    print(
        f"a Praos header verified: {1 / verify_s:.0f} a second"
        f"   (one Ed25519 signature: {1 / ed25519_s:.0f})"
    )
    return {"headers_per_s": 1 / verify_s, "ed25519_per_s": 1 / ed25519_s}


def _transfers() -> dict[str, Any]:
    """Blocks of 1,000 transfers by as many accounts."""
    genesis = bft_genesis(
        parameters=Parameters(slots_per_epoch=1000, content_size_bytes_max=1 << 20),
        grants=tuple(Grant(account_id(number), 1000) for number in range(TRANSFERS)),
    )
    root = first_place(genesis_block(genesis), Base())
    fragments = [
        signed_fragment(
            number, Transfer((Output(account_id(number + 1), 1),)), block0=root.id, last_epoch=1
        )
        for number in range(TRANSFERS)
    ]
    block = bft_block(root, BlockDate(0, 1), *fragments)
    apply_s = _timed(lambda: apply_block(root, block), 7)
    known_s = _timed(lambda: apply_block(root, block), 7, anew=False)
    key = bft_key(0)
    signature, public = key.sign(b"x" * 200), key.public_key()

    def limit() -> None:
        for _ in range(TRANSFERS):
            public.verify(signature, b"x" * 200)

    limit_s = _timed(limit, 5)
    print(
        f"a block of {TRANSFERS} transfers applied: {1e3 * apply_s:.0f} ms, {TRANSFERS / apply_s:.0f}"
        f" transfers a second   (their signatures alone: {1e3 * limit_s:.0f} ms);"
        f" {1e3 * known_s:.0f} ms where they waited before"
    )
    return {
        "block_of_1000_s": apply_s,
        "block_of_1000_known_s": known_s,
        "signatures_of_1000_s": limit_s,
    }


# -- a state --------------------------------------------------------------------------------------


def _state() -> dict[str, Any]:
    """As an epoch's first block has it reckoned, and as who begins with it reads it."""
    base = Base()
    base.take(
        {
            (ACCOUNTS.name, blake2b(b"%d" % number).digest()[:32]): Account(number, number)
            for number in range(CELLS)
        }
    )
    hash_s = _timed(lambda: state_hash(map(chunk_id, chunks_of(first_layer(base)))), 5, anew=False)
    chunks = tuple(chunks_of(first_layer(base)))
    read_s = _timed(lambda: read_state(chunks), 5, anew=False)
    limit_s = _timed(lambda: [chunk_id(chunk) for chunk in chunks], 5, anew=False)
    size_bytes = sum(map(len, chunks))
    print(
        f"a state of {CELLS} accounts, {size_bytes / 1e6:.1f} MB: {1e3 * hash_s:.0f} ms to write and hash"
        f" (its hashes alone: {1e3 * limit_s:.0f} ms), {1e3 * read_s:.0f} ms to read"
    )
    return {"cells": CELLS, "state_hash_s": hash_s, "state_read_s": read_s}


# -- a chain from its beginning -------------------------------------------------------------------


def _finals(root: Place) -> Callable[[], bytes]:
    """Each call makes the next block, with a certificate by three of four that makes the block before its parent final."""
    places = [root]

    def following() -> bytes:
        place = places[-1]
        fragments = []
        if len(places) > 1:
            link = Link(places[-2].checkpoint, place.checkpoint)
            signed = link.to_sign(root.id)
            certificate = Certificate(
                link, {bft_public(each): bft_key(each).sign(signed) for each in range(3)}
            )
            fragments.append(encode_certificate(certificate))
        era = place.settings.era
        date = era.date(era.slot(place.header.date) + 1)
        block: Block = bft_block(place, date, *fragments)
        places[:] = [place, apply_block(place, block)]
        return encode_block(block)

    return following


async def _chain() -> dict[str, Any]:
    """Blocks as they come from a peer, to disk, with their certificates; final at once."""
    genesis = genesis_block(bft_genesis(parameters=Parameters(slots_per_epoch=1000)))
    base = Base()
    make = _finals(first_place(genesis, base))
    taking_s = 0.0
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(Path(folder) / "ledger.sqlite", (SCHEMA,))
        compute = ThreadCompute()
        ports = LedgerPorts(
            store=LedgerStore(database),
            compute=compute,
            clock=SystemClock(),
            log=cast("Any", SilentLog()),
        )
        chain = await LedgerChain.open(ports, genesis)
        for count in range(1, CHAIN + 1):
            content = make()
            forget_all()
            begun = time.perf_counter()
            verdict = await chain.take(BLOCKS, content)
            taking_s += time.perf_counter() - begun
            assert verdict is Verdict.NEW, verdict
            if count % REPORT_EVERY == 0:
                print(f"  {count} blocks: {count / taking_s:.0f} a second", flush=True)
        final = chain.tree.final.header.chain_length
        size_bytes = _size_bytes(Path(folder))
        state_s, blocks_after = await _with_state(chain, genesis, ports)
        await database.close()
        compute.close()
    assert final >= CHAIN - 2
    key = bft_key(0)
    signature, public = key.sign(b"x" * 200), key.public_key()
    limit_s = 4 * CHAIN * _timed(lambda: public.verify(signature, b"x" * 200), 1000)
    print(
        f"{CHAIN} blocks taken, each with its certificate: {taking_s:.0f} s, {size_bytes >> 20} MB on disk"
        f"   (their four signatures alone: {limit_s:.0f} s)"
    )
    print(
        f"the same chain begun with its newest state, and the {blocks_after} blocks after it: {state_s:.2f} s"
    )
    return {
        "chain_blocks": CHAIN,
        "chain_s": taking_s,
        "chain_signatures_s": limit_s,
        "chain_with_state_s": state_s,
    }


async def _with_state(chain: LedgerChain, genesis: Block, ports: LedgerPorts) -> tuple[float, int]:
    """Another node takes the state of ``chain`` as a file, and the blocks after it. Seconds, and how many blocks."""
    file = BytesIO()
    forget_all()
    begun = time.perf_counter()
    await export_state(chain.giving, file)
    file.seek(0)
    taken = import_state(file, genesis)
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(Path(folder) / "ledger.sqlite", (SCHEMA,))
        store = LedgerStore(database)
        await store.begin_with(genesis, taken.block, taken.cells, taken.proven)
        other = await LedgerChain.open(replace(ports, store=store), genesis)
        after = chain.path(other.checkpoints(), None, count_max=CHAIN)
        for block in after:
            content = await chain.content(BLOCKS, block)
            assert content is not None
            assert await other.take(BLOCKS, content) is Verdict.NEW
        assert other.tip() == chain.tip()
        taking_s = time.perf_counter() - begun
        await database.close()
    return taking_s, len(after)


def _size_bytes(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.iterdir())


if __name__ == "__main__":
    run()
