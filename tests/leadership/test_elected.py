"""A node makes blocks while its member of the election leads, from the first of which its certificate is proof."""

from dataclasses import replace

from tests.leadership.leading_world import World, genesis_for, leading, run
from tests.ledger.chain_maker import unsigned_block
from tests.ledger.makers import bft_public, bft_signed
from tests.ledger.test_elections import DOCUMENT, election

from tetrarch.ledger.applying import Place, split_content
from tetrarch.ledger.blocks import Block, Fragment, decode_block, encode_block
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.elections import Elected, decode_election, elected_of
from tetrarch.ledger.genesis import genesis_block, read_genesis
from tetrarch.ledger.keyring import KeptKeys
from tetrarch.ledger.parameters import Mode
from tetrarch.ledger.tidings import AGAIN_SLOTS
from tetrarch.network.overlay.chain import Verdict
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS
from tetrarch.network.overlay.spreading import ItemId

OWN = 2  # its member


def founded(kept: KeptKeys) -> Block:
    """Four members; the third is the node's own."""
    alone = read_genesis(genesis_for(kept))
    others = [bft_public(number) for number in range(1, 4)]
    leaders = (*others[:OWN], *alone.leaders, *others[OWN:])
    parameters = replace(alone.parameters, mode=Mode.ELECTED)
    return genesis_block(replace(alone, leaders=leaders, parameters=parameters, election=DOCUMENT))


async def elect(world: World, member: int, term: int) -> Verdict:
    return await world.chain.take(FRAGMENTS, election(member, term))


async def tip(world: World) -> Block:
    content = await world.chain.content(BLOCKS, ItemId(world.tip.id))
    assert content is not None
    return decode_block(content)


def test_it_leads_from_its_term_to_another_s() -> None:
    async def main() -> None:
        async with leading(founded=founded) as world:
            await world.until(2.5)
            assert world.tip.header.chain_length == 0, "nobody is elected"
            assert await elect(world, 0, 1) is Verdict.NEW
            await world.until(4.5)
            assert world.tip.header.chain_length == 0, "another is"
            assert await elect(world, OWN, 4) is Verdict.NEW
            await world.until(5.5)
            assert (world.tip.header.chain_length, str(world.tip.header.date)) == (1, "0.5")
            assert split_content(await tip(world)).elections == (election(OWN, 4),)
            assert elected_of(world.tip.layer) == Elected(4, OWN)
            await world.until(12.5)
            assert world.tip.header.chain_length == 8, "each slot, over an epoch's end"
            assert split_content(await tip(world)).elections == (), "it is said once"
            assert await elect(world, 1, 5) is Verdict.NEW
            await world.until(16.5)
            assert world.tip.header.chain_length == 8, (
                "another leads, though the chain does not say so yet"
            )
            assert await elect(world, OWN, 9) is Verdict.NEW
            await world.until(17.5)
            assert (world.tip.header.chain_length, str(world.tip.header.date)) == (10, "1.7")
            assert elected_of(world.tip.layer) == Elected(9, OWN)
            assert not world.log.find("own_block_refused")

    run(main)


def test_an_older_term_is_no_news() -> None:
    async def main() -> None:
        async with leading(founded=founded) as world:
            await world.until(1.5)
            assert await elect(world, OWN, 4) is Verdict.NEW
            assert await elect(world, OWN, 4) is Verdict.KNOWN
            assert await elect(world, 0, 3) is Verdict.STALE
            await world.until(3.5)
            assert await elect(world, 0, 2) is Verdict.STALE
            assert world.tip.header.chain_length > 0

    run(main)


def test_who_sends_a_false_certificate_is_to_blame() -> None:
    async def main() -> None:
        async with leading(founded=founded) as world:
            for wrong in (election(OWN, 4, (0, 1)), election(OWN, 4)[:-1]):
                assert await world.chain.take(FRAGMENTS, wrong) is Verdict.INVALID

    run(main)


async def make(world: World, parent: Place, slot: int, maker: int, *content: Fragment) -> Verdict:
    """Another member's block."""
    made = unsigned_block(parent, BlockDate(0, slot), content)
    signed = replace(made, header=bft_signed(made.header, maker))
    return await world.chain.take(BLOCKS, encode_block(signed))


def test_a_block_beside_its_branch_says_who_leads_as_well() -> None:
    """Its own would be there first each time, and no word of the election might ever come."""

    async def main() -> None:
        async with leading(founded=founded) as world:
            assert await elect(world, OWN, 4) is Verdict.NEW
            await world.until(2.5)
            before, tip = world.chain.tree.get(world.tip.header.parent), world.tip
            assert before is not None
            await world.until(2.9)
            assert await make(world, before, 2, 1, election(0, 5)) is Verdict.NEW
            assert world.tip == tip, "the first that came counts"
            await world.until(5.5)
            assert world.tip == tip, "who is elected makes the next"

    run(main)


def test_who_is_elected_is_not_forgotten_with_the_branch_that_proved_it() -> None:
    """Nor when it is said again while the chain has it."""

    async def main() -> None:
        async with leading(founded=founded) as world:
            root = world.tip
            await world.until(1.5)
            assert await make(world, root, 1, 1, election(0, 2)) is Verdict.NEW
            first = world.tip
            assert await make(world, first, 2, 3, election(3, 3)) is Verdict.NEW
            assert await elect(world, 3, 3) is Verdict.STALE
            await world.until(3.5)
            for slot in (2, 3):
                assert await make(world, first, slot, 1) is Verdict.NEW
                first = world.chain.tree.places()[-1]
            waiting = world.chain.election_for(world.tip)
            assert elected_of(world.tip.layer) == Elected(2, 0)
            assert waiting is not None
            assert waiting.term == 3

    run(main)


def test_a_later_term_stands_though_an_earlier_one_is_verified_after_it() -> None:
    async def main() -> None:
        async with leading(founded=founded) as world:
            tidings = world.chain.tidings
            (kind,) = (each for each in tidings._kinds if each.name == "election")
            both = [decode_election(election(0, term), world.tip.layer) for term in (6, 5)]
            for each in both:
                kind.weigh(each)  # nothing waits yet
            assert [await kind.take(each) for each in both] == [True, False]
            waiting = world.chain.election_for(world.tip)
            assert waiting is not None
            assert waiting.term == 6

    run(main)


def test_who_is_elected_is_told_again_until_a_block_proves_it() -> None:
    async def main() -> None:
        async with leading(founded=founded) as world:
            root = world.tip
            assert await elect(world, 0, 4) is Verdict.NEW
            await world.until(AGAIN_SLOTS - 0.1 - 1)  # it was told a slot before the chain's first
            assert await elect(world, 0, 4) is Verdict.KNOWN
            await world.until(AGAIN_SLOTS + 0.1)
            assert await elect(world, 0, 4) is Verdict.NEW
            assert await make(world, root, 8, 1, election(0, 4)) is Verdict.NEW
            await world.until(2 * AGAIN_SLOTS + 0.3)
            assert await elect(world, 0, 4) is Verdict.STALE

    run(main)
