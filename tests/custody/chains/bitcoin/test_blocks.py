"""Blocks are walked to the last byte, and are what their headers say."""

from hashlib import sha256
from random import Random

import pytest
from tests.custody.chains.bitcoin.block_maker import (
    PARENT,
    block_of,
    coinbase,
    drawn_transaction,
    id_of,
    transaction,
)

from tetrarch.custody.chains.bitcoin.blocks import (
    BLOCK_SIZE_BYTES_MAX,
    BlockInvalid,
    find,
    merkle_root,
    read_header,
)
from tetrarch.custody.outputs import OutputId

OURS = b"\x51\x20" + b"k" * 32
HELD = OutputId(b"t" * 32 + (3).to_bytes(4, "little"))
SCRIPTS = frozenset((OURS,))
# Bitcoin's first block, as everybody has it.
GENESIS = bytes.fromhex(
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa"
    "4b1e5e4a29ab5f49ffff001d1dac2b7c0101000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d"
    "0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f"
    "722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f355"
    "04e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000"
)


def test_the_first_block_of_all() -> None:
    header = read_header(GENESIS)
    assert (
        header.id[::-1].hex() == "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
    )
    assert (header.parent, header.time_s) == (bytes(32), 1_231_006_505)
    assert find(GENESIS, (), ()) == []


@pytest.mark.parametrize("seed", range(20))
def test_ids_and_ends_are_the_library_s(seed: int) -> None:
    rng = Random(seed)
    made = [coinbase(seed), *(drawn_transaction(rng) for _ in range(rng.randint(0, 300)))]
    block = block_of(made)
    assert find(block, SCRIPTS, frozenset((HELD,))) == []
    everything = {each.script_pubkey.data for one in made for each in one.vout}
    taproot_sized = {bytes(each) for each in everything if len(each) == 34}
    found = find(block, taproot_sized, ())
    expected = [
        each
        for each in made
        if any(bytes(o.script_pubkey.data) in taproot_sized for o in each.vout)
    ]
    assert [each.id for each in found] == [id_of(each) for each in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert [amount for amount, _ in ours.outputs] == [each.value for each in theirs.vout]
        assert [spend.output[:32][::-1] for spend in ours.spends] == [
            each.txid for each in theirs.vin
        ]
        assert [list(spend.witness) for spend in ours.spends] == [
            list(each.witness.items) for each in theirs.vin
        ]


def test_what_pays_us_and_what_spends_what_we_hold_is_found() -> None:
    stranger = b"s" * 36
    pays = transaction([stranger], [(7, b"\x00"), (500, OURS)], [[b"w"]])
    spends = transaction([stranger, HELD], [(9, b"\x00")])
    neither = transaction([stranger[:-1] + b"x"], [(500, OURS[:-1] + b"j")])
    block = block_of([coinbase(1), pays, neither, spends])
    first, second = find(block, SCRIPTS, frozenset((HELD,)))
    assert (first.id, second.id) == (id_of(pays), id_of(spends))
    assert first.outputs == ((7, b"\x00"), (500, OURS))
    assert first.spends[0].witness == (b"w",)
    assert second.spends[1].output == HELD
    assert not first.is_first


def test_new_coins_are_told() -> None:
    mine = coinbase(5)
    mine.vout[0].script_pubkey.data = OURS
    (found,) = find(block_of([mine]), SCRIPTS, ())
    assert found.is_first


def test_transactions_are_those_of_the_header() -> None:
    rng = Random(1)
    made = [coinbase(1), *(drawn_transaction(rng) for _ in range(6))]
    block = block_of(made)
    root = read_header(block).merkle_root
    for others in (made[:-1], [*made[:-1], drawn_transaction(rng)], [made[0], *made[:0:-1]]):
        with pytest.raises(BlockInvalid, match="not those of its header"):
            find(block_of(others, root=root), SCRIPTS, ())
    with pytest.raises(BlockInvalid, match="twice"):  # of the same root as without the last
        find(block_of([*made, made[-1]], root=root), SCRIPTS, ())
    with pytest.raises(BlockInvalid):
        find(block_of([], root=root), SCRIPTS, ())


def test_what_is_cut_or_has_more_is_refused() -> None:
    rng = Random(2)
    block = block_of([coinbase(1), *(drawn_transaction(rng) for _ in range(3))])
    for size in [*range(90), *range(90, len(block), 7)]:
        with pytest.raises(BlockInvalid):
            find(block[:size], SCRIPTS, ())
    with pytest.raises(BlockInvalid, match="spare_bytes"):
        find(block + b"\0", SCRIPTS, ())
    with pytest.raises(BlockInvalid, match="bytes_max"):
        find(bytes(BLOCK_SIZE_BYTES_MAX + 1), SCRIPTS, ())
    endless = block[:80] + b"\xff" * 9 + block[81:]
    with pytest.raises(BlockInvalid):
        find(endless, SCRIPTS, ())


def test_noise_is_refused() -> None:
    for seed in range(300):
        rng = Random(seed)
        block = bytearray(block_of([coinbase(seed), drawn_transaction(rng)]))
        for _ in range(rng.randint(1, 8)):
            block[rng.randrange(80, len(block))] ^= rng.randrange(1, 256)
        try:
            found = find(bytes(block), SCRIPTS, ())
        except BlockInvalid:
            continue
        assert found == [], "noise in a witness changes no id"


def test_a_root_is_of_pairs() -> None:
    one, two, three = (bytes((number,)) * 32 for number in (1, 2, 3))
    twice = lambda data: sha256(sha256(data).digest()).digest()  # noqa: E731
    assert merkle_root([one]) == one
    assert merkle_root([one, two]) == twice(one + two)
    assert merkle_root([one, two, three]) == twice(twice(one + two) + twice(three + three))
    assert read_header(block_of([coinbase(1)])).parent == PARENT
