"""A node makes blocks while its member of the election leads, from the first of which its certificate is proof."""

from dataclasses import replace

from tests.leadership.leading_world import World, genesis_for, leading, run
from tests.ledger.makers import bft_public
from tests.ledger.test_elections import DOCUMENT, election

from tetrarch.ledger.applying import split_content
from tetrarch.ledger.blocks import Block, decode_block
from tetrarch.ledger.elections import Elected, elected_of
from tetrarch.ledger.genesis import genesis_block, read_genesis
from tetrarch.ledger.keyring import KeptKeys
from tetrarch.ledger.parameters import Mode
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
