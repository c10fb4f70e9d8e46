"""What the page draws, and that the page reads what there is and makes no markup of it.

How it looks is seen with eyes: docs/images/draw_ledger.py.
"""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from tests.leadership.leading_world import World, leading, run

from tetrarch.api.ledger_drawing import PAGE_PATH, LedgerDrawing
from tetrarch.api.ledger_views import LedgerView
from tetrarch.ledger.finality import Vote, encode_vote
from tetrarch.network.overlay.profile import FRAGMENTS

SVG_NAMESPACE = "http://www.w3.org/2000/svg"


def drawing_of(world: World) -> LedgerDrawing:
    voter = world.leadership._ports.keys.voter
    return LedgerDrawing(LedgerView(world.chain, world.leadership, world.clock, voter=voter))


async def drawn(drawing: LedgerDrawing) -> Any:
    found = drawing.views()["ledger/chain"]({})
    assert isinstance(found, Awaitable)
    return json.loads(msgspec.json.encode(await found))


def scenario(work: Callable[[World], Awaitable[None]], *, slot: float = 4.5) -> None:
    async def main() -> None:
        async with leading() as world:
            await world.until(slot)
            await work(world)

    run(main)


async def vote(world: World) -> None:
    """As the only member, for all blocks, one upon the other."""
    keys = world.leadership._ports.keys
    for place in reversed(list(world.chain.tree.line())):
        link = world.chain.opinion.link_for(place.header.chain_length)
        if link is not None:
            signed = Vote(link, keys.voter, await keys.sign_vote(link))
            await world.chain.take(FRAGMENTS, encode_vote(signed))


def test_blocks_say_what_they_are() -> None:
    async def work(world: World) -> None:
        drawing = drawing_of(world)
        told = await drawn(drawing)
        assert (told["tip"]["height"], told["final"]["height"]) == (4, 0)
        blocks = sorted(told["blocks"], key=lambda each: each["height"])
        assert [each["height"] for each in blocks] == [0, 1, 2, 3, 4]
        assert [each["final"] for each in blocks] == [True, False, False, False, False]
        assert [each["own"] for each in blocks] == [False, True, True, True, True]
        assert all(each["counts"] for each in blocks)
        await vote(world)
        told = await drawn(drawing)
        assert told["final"]["height"] == 3
        blocks = sorted(told["blocks"], key=lambda each: each["height"])
        assert [each["final"] for each in blocks] == [True, True, True, True, False]
        assert [each["justified"] for each in blocks] == [True] * 5

    scenario(work)


def test_slots_of_this_epoch_and_the_next_and_what_became_of_them() -> None:
    async def work(world: World) -> None:
        told = await drawn(drawing_of(world))
        assert (told["epoch"], told["date_now"], told["slots_per_epoch"]) == (0, "0.4", 10)
        by_slot = {(each["epoch"], each["slot"]): each for each in told["slots"]}
        assert by_slot[0, 3]["status"] == "accepted"
        assert by_slot[0, 3]["late_s"] is not None
        assert by_slot[0, 5]["status"] == "pending"
        assert by_slot[0, 5]["block"] is None
        assert {epoch for epoch, _ in by_slot} <= {0, 1}
        assert told["schedules"][0]["known"] == 10

    scenario(work)


def test_reorganisations_are_remembered() -> None:
    async def work(world: World) -> None:
        drawing = drawing_of(world)
        assert (await drawn(drawing))["switches"] == []
        tree = world.chain.tree
        line = list(tree.line())
        switch = type("Made", (), {"undone": tuple(line[:2]), "done": tuple(line[:1])})()
        world.chain.news.on_switch.tell(switch)
        (told,) = (await drawn(drawing))["switches"]
        assert (told["undone"], told["done"], told["height"]) == (2, 1, 4)
        assert told["to"] == tree.tip.id.hex()

    scenario(work)


def test_the_page_has_all_that_it_needs_in_it() -> None:
    async def work(world: World) -> None:
        page = drawing_of(world).pages()[PAGE_PATH]
        text = page.html.decode()
        assert re.findall(r"\b(?:https?|wss?|data|blob):[^\s\"']*", text) == [SVG_NAMESPACE]
        assert not re.search(r"<(link|img|iframe|object|embed|base)\b|@import|url\(|\bsrc=", text)
        assert text.count("<script") == text.count("<style") == 1
        assert page.policy.count("sha256-") == 2
        script = text[text.index("<script>") : text.index("</script>")]
        markup = r"innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|createContextual"
        assert not re.search(markup + r"|srcdoc|\.(href|src|action)\b", script)
        assert not re.search(r"\beval\b|\bFunction\(|setTimeout\(\s*[\"'`]|javascript:", text)
        assert not re.search(r"<[^>]*\s(on\w+|style)=", text)

    scenario(work)


def test_the_page_reads_what_is_told() -> None:
    async def work(world: World) -> None:
        drawing = drawing_of(world)
        script = drawing.pages()[PAGE_PATH].html.decode()
        told = await drawn(drawing)
        blocks = LedgerView(world.chain, world.leadership, world.clock, voter=bytes(32)).views()
        one = blocks["ledger/block"]({"id": world.tip.id.hex()})
        assert isinstance(one, Awaitable)
        for name, keys in (
            ("chain", told.keys()),
            ("block", told["blocks"][0].keys()),
            ("slot", told["slots"][0].keys()),
        ):
            read = set(re.findall(rf"(?<![.\w\"-]){name}\.(\w+)", script))
            assert read, name
            assert read <= keys, name
        described = json.loads(msgspec.json.encode(await one))
        read = set(re.findall(r"(?<![.\w])told\.(\w+)", script))
        assert read <= described.keys()
        assert set(re.findall(r"fetch\([\"`](\w+)", script)) == {"chain", "block"}

    scenario(work)
