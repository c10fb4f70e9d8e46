"""Votes that come in make blocks final, at once and for good; who missed them learns it from blocks."""

from contextlib import AsyncExitStack
from pathlib import Path

from tests.ledger.chain_maker import START_S, bft_block
from tests.ledger.makers import bft_key, bft_public
from tests.ledger.test_chain import ROOT, Opened, grown, opened, run

from tetrarch.ledger.applying import apply_block
from tetrarch.ledger.blocks import Fragment, fragment_id
from tetrarch.ledger.checkpoints import encode_certificate, standing_of
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.finality import Certificate, Checkpoint, Link, Marks, Vote, encode_vote
from tetrarch.network.overlay.chain import Verdict
from tetrarch.network.overlay.profile import FRAGMENTS
from tetrarch.network.overlay.spreading import ItemId

FIRST = Checkpoint(0, ROOT.id)


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def signed(number: int, link: Link) -> bytes:
    signature = bft_key(number).sign(link.to_sign(ROOT.id))
    return encode_vote(Vote(link, bft_public(number), signature))


def certificate(link: Link, *numbers: int) -> Fragment:
    content = link.to_sign(ROOT.id)
    signatures = {bft_public(number): bft_key(number).sign(content) for number in numbers}
    return encode_certificate(Certificate(link, signatures))


async def say(ledger: Opened, link: Link | None, *numbers: int) -> list[Verdict]:
    assert link is not None
    return [await ledger.chain.take(FRAGMENTS, signed(number, link)) for number in numbers]


def at(ledger: Opened, slot: int) -> None:
    ledger.clock.now_s = START_S + slot


def test_a_quorum_makes_the_parent_final(tmp_path: Path) -> None:
    made = grown(ROOT, 1, 2, 3)

    async def main() -> None:
        async with opened(tmp_path) as ledger:
            chain, opinion = ledger.chain, ledger.chain.opinion
            assert opinion.link_for(1) is None, "all there is is final"
            for slot, (place, block) in enumerate(made, start=1):
                at(ledger, slot)
                await ledger.take(block)
                link = opinion.link_for(slot)
                source = FIRST if slot == 1 else Checkpoint(slot - 1, made[slot - 2][0].id)
                assert link == Link(source, Checkpoint(slot, place.id))
                assert await say(ledger, link, 0, 1) == [Verdict.NEW] * 2
                assert opinion.justified == source
                assert await say(ledger, link, 1, 2) == [Verdict.KNOWN, Verdict.NEW]
                assert opinion.justified == Checkpoint(slot, place.id)
                assert chain.tree.final.id == source.block
                assert opinion.link_for(slot) is None, "it is justified"
            assert opinion.link_for(4) is None, "there is no such block"

    run(main())


def test_votes_wait_for_the_block_that_they_are_for(tmp_path: Path) -> None:
    (first, first_block), (second, second_block) = grown(ROOT, 1, 2)
    links = (
        Link(FIRST, Checkpoint(1, first.id)),
        Link(Checkpoint(1, first.id), Checkpoint(2, second.id)),
    )

    async def main() -> None:
        async with opened(tmp_path) as ledger:
            at(ledger, 2)
            for link in reversed(links):
                await say(ledger, link, 0, 1, 2)
            assert ledger.chain.opinion.justified == FIRST
            await ledger.take(first_block)
            assert ledger.chain.opinion.justified == links[0].target
            await ledger.take(second_block)
            assert ledger.chain.opinion.justified == links[1].target
            assert ledger.chain.tree.final.id == first.id

    run(main())


def test_what_was_voted_upon_is_there_after_a_restart(tmp_path: Path) -> None:
    made = grown(ROOT, 1, 2, 3)

    async def main() -> None:
        marks = Marks()
        async with opened(tmp_path) as ledger:
            for slot, (_, block) in enumerate(made, start=1):
                at(ledger, slot)
                await ledger.take(block)
                link = ledger.chain.opinion.link_for(slot)
                assert link is not None
                marks = marks.after(link)
                await say(ledger, link, 0, 1, 2)
            justified = ledger.chain.opinion.justified
        async with opened(tmp_path) as again:
            at(again, 4)
            assert again.chain.opinion.justified == justified
            assert again.chain.tree.final.id == made[1][0].id
            ((_, block),) = grown(made[2][0], 4)
            await again.take(block)
            link = again.chain.opinion.link_for(4)
            assert link is not None
            marks.after(link)  # it may be signed: else nothing would ever be final again
            await say(again, link, 0, 1, 2)
            assert again.chain.tree.final.id == made[2][0].id

    run(main())


