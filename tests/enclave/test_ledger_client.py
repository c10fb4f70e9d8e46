"""A ledger's keys in a real, locked enclave: what it signs holds, and nothing twice, through kills and restarts."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.ledger.makers import header_at

from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.errors import EnclaveGone, EnclaveRefused, SealInvalid
from tetrarch.enclave.ledger_calls import FILE
from tetrarch.enclave.ledger_client import LedgerClient
from tetrarch.enclave.protections import Confinement
from tetrarch.enclave.seal_secret import SealSecret, make_key_file
from tetrarch.enclave.sealing import Kind
from tetrarch.entropy import system_entropy
from tetrarch.ledger.dates import BlockDate, Era
from tetrarch.ledger.finality import Checkpoint, Link, Vote, VoteForbidden
from tetrarch.ledger.headers import BlockId, PoolId
from tetrarch.ledger.keyring import (
    LeaderUnknown,
    OtherChain,
    PeriodOver,
    PoolPublic,
    SlotTaken,
    TurnKeys,
    lottery_of,
)
from tetrarch.ledger.leaders import BftLeaders, Pool, PraosLeaders
from tetrarch.ledger.praos import FIRST_NONCE
from tetrarch.storage.errors import StorageInUse

BLOCK0 = BlockId(bytes(range(32)))
POOL = PoolId(b"p" * 32)
ALWAYS = lottery_of(FIRST_NONCE, 1 << 64)
ERA = Era(slots_per_epoch=100)


@asynccontextmanager
async def opened(
    folder: Path, block0: BlockId | None = BLOCK0
) -> AsyncIterator[tuple[LedgerClient, EnclaveClient]]:
    make_key_file(folder / "seal-key", system_entropy)
    enclave = await EnclaveClient.launch(Confinement(writable=(folder,)))
    try:
        secret = SealSecret(Kind.KEY_FILE, folder / "seal-key")
        yield await LedgerClient.open(enclave, folder, secret, block0), enclave
    finally:
        await enclave.close()


def link(source: int, target: int) -> Link:
    return Link(Checkpoint(source, BLOCK0), Checkpoint(target, BLOCK0))


def test_keys_are_made_before_there_is_a_chain_and_sign_for_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path, None) as (keys, _):
            voter = keys.voter
            turn, pool = await keys.add_leader(), await keys.add_leader(POOL)
            with pytest.raises(EnclaveRefused, match="no chain"):
                await keys.sign_vote(link(0, 1))
        async with opened(tmp_path) as (keys, _):
            assert keys.voter == voter
            assert await keys.leaders() == (turn, pool)
            assert isinstance(turn.keys, TurnKeys)
            assert isinstance(pool.keys, PoolPublic)
            header = await keys.sign_block(
                turn.number, header_at(BlockDate(0, 3)), lottery=None, kes_period=0
            )
            BftLeaders(epoch=0, era=ERA, leaders=(turn.keys.leader,)).verify(header)
            header = await keys.sign_block(
                pool.number, header_at(BlockDate(0, 3)), lottery=ALWAYS, kes_period=1
            )
            registered = Pool(
                stake=1, vrf_key=pool.keys.vrf_key, kes_key=pool.keys.kes_key, kes_start_slot=0
            )
            PraosLeaders(
                epoch=0,
                era=ERA,
                nonce=FIRST_NONCE,
                coefficient_milli=1000,
                slots_per_kes_period=2,
                pools={POOL: registered},
            ).verify(header)
            signature = await keys.sign_vote(link(0, 1))
            Vote(link(0, 1), voter, signature).check(BLOCK0)
            half = lottery_of(FIRST_NONCE, 1 << 63)
            slots = await keys.slots(pool.number, half, range(40, 100))
            assert 15 < len(slots) < 45
            assert set(slots) <= set(range(40, 100))
        with pytest.raises(OtherChain):
            async with opened(tmp_path, BlockId(bytes(32))):
                pass

    asyncio.run(main())


def test_what_was_signed_is_known_after_a_kill(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as (keys, _):
            await keys.add_leader()
            await keys.add_leader(POOL)
        for slot in range(1, 4):
            async with opened(tmp_path) as (keys, enclave):
                for number, lottery in ((0, None), (1, ALWAYS)):
                    await keys.sign_block(
                        number, header_at(BlockDate(1, slot)), lottery=lottery, kes_period=slot
                    )
                await keys.sign_vote(link(slot - 1, slot))
                os.kill(enclave.process_id, signal.SIGKILL)
                with pytest.raises(EnclaveGone):
                    await enclave.watch()
            async with opened(tmp_path) as (keys, _):
                for number, lottery in ((0, None), (1, ALWAYS)):
                    with pytest.raises(SlotTaken, match=rf"latest=1\.{slot}"):
                        await keys.sign_block(
                            number, header_at(BlockDate(1, slot)), lottery=lottery, kes_period=slot
                        )
                with pytest.raises(VoteForbidden):
                    await keys.sign_vote(link(slot - 1, slot))
                with pytest.raises(PeriodOver):
                    await keys.evolve(1, slot - 1)
                assert (await keys.leaders())[0].mark == (1, slot)

    asyncio.run(main())


def test_leaders_come_and_go_while_it_runs(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as (keys, _):
            first, second = await keys.add_leader(), await keys.add_leader()
            await keys.drop_leader(first.number)
            assert await keys.leaders() == (second,)
            with pytest.raises(LeaderUnknown):
                await keys.drop_leader(first.number)

    asyncio.run(main())


def test_one_enclave_has_the_keys_and_no_text_shows_them(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as (keys, _):
            await keys.add_leader(POOL)
            with pytest.raises(StorageInUse):
                async with opened(tmp_path):
                    pass
        assert b"pool" not in (tmp_path / FILE).read_bytes(), "it is sealed"
        (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:-1])
        with pytest.raises(SealInvalid):
            async with opened(tmp_path):
                pass

    asyncio.run(main())
