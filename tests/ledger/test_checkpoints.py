"""Certificates in blocks: what they make justified and final is the same for all who verify the chain."""

from dataclasses import replace

import pytest
from tests.ledger.chain_maker import bft_genesis, unsigned_block
from tests.ledger.makers import bft_key, bft_public, bft_signed, signed_fragment

from tetrarch.errors import PeerFault
from tetrarch.ledger.applying import Place, apply_block, first_place, leaders_of
from tetrarch.ledger.blocks import Block, Fragment, content_hash, encode_content
from tetrarch.ledger.checkpoints import (
    OF_BLOCK_MAX,
    REMEMBERED,
    decode_certificate,
    encode_certificate,
    is_ancestor,
    is_certificate,
    is_justified,
    standing_of,
)
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.finality import Certificate, Checkpoint, Link
from tetrarch.ledger.fragments.registry import KINDS
from tetrarch.ledger.fragments.signed import encode_fragment
from tetrarch.ledger.fragments.transfer import Output, Transfer
from tetrarch.ledger.genesis import genesis_block
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.leaders import BftLeaders
from tetrarch.ledger.parameters import Parameters
from tetrarch.ledger.tables import Base
from tetrarch.ledger.wire import BytesInvalid

GENESIS = bft_genesis(1, parameters=Parameters(slots_per_epoch=100_000))
ROOT = first_place(genesis_block(GENESIS), Base())
FIRST = Checkpoint(0, ROOT.id)


def certified(source: Checkpoint, target: Checkpoint, *numbers: int) -> Certificate:
    """By those members, three of the four unless it is said."""
    link = Link(source, target)
    signed = link.to_sign(ROOT.id)
    return Certificate(
        link, {bft_public(number): bft_key(number).sign(signed) for number in numbers or (0, 1, 2)}
    )


def block_with(place: Place, slot: int, *contents: Certificate | Fragment) -> Block:
    """By the chain's one leader."""
    fragments = tuple(
        encode_certificate(each) if isinstance(each, Certificate) else each for each in contents
    )
    content = encode_content(fragments)
    block = unsigned_block(place, BlockDate(0, slot))
    header = replace(
        block.header, content_size_bytes=len(content), content_hash=content_hash(content)
    )
    return Block(bft_signed(header, 0), fragments)


def upon(place: Place, slot: int, *contents: Certificate | Fragment) -> Place:
    return apply_block(place, block_with(place, slot, *contents))


def at(place: Place) -> Checkpoint:
    return place.checkpoint


def refused(place: Place, slot: int, *contents: Certificate | Fragment, match: str) -> None:
    with pytest.raises(PeerFault, match=match):
        upon(place, slot, *contents)


ONE = upon(ROOT, 1)
TWO = upon(ONE, 2)


def test_the_first_block_is_justified_and_final() -> None:
    assert (standing_of(ROOT.layer).justified, standing_of(ROOT.layer).final) == (FIRST, FIRST)
    assert leaders_of(ROOT.layer, 0) == BftLeaders(
        epoch=0, era=GENESIS.era, leaders=GENESIS.leaders
    )


def test_a_link_to_the_next_block_justifies_it_and_makes_its_source_final() -> None:
    three = upon(TWO, 3, certified(FIRST, at(ONE)))
    assert standing_of(three.layer).justified == at(ONE)
    assert standing_of(three.layer).final == FIRST
    four = upon(three, 4, certified(at(ONE), at(TWO)))
    assert standing_of(four.layer).justified == at(TWO)
    assert standing_of(four.layer).final == at(ONE)
    assert standing_of(three.layer).final == FIRST, "its parent is as it was"


def test_several_certificates_hold_in_their_order() -> None:
    chain = (certified(FIRST, at(ONE)), certified(at(ONE), at(TWO)))
    assert standing_of(upon(TWO, 3, *chain).layer).final == at(ONE)
    refused(TWO, 3, *reversed(chain), match="not justified")