def test_the_next_blocks_tell_who_missed_the_votes(tmp_path: Path) -> None:
    made = grown(ROOT, 1, 2, 3)

    async def main() -> None:
        async with AsyncExitStack() as stack:
            one, other = [
                await stack.enter_async_context(opened(folder(tmp_path / name)))
                for name in ("one", "other")
            ]
            for slot, (_, block) in enumerate(made, start=1):
                for ledger in (one, other):
                    at(ledger, slot)
                    await ledger.take(block)
                await say(one, one.chain.opinion.link_for(slot), 0, 1, 2)
            assert other.chain.tree.final.id == ROOT.id
            parent, date = one.tip, BlockDate(0, 4)
            carried = one.chain.opinion.for_block(parent, date)
            assert [each.link.target.height for each in carried] == [1, 2, 3]
            block = bft_block(parent, date, *map(encode_certificate, carried))
            for ledger in (one, other):
                at(ledger, 4)
                assert await ledger.take(block) is Verdict.NEW
                assert ledger.chain.tree.final.id == made[1][0].id
                assert ledger.chain.opinion.justified == Checkpoint(3, made[2][0].id)
            assert one.chain.opinion.for_block(one.tip, BlockDate(0, 5)) == ()

    run(main())


def test_certificates_that_a_final_block_carries_are_kept_no_more(tmp_path: Path) -> None:
    async def main() -> None:
        async with opened(tmp_path) as ledger:
            place = ROOT
            for slot in range(1, 30):
                at(ledger, slot)
                date = BlockDate(0, slot)
                carried = ledger.chain.opinion.for_block(place, date)
                block = bft_block(place, date, *map(encode_certificate, carried))
                place = apply_block(place, block)
                await ledger.take(block)
                await say(ledger, ledger.chain.opinion.link_for(slot), 0, 1, 2)
            assert ledger.chain.tree.final.header.date.slot == 28
            assert standing_of(place.layer).final.height == 27
            kept = await ledger.store.load()
            assert kept is not None
            assert [each.link.target.height for each in kept.certificates] == [28, 29]

    run(main())


def test_false_votes_are_their_senders_fault_and_others_are_not(tmp_path: Path) -> None:
    ((place, block),) = grown(ROOT, 1)
    link = Link(FIRST, Checkpoint(1, place.id))

    async def main() -> None:
        async with opened(tmp_path) as ledger:
            at(ledger, 1)
            await ledger.take(block)
            take = ledger.chain.take
            for false in (signed(0, link)[:-1], signed(0, link)[:-1] + b"\0"):
                assert await take(FRAGMENTS, false) is Verdict.INVALID
            assert await say(ledger, link, 9) == [Verdict.STALE], "who may vote may have changed"
            assert await say(ledger, link, 0) == [Verdict.NEW]
            other = Link(FIRST, Checkpoint(1, ROOT.id))
            assert await say(ledger, other, 0) == [Verdict.STALE]
            assert ledger.log.find("voter_contradicts_itself")
            loose = certificate(link, 0, 1, 2)
            assert await take(FRAGMENTS, loose) is Verdict.NEW, "whoever missed the votes is told"
            assert await take(FRAGMENTS, loose) is Verdict.KNOWN
            few = certificate(link, 0, 1)
            assert await take(FRAGMENTS, few) is Verdict.STALE, "the members may be others there"
            false = loose[:-1] + bytes([loose[-1] ^ 1])
            assert await take(FRAGMENTS, Fragment(false)) is Verdict.INVALID

    run(main())


def test_votes_are_told_to_others_as_they_came(tmp_path: Path) -> None:
    ((place, block),) = grown(ROOT, 1)
    vote = signed(0, Link(FIRST, Checkpoint(1, place.id)))
    item = ItemId(fragment_id(Fragment(vote)))

    async def main() -> None:
        async with opened(tmp_path) as ledger:
            at(ledger, 1)
            await ledger.take(block)
            assert not ledger.chain.has(FRAGMENTS, item)
            await ledger.chain.take(FRAGMENTS, vote)
            assert ledger.chain.has(FRAGMENTS, item)
            assert await ledger.chain.content(FRAGMENTS, item) == vote

    run(main())
