"""A ledger that has lived for some epochs, with another set of members since, and what it gives of its state."""

from pathlib import Path

from tests.ledger.chain_maker import START_S, bft_block, bft_genesis
from tests.ledger.makers import account_id, bft_key, bft_public, signed_fragment
from tests.ledger.test_chain import Opened

from tetrarch.ledger.accounts import account_of
from tetrarch.ledger.applying import Place, first_place
from tetrarch.ledger.checkpoints import encode_certificate
from tetrarch.ledger.finality import Certificate, Link, Vote, encode_vote
from tetrarch.ledger.fragments.transfer import Output, Transfer
from tetrarch.ledger.genesis import genesis_block
from tetrarch.ledger.membership import Change, encode_change
from tetrarch.ledger.parameters import Parameters
from tetrarch.ledger.state_parts import CONTENTS, Contents, decode_contents
from tetrarch.ledger.tables import Base
from tetrarch.network.overlay.chain import Verdict
from tetrarch.network.overlay.profile import FRAGMENTS, STATES
from tetrarch.network.overlay.spreading import ItemId

SLOTS_PER_EPOCH = 10
GENESIS = genesis_block(bft_genesis(parameters=Parameters(slots_per_epoch=SLOTS_PER_EPOCH)))
ROOT = first_place(GENESIS, Base())
OLD, NEW = (0, 1, 2, 3), (3, 4, 5, 6)
VOTERS = {bft_public(number): number for number in (*OLD, *NEW)}


def change(sequence: int = 1, members: tuple[int, ...] = NEW, by: tuple[int, ...] = OLD) -> Change:
    unsigned = Change(sequence, tuple(map(bft_public, members)))
    signed = unsigned.to_sign(ROOT.id)
    return Change(
        sequence,
        unsigned.members,
        {bft_public(each): bft_key(each).sign(signed) for each in by},
    )


def linked(source: Place, target: Place, *numbers: int) -> Certificate:
    """Votes for a link."""
    link = Link(source.checkpoint, target.checkpoint)
    signed = link.to_sign(ROOT.id)
    return Certificate(link, {bft_public(each): bft_key(each).sign(signed) for each in numbers})


async def live(
    ledger: Opened, first: int, last: int, *, changes: dict[int, Change] | None = None
) -> None:
    """A block for each slot, which pays somebody, and all votes for it. ``changes`` by slot."""
    for slot in range(first, last + 1):
        ledger.clock.now_s = START_S + slot
        parent = ledger.tip
        date = parent.settings.era.date(slot)
        carried = map(encode_certificate, ledger.chain.opinion.for_block(parent, date))
        changed = [encode_change(changes[slot])] if changes and slot in changes else []
        paid = signed_fragment(
            0,
            Transfer((Output(account_id(100 + slot), 1),)),
            counter=account_of(parent.layer, account_id(0)).counter,
            last_epoch=date.epoch,
            block0=ROOT.id,
        )
        assert await ledger.take(bft_block(parent, date, *carried, *changed, paid)) is Verdict.NEW
        await vote(ledger)


async def vote(ledger: Opened) -> None:
    """All who may, for the block at the end."""
    link = ledger.chain.opinion.link_for(ledger.tip.header.chain_length)
    assert link is not None
    for voter in dict.fromkeys(key for each in ledger.chain.opinion.voters for key in each.weights):
        signature = bft_key(VOTERS[voter]).sign(link.to_sign(ROOT.id))
        await ledger.chain.take(FRAGMENTS, encode_vote(Vote(link, voter, signature)))


async def contents_of(ledger: Opened) -> Contents | None:
    found = await part_of(ledger, CONTENTS)
    return None if found is None else decode_contents(found)


async def part_of(ledger: Opened, part: bytes) -> bytes | None:
    return await ledger.chain.content(STATES, ItemId(part))


async def gathered(ledger: Opened) -> dict[bytes, bytes]:
    """All that it gives."""
    contents = await contents_of(ledger)
    assert contents is not None
    found = dict[bytes, bytes]()
    for part in (CONTENTS, contents.block_part, *contents.proofs, *contents.chunks):
        data = await part_of(ledger, part)
        assert data is not None
        found[part] = data
    return found


def folder(path: Path) -> Path:
    path.mkdir()
    return path
