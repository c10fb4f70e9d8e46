"""Listeners hear of blocks in order, and who is slow is told so."""

import asyncio
from typing import Any

from tests.leadership.leading_world import leading, run

from tetrarch.api.ledger_events import WAITING_MAX, LedgerEvents
from tetrarch.leadership.voting import Voting


async def heard(events: LedgerEvents, count: int) -> list[dict[str, Any]]:
    found = []
    async for event in events.listen():
        found.append(event)
        if len(found) == count:
            break
    return found


def test_blocks_are_told_and_then_that_they_are_final() -> None:
    async def main() -> None:
        async with leading() as world:
            voting = asyncio.create_task(Voting(world.leadership._ports, world.chain).run())
            events = LedgerEvents(world.chain, world.clock)
            await world.until(2.5)
            told = await heard(events, 8)
            first, tip, *rest = told
            assert (first["event"], tip["event"]) == ("final", "block")
            blocks = [each for each in rest if each["event"] == "block"]
            assert [each["date"] for each in blocks] == ["0.3", "0.4", "0.5"]
            assert all(0 <= each["after_slot_s"] < 0.1 for each in blocks)
            finals = [each["height"] for each in rest if each["event"] == "final"]
            assert finals == list(range(first["height"] + 1, first["height"] + 1 + len(finals)))
            assert finals
            assert len({each["maker"] for each in blocks}) == 1
            voting.cancel()

    run(main)


def test_who_is_slow_is_told_and_goes_on() -> None:
    async def main() -> None:
        async with leading() as world:
            await world.until(1.5)
            events = LedgerEvents(world.chain, world.clock)
            listener = events.listen()
            await anext(listener)
            place = world.tip
            for _ in range(WAITING_MAX + 1):
                events._tell("block", (place,))
            assert (await anext(listener))["event"] == "block", "what it begins with"
            assert (await anext(listener))["event"] == "missed"
            assert (await anext(listener))["event"] == "block"
            await listener.aclose()
            assert not events._listeners

    run(main)
