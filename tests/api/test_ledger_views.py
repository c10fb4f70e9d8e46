"""What a node of a ledger tells, as it goes over the wire."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from tests.leadership.leading_world import World, leading, run
from tests.leadership.test_elected import OWN, elect, founded
from tests.ledger.makers import account_id, signed_fragment

from tetrarch.api.ledger_views import BEHIND_SLOTS_MAX, LedgerView, ledger_reasons
from tetrarch.errors import InputInvalid
from tetrarch.ledger.fragments.signed import encode_fragment
from tetrarch.ledger.fragments.transfer import Output, Transfer
from tetrarch.network.overlay.chain import Verdict
from tetrarch.network.overlay.profile import FRAGMENTS


def view_of(world: World) -> LedgerView:
    voter = world.leadership._ports.keys.voter
    return LedgerView(world.chain, world.leadership, world.clock, voter=voter)


async def told(world: World, path: str, **query: str) -> Any:
    found = view_of(world).views()[path](query)
    if isinstance(found, Awaitable):
        found = await found
    return json.loads(msgspec.json.encode(found))


def scenario(work: Callable[[World], Awaitable[None]], *, slot: float = 3.5) -> None:
    async def main() -> None:
        async with leading() as world:
            await world.until(slot)
            await work(world)

    run(main)


def test_where_the_chain_ends_and_what_is_final() -> None:
    async def work(world: World) -> None:
        status = await told(world, "ledger/status")
        assert (status["slot_now"], status["date_now"], status["mode"]) == (3, "0.3", "bft")
        assert (status["tip"]["height"], status["tip"]["date"]) == (3, "0.3")
        assert (status["final"]["height"], status["blocks_not_final"]) == (0, 3)
        assert status["lowest_height"] == 0, "all blocks are here"
        assert status["votes"] is True
        blocks = await told(world, "ledger/blocks")
        assert [each["height"] for each in blocks] == [3, 2, 1, 0]
        assert [each["final"] for each in blocks] == [False, False, False, True]
        assert all(each["counts"] for each in blocks)
        assert len(await told(world, "ledger/blocks", count="2")) == 2

    scenario(work)


def test_a_block_and_what_it_carries() -> None:
    async def work(world: World) -> None:
        body = Transfer((Output(account_id(9), 10),))
        fragment = signed_fragment(0, body, block0=world.tip.block0)
        await world.chain.take(FRAGMENTS, encode_fragment(fragment))
        await world.until(4.5)
        block = await told(world, "ledger/block", id=world.tip.id.hex())
        (paid,) = block["fragments"]
        assert (paid["kind"], paid["payer"]) == ("transfer", account_id(0).hex())
        first = await told(world, "ledger/block", id=world.tip.block0.hex())
        assert (first["height"], first["maker"], first["fragments"]) == (0, None, [])
        account = await told(world, "ledger/account", id=account_id(0).hex())
        assert account == {"value": 990, "counter": 1, "waiting": 0, "pool": None}

    scenario(work)


def test_the_first_block_of_a_term_says_who_was_elected() -> None:
    async def main() -> None:
        async with leading(founded=founded) as world:
            assert await elect(world, OWN, 4) is Verdict.NEW
            await world.until(2.5)
            first = await told(world, "ledger/block", id=world.tip.header.parent.hex())
            assert first["election"] == {"term": 4, "leader": OWN, "name": "node2", "signers": 3}
            second = await told(world, "ledger/block", id=world.tip.id.hex())
            assert (second["height"], second["election"]) == (2, None)

    run(main)


def test_leaders_their_schedule_and_their_logs_in_the_reference_s_shape() -> None:
    async def work(world: World) -> None:
        leaders = await told(world, "leadership/leaders")
        (leader,) = leaders["leaders"]
        assert (leader["kind"], leader["latest_date"]) == ("turn", "0.3")
        assert [each["slots_known"] for each in leaders["schedules"]] == [10, 10]
        schedule = await told(world, "leadership/schedule")
        assert schedule[0]["date"] == "0.4"
        logs = await told(world, "leadership/logs")
        made = logs[2]
        assert made["scheduled_at_date"] == "0.3"
        assert made["status"]["Block"]["block"] == world.tip.id.hex()
        assert made["outcome"] == "accepted"
        assert logs[3]["status"] == "Pending"
        assert logs[3]["wake_at_time"] is None

    scenario(work)


def test_no_pools() -> None:
    async def work(world: World) -> None:
        assert await told(world, "ledger/pools") == []

    scenario(work)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("ledger/block", {}),
        ("ledger/block", {"id": "zz"}),
        ("ledger/block", {"id": "00" * 32}),
        ("ledger/account", {"id": "00"}),
        ("ledger/blocks", {"count": "-1"}),
        ("ledger/blocks", {"count": "9999"}),
    ],
)
def test_questions_that_are_none_are_told(path: str, query: dict[str, str]) -> None:
    async def work(world: World) -> None:
        with pytest.raises(InputInvalid):
            await told(world, path, **query)

    scenario(work)


def test_a_node_without_new_blocks_is_not_ready() -> None:
    async def work(world: World) -> None:
        assert ledger_reasons(view_of(world)) == ()
        await world.leadership.drop_leader(0)
        await world.until(BEHIND_SLOTS_MAX + 5)
        (reason,) = ledger_reasons(view_of(world))
        assert reason.startswith("chain_behind")

    scenario(work)