def test_a_link_over_blocks_justifies_and_makes_nothing_final() -> None:
    three = upon(TWO, 3, certified(FIRST, at(TWO)))
    assert standing_of(three.layer).justified == at(TWO)
    assert standing_of(three.layer).final == FIRST


def test_empty_slots_do_not_count() -> None:
    five = upon(ONE, 5)
    seven = upon(five, 7, certified(FIRST, at(ONE)), certified(at(ONE), at(five)))
    assert standing_of(seven.layer).final == at(ONE)
    assert standing_of(seven.layer).justified == Checkpoint(2, five.id)


def test_an_older_link_may_make_final_what_was_justified_already() -> None:
    """Votes come late: two links to one target are two certificates."""
    three = upon(TWO, 3, certified(FIRST, at(ONE)), certified(FIRST, at(TWO)))
    assert standing_of(three.layer).final == FIRST
    four = upon(three, 4, certified(at(ONE), at(TWO)))
    assert standing_of(four.layer).final == at(ONE)
    assert standing_of(four.layer).justified == at(TWO)


@pytest.mark.parametrize(
    ("certificate", "match"),
    [
        (certified(FIRST, at(ONE), 0, 1), "needed=3"),
        (certified(FIRST, at(ONE), 0, 1, 7), "needed=3"),
        (certified(FIRST, at(ONE), 0, 1, 2, 7), "may not vote"),
        (replace(certified(FIRST, at(ONE)), link=Link(FIRST, at(TWO))), "verify vote"),
        (certified(at(ONE), at(TWO)), "not justified"),
        (certified(Checkpoint(0, BlockId(bytes(32))), at(ONE)), "not justified"),
        (certified(FIRST, Checkpoint(1, ROOT.id)), "not of this chain"),
        (certified(FIRST, Checkpoint(2, ONE.id)), "not of this chain"),
        (certified(FIRST, Checkpoint(3, TWO.id)), "below=3"),
        (certified(FIRST, FIRST), "below=3"),
    ],
)
def test_what_does_not_hold_is_refused(certificate: Certificate, match: str) -> None:
    refused(TWO, 3, certificate, match=match)


def test_nothing_is_said_twice() -> None:
    three = upon(TWO, 3, certified(FIRST, at(ONE)))
    refused(three, 4, certified(FIRST, at(ONE)), match="justified already")
    refused(three, 4, certified(FIRST, at(ONE), 1, 2, 3), match="justified already")


def test_certificates_stand_before_all_else_and_are_few() -> None:
    body = Transfer((Output(next(iter(GENESIS.grants)).account, 1),))
    paid = encode_fragment(signed_fragment(1, body, block0=ROOT.id))
    upon(TWO, 3, certified(FIRST, at(ONE)), paid)
    refused(TWO, 3, paid, certified(FIRST, at(ONE)), match="no such kind")
    many = [certified(FIRST, at(ONE))] * (OF_BLOCK_MAX + 1)
    refused(TWO, 3, *many, match=f"maximum={OF_BLOCK_MAX}")


def test_what_is_written_is_read() -> None:
    certificate = certified(FIRST, at(ONE))
    data = encode_certificate(certificate)
    assert is_certificate(data)
    assert decode_certificate(data) == certificate
    for broken in (data[:-1], data + b"\0"):
        with pytest.raises(BytesInvalid):
            decode_certificate(broken)
    assert not is_certificate(Fragment(b""))
    assert max(KINDS) < data[0], "no kind has its number"


def test_what_is_old_is_forgotten_and_the_rest_is_found() -> None:
    place, places = ROOT, [ROOT]
    for length in range(1, REMEMBERED + 10):
        place = upon(place, 2 * length)
        places.append(place)
    height = place.header.chain_length
    for each in places[:-1]:
        is_near = each.header.chain_length >= height - REMEMBERED
        assert is_ancestor(place.layer, at(each), height=height) == is_near
    assert not is_ancestor(place.layer, at(place), height=height), "it is not its own"
    other = Checkpoint(height - 1, ROOT.id)
    assert not is_ancestor(place.layer, other, height=height)
    assert is_justified(place.layer, FIRST)
