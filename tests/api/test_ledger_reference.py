"""The reference's paths and shapes, as they go over the wire."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from tests.leadership.leading_world import World, leading, run
from tests.ledger.makers import account_id, signed_fragment

from tetrarch.api.ledger_reference import PeerCounts, ReferenceApi
from tetrarch.api.ledger_views import LedgerView
from tetrarch.errors import InputInvalid
from tetrarch.ledger.blocks import Fragment, decode_block, fragment_id
from tetrarch.ledger.fragments.signed import encode_fragment
from tetrarch.ledger.fragments.transfer import Output, Transfer
from tetrarch.observability.monitoring import NotHere


class Asked:
    """One node's interface, and whether it was stopped."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.stopped = 0
        voter = world.leadership._ports.keys.voter
        view = LedgerView(world.chain, world.leadership, world.clock, voter=voter)
        peers = PeerCounts(available=7, connected=3, quarantined=2)
        self.api = ReferenceApi(view, world, peers=lambda: peers, stop=self._stop)

    def _stop(self) -> None:
        self.stopped += 1

    async def raw(self, path: str, **query: str) -> Any:
        found = self.api.views()[f"api/{path}"](query)
        return await found if isinstance(found, Awaitable) else found

    async def get(self, path: str, **query: str) -> Any:
        return json.loads(msgspec.json.encode(await self.raw(path, **query)))

    async def act(self, path: str, given: Any) -> Any:
        control = self.api.controls()[f"api/{path}"]
        if control.asked is not bytes:
            given = msgspec.json.decode(json.dumps(given), type=control.asked)
        return json.loads(msgspec.json.encode(await control.act(given)))

    def transfer(self, value: int = 10, *, counter: int = 0) -> bytes:
        body = Transfer((Output(account_id(9), value),))
        block0 = self.world.tip.block0
        return encode_fragment(signed_fragment(0, body, counter=counter, block0=block0))


def scenario(work: Callable[[Asked], Awaitable[None]], *, slot: float = 3.5) -> None:
    async def main() -> None:
        async with leading() as world:
            asked = Asked(world)
            await world.until(slot)
            await work(asked)

    run(main)


def test_blocks_are_given_as_they_are() -> None:
    async def work(asked: Asked) -> None:
        tip = asked.world.tip
        assert await asked.get("v0/tip") == tip.id.hex()
        block = decode_block(await asked.raw("v0/block/{id}", id=tip.id.hex()))
        assert block.header.id == tip.id
        following = await asked.raw("v0/block/{id}/next_id", id=tip.block0.hex(), count="8")
        assert len(following) == 3 * 32
        assert following.endswith(tip.id)
        assert len(await asked.raw("v0/block/{id}/next_id", id=tip.block0.hex())) == 32
        assert await asked.raw("v0/block/{id}/next_id", id=tip.id.hex()) == b""

    scenario(work)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("v0/block/{id}", {"id": "ab" * 32}),
        ("v0/block/{id}/next_id", {"id": "ab" * 32}),
        ("v0/stake_pool/{id}", {"id": "ab" * 32}),
        ("v0/stake/{epoch}", {"epoch": "9999"}),
    ],
)
def test_what_is_not_here_is_not_here(path: str, query: dict[str, str]) -> None:
    async def work(asked: Asked) -> None:
        with pytest.raises(NotHere):
            await asked.raw(path, **query)

    scenario(work)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("v0/block/{id}", {"id": "zz"}),
        ("v0/block/{id}/next_id", {"id": "ab" * 32, "count": "1025"}),
        ("v0/stake/{epoch}", {"epoch": "-1"}),
        ("v1/fragments/statuses", {"fragment_ids": "ab"}),
        ("v1/fragments/statuses", {"fragment_ids": ",".join(["ab" * 32] * 65)}),
    ],
)
def test_what_is_asked_wrongly_is_told(path: str, query: dict[str, str]) -> None:
    async def work(asked: Asked) -> None:
        with pytest.raises(InputInvalid) as caught:
            await asked.raw(path, **query)
        assert not isinstance(caught.value, NotHere)

    scenario(work)


