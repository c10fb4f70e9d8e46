"""Blocks say what state they found when they are to, and only then; what they say is reckoned anew."""

import pytest
from tests.ledger.chain_maker import bft_block, bft_genesis
from tests.ledger.makers import account_id, bft_signed
from tests.ledger.state_world import ROOT, change, linked

from tetrarch.ledger.accounts import add_value
from tetrarch.ledger.applying import (
    BlockRefused,
    Place,
    apply_block,
    digest_for,
    first_place,
    split_content,
)
from tetrarch.ledger.blocks import Block, Fragment, content_hash, encode_content
from tetrarch.ledger.checkpoints import encode_certificate
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.genesis import genesis_block
from tetrarch.ledger.headers import Header
from tetrarch.ledger.membership import encode_change
from tetrarch.ledger.parameters import Parameters
from tetrarch.ledger.state_chunks import digest_of
from tetrarch.ledger.state_digest import (
    StateDigest,
    decode_digest,
    encode_digest,
    is_digest,
    was_digested,
)
from tetrarch.ledger.tables import Base
from tetrarch.ledger.wire import BytesInvalid


def upon(place: Place, slot: int, *fragments: Fragment) -> Place:
    return apply_block(place, bft_block(place, place.settings.era.date(slot), *fragments))


def bare(place: Place, date: BlockDate, *fragments: Fragment) -> Block:
    """With these fragments and no other."""
    content = encode_content(fragments)
    header = Header(
        content_size_bytes=len(content),
        date=date,
        chain_length=place.header.chain_length + 1,
        content_hash=content_hash(content),
        parent=place.id,
    )
    turn = place.settings.era.slot(date) % 3
    return Block(bft_signed(header, turn), fragments)


def digests(block: Block) -> tuple[Fragment, ...]:
    return split_content(block).digests


def test_the_first_block_of_an_epoch_says_what_state_it_found() -> None:
    nine = upon(ROOT, 9)
    assert not was_digested(nine.layer.changes)
    block = bft_block(nine, BlockDate(1, 0))
    assert digests(block) == (encode_digest(digest_of(nine.layer)),)
    ten = apply_block(nine, block)
    assert was_digested(ten.layer.changes)
    assert digests(bft_block(ten, BlockDate(1, 1))) == ()
    passed = bft_block(nine, BlockDate(5, 3))
    assert digests(passed) == digests(block), "whole epochs had no block"


def test_a_block_that_leaves_it_out_or_says_another_or_says_it_twice_is_refused() -> None:
    nine, date = upon(ROOT, 9), BlockDate(1, 0)
    right = encode_digest(digest_of(nine.layer))
    other = encode_digest(digest_of(ROOT.layer))
    assert apply_block(nine, bare(nine, date, right)).header.date == date
    for fragments in ((), (right, right)):
        with pytest.raises(BlockRefused, match="state_digests"):
            apply_block(nine, bare(nine, date, *fragments))
    with pytest.raises(BlockRefused, match="the state before it is another"):
        apply_block(nine, bare(nine, date, other))


def test_a_block_that_is_to_say_nothing_of_the_state_says_nothing() -> None:
    right = encode_digest(digest_of(ROOT.layer))
    with pytest.raises(BlockRefused, match="state_digests"):
        apply_block(ROOT, bare(ROOT, BlockDate(0, 1), right))


def test_other_voters_are_vouched_for_by_the_next_block() -> None:
    one = upon(ROOT, 1, encode_change(change()))
    two = upon(one, 2, encode_certificate(linked(ROOT, one, 0, 1, 2)))
    three = upon(two, 3, encode_certificate(linked(one, two, 0, 1, 2)))
    assert digest_for(two, BlockDate(0, 3)) is None, "they are agreed on, and vote not yet"
    four = upon(three, 4)
    assert was_digested(four.layer.changes)
    assert digest_for(four, BlockDate(0, 5)) is None, "once is enough"


def test_voters_that_begin_with_an_epochs_first_block_are_vouched_for_by_the_one_after() -> None:
    """The digest in that block is of the state before."""
    one = upon(ROOT, 1, encode_change(change()))
    two = upon(one, 2, encode_certificate(linked(ROOT, one, 0, 1, 2)))
    three = upon(two, 10, encode_certificate(linked(one, two, 0, 1, 2)))
    assert was_digested(three.layer.changes)
    assert digest_for(three, BlockDate(1, 1)) is not None
    four = upon(three, 11)
    assert was_digested(four.layer.changes)
    assert digest_for(four, BlockDate(1, 2)) is None


def test_a_compatible_chain_says_nothing_of_its_state() -> None:
    genesis = bft_genesis(parameters=Parameters(slots_per_epoch=10, compat=True))
    root = first_place(genesis_block(genesis), Base())
    assert digest_for(root, BlockDate(1, 0)) is None


def test_any_change_of_the_state_changes_its_digest() -> None:
    base = Base()
    root = first_place(genesis_block(bft_genesis()), base)
    before = digest_of(root.layer)
    draft = root.layer.draft()
    add_value(draft, account_id(77), 1)
    after = digest_of(root.layer.above(draft.changes))
    assert (after.voters, after.state == before.state) == (before.voters, False)


def test_a_digest_has_one_form() -> None:
    digest = StateDigest(bytes(range(32)), bytes(range(32, 64)))
    data = encode_digest(digest)
    assert data == bytes([198, *range(64)])
    assert is_digest(data)
    assert decode_digest(data) == digest
    for wrong in (data[:-1], data + b"\0", b"\0" + data[1:], b""):
        with pytest.raises(BytesInvalid):
            decode_digest(wrong)
    assert not is_digest(Fragment(b""))
