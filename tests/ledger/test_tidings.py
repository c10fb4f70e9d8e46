"""What members tell one another: each kind read, weighed, verified, taken, and told on once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.ledger.makers import bft_key, bft_public
from tests.ledger.test_chain import ROOT, Opened, grown, opened, run
from tests.ledger.test_opinion import at, certificate, say, signed

from tetrarch.ledger.applying import Place
from tetrarch.ledger.blocks import Fragment, fragment_id
from tetrarch.ledger.finality import Checkpoint, Link, Vote, encode_vote
from tetrarch.ledger.membership import Change, encode_change
from tetrarch.ledger.reservations import (
    Kind,
    Receipt,
    Request,
    Span,
    encode_receipt,
    encode_request,
    receipt_to_sign,
    request_to_sign,
)
from tetrarch.ledger.tidings import AGAIN_SLOTS, TOLD_MAX
from tetrarch.network.overlay.chain import Verdict
from tetrarch.network.overlay.profile import FRAGMENTS
from tetrarch.network.overlay.spreading import ItemId

SPAN = Span(holder=bft_public(0), life=bytes(32), kind=Kind.HEIGHTS, first=1, until=9)
MEMBERS = tuple(map(bft_public, (0, 1, 5)))


def link_to(place: Place) -> Link:
    return Link(Checkpoint(0, ROOT.id), place.checkpoint)


def vote(place: Place) -> bytes:
    return signed(1, link_to(place))


def change(place: Place, *signers: int) -> bytes:
    unsigned = Change(1, MEMBERS)
    content = unsigned.to_sign(ROOT.id)
    numbers = signers or (0, 1, 2)
    signatures = {bft_public(each): bft_key(each).sign(content) for each in numbers}
    return encode_change(replace(unsigned, signatures=signatures))


def request(place: Place) -> bytes:
    return encode_request(Request(SPAN, bft_key(0).sign(request_to_sign(SPAN, ROOT.id))))


def receipt(place: Place) -> bytes:
    signature = bft_key(1).sign(receipt_to_sign(SPAN, ROOT.id))
    return encode_receipt(Receipt(SPAN, bft_public(1), signature))


def told(place: Place) -> bytes:
    return certificate(link_to(place), 0, 1, 2)


KINDS = [vote, told, change, request, receipt]


async def with_a_block(ledger: Opened) -> Place:
    ((place, block),) = grown(ROOT, 1)
    at(ledger, 1)
    assert await ledger.take(block) is Verdict.NEW
    return place


async def heard(ledger: Opened, content: bytes) -> Verdict:
    return await ledger.chain.take(FRAGMENTS, content)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_news_once_and_there_for_others(
    kind: Callable[[Place], bytes], tmp_path: Path
) -> None:
    async def main() -> None:
        async with opened(tmp_path) as ledger:
            place = await with_a_block(ledger)
            if kind is receipt:
                await heard(ledger, request(place))
            content = kind(place)
            item = ItemId(fragment_id(Fragment(content)))
            assert not ledger.chain.has(FRAGMENTS, item)
            assert await heard(ledger, content) is Verdict.NEW
            assert await heard(ledger, content) is Verdict.KNOWN
            assert ledger.chain.has(FRAGMENTS, item)
            assert await ledger.chain.content(FRAGMENTS, item) == content

    run(main())


def test_a_certificate_is_told_again_later_to_whom_it_did_not_come(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as ledger:
            place = await with_a_block(ledger)
            content = told(place)
            assert await heard(ledger, content) is Verdict.NEW
            for verdict in (Verdict.NEW, Verdict.NEW):
                ledger.clock.now_s += AGAIN_SLOTS - 0.1
                assert await heard(ledger, content) is Verdict.KNOWN
                ledger.clock.now_s += 0.2
                assert await heard(ledger, content) is verdict
            assert await heard(ledger, vote(place)) is Verdict.NEW
            ledger.clock.now_s += AGAIN_SLOTS
            assert await heard(ledger, vote(place)) is Verdict.KNOWN, (
                "who keeps it asks for no more"
            )

    run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_who_sends_what_cannot_be_read_or_what_nobody_signed_is_to_blame(
    kind: Callable[[Place], bytes], tmp_path: Path
) -> None:
    async def main() -> None:
        async with opened(tmp_path) as ledger:
            content = kind(await with_a_block(ledger))
            for wrong in (content + b"x", content[:-1], content[:-1] + bytes([content[-1] ^ 1])):
                assert await heard(ledger, wrong) is Verdict.INVALID
                assert ledger.log.find("ledger_refused")[-1]["what"] in {
                    "vote",
                    "certificate",
                    "change",
                    "request",
                    "receipt",
                }
                assert not ledger.chain.has(FRAGMENTS, ItemId(fragment_id(Fragment(wrong))))

    run(main())


def test_what_is_of_no_use_here_costs_no_signature_and_nobody_his_good_name(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as ledger:
            place = await with_a_block(ledger)
            few = certificate(link_to(place), 0)
            assert await heard(ledger, few) is Verdict.STALE
            assert await heard(ledger, few[:-1] + bytes([few[-1] ^ 1])) is Verdict.STALE
            assert await heard(ledger, change(place, 0)) is Verdict.STALE
            assert ledger.log.find("ledger_not_taken", what="certificate")
            assert ledger.log.find("ledger_not_taken", what="change")
            stranger = bft_key(7).sign(link_to(place).to_sign(ROOT.id))
            unknown = encode_vote(Vote(link_to(place), bft_public(7), stranger))
            assert await heard(ledger, unknown) is Verdict.STALE
            assert await heard(ledger, receipt(place)) is Verdict.STALE, "nobody asked"

    run(main())


def test_a_change_waits_for_a_block_in_which_it_holds(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as ledger:
            place = await with_a_block(ledger)
            assert ledger.chain.change_for(place) is None
            await heard(ledger, change(place))
            waiting = ledger.chain.change_for(place)
            assert waiting is not None
            assert waiting.members == MEMBERS

    run(main())


def test_two_votes_for_one_height_are_named_and_not_told_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as ledger:
            place = await with_a_block(ledger)
            ((other, block),) = grown(ROOT, 2)
            at(ledger, 2)
            await ledger.take(block)
            assert await say(ledger, link_to(place), 1) == [Verdict.NEW]
            assert await say(ledger, link_to(other), 1) == [Verdict.STALE]
            (line,) = ledger.log.find("voter_contradicts_itself")
            assert line["voter"] == bft_public(1).hex()

    run(main())


def test_what_is_kept_for_others_is_bounded(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as ledger:
            await with_a_block(ledger)
            items = []
            for number in range(TOLD_MAX + 1):
                span = replace(SPAN, life=number.to_bytes(32, "big"))
                signature = bft_key(0).sign(request_to_sign(span, ROOT.id))
                content = encode_request(Request(span, signature))
                at(ledger, 1 + number)  # of one holder only some are heard in a slot
                assert await heard(ledger, content) is Verdict.NEW
                items.append(ItemId(fragment_id(Fragment(content))))
            assert not ledger.chain.has(FRAGMENTS, items[0])
            assert all(ledger.chain.has(FRAGMENTS, item) for item in items[1:])

    run(main())