def test_a_fragment_is_given_waits_and_is_in_a_block() -> None:
    async def work(asked: Asked) -> None:
        data = asked.transfer()
        identity = fragment_id(Fragment(data)).hex()
        told = await asked.act("v0/message", data)
        assert told == {"accepted": [identity], "rejected": []}
        (entry,) = await asked.get("v0/fragment/logs")
        assert (entry["fragment_id"], entry["received_from"]) == (identity, "Rest")
        assert entry["status"] == "Pending"
        await asked.world.until(4.5)
        statuses = await asked.get("v1/fragments/statuses", fragment_ids=f"{identity},{'ab' * 32}")
        block = asked.world.tip.id.hex()
        assert statuses == {identity: {"InABlock": {"date": "0.4", "block": block}}}
        stats = await asked.get("v0/node/stats")
        assert (stats["lastBlockTx"], stats["lastBlockSum"], stats["lastBlockHeight"]) == (
            1,
            10,
            "4",
        )
        assert (stats["peerAvailableCnt"], stats["peerConnectedCnt"], stats["peerTotalCnt"]) == (
            7,
            3,
            9,
        )
        assert (stats["blockRecvCnt"], stats["txRecvCnt"], stats["txRejectedCnt"]) == (4, 1, 0)
        account = await asked.get("v0/account/{id}", id=account_id(9).hex())
        assert account["value"] == 10

    scenario(work)


def test_what_cannot_hold_is_rejected_with_its_reason_and_the_rest_is_given() -> None:
    async def work(asked: Asked) -> None:
        good, bad = asked.transfer(), asked.transfer(10**6, counter=1)
        given = {"fragments": ["00", good.hex(), bad.hex()]}
        told = await asked.act("v1/fragments", given)
        assert told["accepted"] == [fragment_id(Fragment(good)).hex()]
        assert [each["id"] for each in told["rejected"]] == [
            fragment_id(Fragment(each)).hex() for each in (b"\x00", bad)
        ]
        assert "holds" in told["rejected"][1]["reason"]
        statuses = await asked.get(
            "v1/fragments/statuses", fragment_ids=fragment_id(Fragment(bad)).hex()
        )
        assert "holds" in statuses[fragment_id(Fragment(bad)).hex()]["Rejected"]["reason"]
        told = await asked.act("v1/fragments", given | {"fail_fast": True})
        assert (len(told["accepted"]), len(told["rejected"])) == (0, 1)

    scenario(work)


def test_leaders_come_and_go_by_their_numbers() -> None:
    async def work(asked: Asked) -> None:
        number = await asked.act("v0/leaders", {})
        assert await asked.get("v0/leaders") == [0, number]
        await asked.act("v0/leaders/{number}", {"number": number})
        assert await asked.get("v0/leaders") == [0]

    scenario(work)


def test_settings_and_stake() -> None:
    async def work(asked: Asked) -> None:
        settings = await asked.get("v0/settings")
        assert settings["block0Hash"] == asked.world.tip.block0.hex()
        assert (settings["slotDuration"], settings["slotsPerEpoch"]) == (1.0, 10)
        assert await asked.get("v0/stake") == {"epoch": 0, "stake": {"pools": []}}
        assert await asked.get("v0/stake/{epoch}", epoch="0") == await asked.get("v0/stake")
        assert await asked.get("v0/stake_pools") == []

    scenario(work)


def test_the_schedule_as_it_came_about() -> None:
    async def work(asked: Asked) -> None:
        logs = await asked.get("v0/leaders/logs")
        assert logs[2]["status"]["Block"]["block"] == asked.world.tip.id.hex()

    scenario(work)


def test_it_is_stopped() -> None:
    async def work(asked: Asked) -> None:
        await asked.act("v0/shutdown", {})
        assert asked.stopped == 1

    scenario(work)
