"""What an operator may do to a running node of a ledger."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from tests.leadership.leading_world import World, leading, run
from tests.ledger.makers import account_id, bft_public, signed_fragment

from tetrarch.api.ledger_agreements import parameters_view
from tetrarch.api.ledger_controls import ledger_controls
from tetrarch.api.ledger_views import LedgerView
from tetrarch.decoding import UNDECODABLE
from tetrarch.errors import InputInvalid
from tetrarch.leadership.voting import Voting
from tetrarch.ledger.accounts import account_of
from tetrarch.ledger.fragments.signed import encode_fragment
from tetrarch.ledger.fragments.transfer import Output, Transfer
from tetrarch.ledger.membership import alike, membership_of
from tetrarch.ledger.parameter_votes import agreed_of


async def done(world: World, path: str, **asked: Any) -> Any:
    """As a body that comes over the wire."""
    view = LedgerView(world.chain, world.leadership, world.clock, voter=bytes(32))
    control = ledger_controls(view, world, world.leadership._ports.keys)[path]
    told = await control.act(msgspec.json.decode(json.dumps(asked), type=control.asked))
    return json.loads(msgspec.json.encode(told))


def scenario(work: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        async with leading() as world:
            await world.until(2.5)
            await work(world)

    run(main)


def paying(world: World, value: int, *, counter: int = 0) -> str:
    body = Transfer((Output(account_id(9), value),))
    fragment = signed_fragment(0, body, counter=counter, block0=world.tip.block0)
    return encode_fragment(fragment).hex()


def test_a_fragment_is_given_and_is_in_the_next_block() -> None:
    async def work(world: World) -> None:
        fragment = paying(world, 10)
        told = await done(world, "ledger/fragments", fragment=fragment)
        assert told["new"] is True
        await world.until(3.5)
        assert account_of(world.tip.layer, account_id(9)).value == 10

    scenario(work)


def test_a_fragment_that_cannot_hold_is_told_why() -> None:
    async def work(world: World) -> None:
        whole = paying(world, 10)
        for fragment, reason in (
            ("ff", "no such kind"),
            (whole[:-2], "fragment"),
            (whole[:-2] + "00", "signature"),
            (paying(world, 10, counter=99), "counter=99"),
            (paying(world, 5000), "holds=1000"),
        ):
            with pytest.raises(InputInvalid, match=reason):
                await done(world, "ledger/fragments", fragment=fragment)
        await done(world, "ledger/fragments", fragment=whole)
        with pytest.raises(InputInvalid, match="stale"):
            await done(world, "ledger/fragments", fragment=paying(world, 11))

    scenario(work)


def test_leaders_are_added_and_removed() -> None:
    async def work(world: World) -> None:
        turn = await done(world, "leadership/add")
        pool = await done(world, "leadership/add", pool="ab" * 32)
        assert (turn["number"], turn["kind"]) == (1, "turn")
        assert (pool["number"], pool["pool"]) == (2, "ab" * 32)
        with pytest.raises(InputInvalid, match="here already"):
            await done(world, "leadership/add", pool="ab" * 32)
        await done(world, "leadership/remove", number=1)
        assert [each.number for each in world.leadership.leaders] == [0, 2]
        with pytest.raises(InputInvalid, match="number=1"):
            await done(world, "leadership/remove", number=1)

    scenario(work)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("ledger/fragments", {}),
        ("ledger/fragments", {"fragment": "abc"}),
        ("ledger/fragments", {"fragment": "ab" * 2000}),
        ("leadership/add", {"pool": "ab"}),
        ("leadership/remove", {"number": -1}),
        ("leadership/remove", {"number": 1, "force": True}),
    ],
)
def test_bodies_that_are_none_are_told(path: str, asked: dict[str, Any]) -> None:
    async def work(world: World) -> None:
        with pytest.raises(UNDECODABLE):
            await done(world, path, **asked)

    scenario(work)


def test_a_member_votes_for_parameters_again_and_again() -> None:
    """It is the only one, so its vote decides; the second comes after the first, which waits still."""

    async def work(world: World) -> None:
        await world.until(2.5)
        first = {"mode": "bft", "fees.constant": "4"}
        await done(world, "ledger/vote-parameters", epoch=2, changes=first)
        await done(world, "ledger/vote-parameters", epoch=3, changes={"expiry_epochs_max": "9"})
        for changes, match in (
            ({"slots_per_epoch": "9"}, "fixed=slots_per_epoch"),
            ({"fees.constant": "x"}, "int"),
            ({"mode": "other"}, "other"),
            ({"fees": "1"}, "no such"),
            ({"fees.constant.x": "1"}, "no such"),
            ({"content_size_bytes_max": "1"}, "lowest=1024"),
        ):
            with pytest.raises(InputInvalid, match=match):
                await done(world, "ledger/vote-parameters", epoch=4, changes=changes)
        await world.until(4.5)
        assert [epoch for epoch, _ in agreed_of(world.tip.layer)] == [2, 3]
        told = parameters_view(world.tip)
        assert told["now"]["fees.constant"] == 0
        assert told["coming"][0]["parameters"]["fees.constant"] == 4
        assert told["votes"] == []

    scenario(work)


def test_members_change_by_the_signatures_that_their_nodes_give() -> None:
    other = bft_public(5).hex()

    async def work(world: World) -> None:
        voting = asyncio.create_task(Voting(world.leadership._ports, world.chain).run())
        await world.until(3.5)
        told = await done(world, "ledger/sign-members", members=[other])
        assert told["sequence"] == 1
        signatures = {told["voter"]: told["signature"]}
        with pytest.raises(InputInvalid, match="needed=1"):
            await done(world, "ledger/change-members", members=[other], signatures={})
        with pytest.raises(InputInvalid, match="verify change"):
            await done(
                world, "ledger/change-members", members=[told["voter"]], signatures=signatures
            )
        await done(world, "ledger/change-members", members=[other], signatures=signatures)
        await world.until(6.5)
        assert membership_of(world.tip.layer).members == alike([bft_public(5)])
        final = world.chain.tree.final.header.chain_length
        await world.until(9.5)
        assert world.chain.tree.final.header.chain_length == final, "the new member does not vote"
        voting.cancel()

    scenario(work)
