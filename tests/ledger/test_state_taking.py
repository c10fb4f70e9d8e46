"""Who has the first block and nothing else takes a state from others, and only the chain's."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from tests.ledger.state_world import GENESIS, ROOT, change, folder, gathered, live
from tests.ledger.test_chain import opened, run

from tetrarch.errors import PeerFault
from tetrarch.ledger.accounts import ACCOUNTS, Account
from tetrarch.ledger.finality import Voters
from tetrarch.ledger.membership import MEMBERSHIP, Membership, membership_of
from tetrarch.ledger.state_chunks import StateRefused, chunk_id, chunks_of, hash_of
from tetrarch.ledger.state_parts import (
    CONTENTS,
    Contents,
    decode_contents,
    encode_contents,
)
from tetrarch.ledger.state_taking import CANDIDATES_MAX, StateTaking, TakenState
from tetrarch.ledger.tables import Base, first_layer
from tetrarch.network.overlay.chain import Verdict
from tetrarch.network.overlay.profile import BLOCKS

FIRST = membership_of(ROOT.layer).members
SLOTS = 34


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three epochs, other members since the second."""
    path = tmp_path_factory.mktemp("lived")

    async def main() -> None:
        async with opened(path, GENESIS) as ledger:
            await live(ledger, 1, SLOTS, changes={13: change()})

    run(main())
    return path


@pytest.fixture(scope="module")
def parts(lived: Path) -> dict[bytes, bytes]:
    """All that a node gives, by hash; its contents by ``CONTENTS``."""
    found = dict[bytes, bytes]()

    async def main() -> None:
        async with opened(lived, GENESIS) as ledger:
            found.update(await gathered(ledger))

    run(main())
    return found


def shown(parts: Mapping[bytes, bytes]) -> StateTaking:
    """It has chosen what it was shown."""
    taking = StateTaking(GENESIS, FIRST)
    assert taking.wanted() == (CONTENTS,)
    assert taking.take(parts[CONTENTS])
    assert taking.choose() is not None
    return taking


def fetch(taking: StateTaking, parts: Mapping[bytes, bytes]) -> None:
    for part in taking.wanted():
        assert taking.take(parts[part])


def taken_of(parts: Mapping[bytes, bytes]) -> TakenState:
    taking = shown(parts)
    fetch(taking, parts)
    taking.prove()
    fetch(taking, parts)
    return taking.taken()


def is_taken(parts: Mapping[bytes, bytes]) -> bool:
    """Whether a state comes of it; what is asked for may not be there."""
    taking = StateTaking(GENESIS, FIRST)
    try:
        taking.take(parts[CONTENTS])
        if taking.choose() is None:
            return False
        for step in (taking.prove, taking.taken):
            for part in taking.wanted():
                if part not in parts:
                    return False
                taking.take(parts[part])
            step()
    except PeerFault:
        return False
    return True


def test_a_node_that_begins_with_a_state_goes_on_in_step(
    lived: Path, parts: dict[bytes, bytes], tmp_path: Path
) -> None:
    taken = taken_of(parts)
    assert taken.block.header.date.epoch == 2, "the last that is over and final"
    assert [height for height, _ in taken.proven.proofs] == [15, 29]

    async def main() -> None:
        async with (
            opened(lived, GENESIS) as ledger,
            opened(folder(tmp_path / "late"), GENESIS, taken=taken) as late,
        ):
            assert late.tip.header == taken.block.header
            known = late.chain.checkpoints()
            for block in ledger.chain.path(known, None, count_max=100):
                content = await ledger.chain.content(BLOCKS, block)
                assert content is not None
                assert await late.chain.take(BLOCKS, content) is Verdict.NEW
            assert late.tip.id == ledger.tip.id
            assert late.chain.tree.final.header.chain_length == SLOTS - 2

    run(main())


def test_nothing_is_taken_that_was_not_asked_for(parts: dict[bytes, bytes]) -> None:
    taking = shown(parts)
    wanted = taking.wanted()
    assert not taking.take(b"\xff anything")
    chunk = decode_contents(parts[CONTENTS]).chunks[0]
    assert chunk not in wanted, "chunks that nothing proves are not asked for"
    assert not taking.take(parts[chunk])
    assert not taking.take(parts[CONTENTS], b"another"), "something is chosen"
    assert taking.take(parts[wanted[0]])
    assert not taking.take(parts[wanted[0]]), "once"


def test_contents_that_are_none_are_their_senders_fault() -> None:
    taking = StateTaking(GENESIS, FIRST)
    with pytest.raises(PeerFault):
        taking.take(b"\1 and no more")
    assert taking.candidates == 0
    assert taking.choose() is None


def forged(
    parts: Mapping[bytes, bytes], change: Callable[[Contents], Contents]
) -> dict[bytes, bytes]:
    """Other contents."""
    contents = change(decode_contents(parts[CONTENTS]))
    return {**parts, CONTENTS: encode_contents(contents)}


def richer(parts: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Somebody holds more in a state that nobody proved."""
    contents = decode_contents(parts[CONTENTS])
    base = Base()
    base.take({**taken_of(parts).cells, (ACCOUNTS.name, bytes(32)): Account(10**12)})
    chunks = list(chunks_of(first_layer(base)))
    changed = replace(contents, chunks=tuple(map(chunk_id, chunks)))
    found = {hash_of(chunk): chunk for chunk in chunks}
    return {**parts, **found, CONTENTS: encode_contents(changed)}


def test_a_state_that_nothing_proves_is_put_aside_and_the_next_one_is_taken(
    parts: dict[bytes, bytes],
) -> None:
    lies = (
        (richer(parts), "chunks are not those"),
        (forged(parts, lambda each: replace(each, proofs=each.proofs[1:])), "needed"),
        (forged(parts, lambda each: replace(each, proofs=each.proofs[:1])), "another block"),
        (forged(parts, lambda each: replace(each, proofs=each.proofs[::-1])), "needed"),
        (forged(parts, lambda each: replace(each, block=ROOT.id)), "block is another"),
        (forged(parts, lambda each: replace(each, height=each.height + 1)), "another block"),
        (forged(parts, lambda each: replace(each, block_part=each.proofs[0])), "block part"),
        (forged(parts, lambda each: replace(each, proofs=(each.block_part,))), "state proof"),
    )
    for lie, reason in lies:
        taking = StateTaking(GENESIS, FIRST)
        assert taking.take(lie[CONTENTS])
        taking.choose()
        fetch(taking, lie)
        with pytest.raises(PeerFault, match=reason):
            taking.prove()
        assert not taking.is_proven
        taking.aside()
        assert taking.take(lie[CONTENTS])
        assert taking.take(parts[CONTENTS], b"another")
        taking.choose()
        fetch(taking, parts)
        taking.prove()
        assert taking.is_proven


def test_the_highest_is_chosen_of_one_for_each_giver(parts: dict[bytes, bytes]) -> None:
    taking = StateTaking(GENESIS, FIRST)
    contents = decode_contents(parts[CONTENTS])
    for height in range(2 * CANDIDATES_MAX):
        taking.take(encode_contents(replace(contents, height=height)), b"%d" % height)
        taking.take(encode_contents(replace(contents, height=1000 - height)), b"one")
    assert taking.candidates == CANDIDATES_MAX
    chosen = taking.choose()
    assert chosen is not None
    assert chosen.height == 1000 - 2 * CANDIDATES_MAX + 1, "the latest of each counts"
    taking.aside()
    assert taking.candidates == 0, "what came meanwhile may be old"
    for giver, height in ((b"one", 9999), (b"another", 3), (b"a third", 5)):
        taking.take(encode_contents(replace(contents, height=height)), giver)
    for height in (5, 3, 9999):
        again = taking.choose()
        assert again is not None
        assert again.height == height, "who failed least first"
        kept = ((b"one", 9999), (b"another", 3), (b"a third", 5))
        taking.aside()
        for giver, its in kept:
            taking.take(encode_contents(replace(contents, height=its)), giver)


def test_progress_is_told_in_chunks(parts: dict[bytes, bytes]) -> None:
    taking = shown(parts)
    fetch(taking, parts)
    taking.prove()
    total = len(decode_contents(parts[CONTENTS]).chunks)
    assert taking.progress() == (0, total)
    fetch(taking, parts)
    assert taking.progress() == (total, total)


def test_whatever_byte_is_wrong_the_state_is_not_taken(parts: dict[bytes, bytes]) -> None:
    """Of all parts but the contents a wrong byte is another hash; of the contents it is another state, or none."""
    random = Random(1)
    contents = parts[CONTENTS]
    assert is_taken(parts)
    for _ in range(200):
        place = random.randrange(len(contents))
        wrong = bytearray(contents)
        wrong[place] ^= 1 << random.randrange(8)
        assert not is_taken({**parts, CONTENTS: bytes(wrong)}), place


def test_a_state_whose_voters_are_not_those_of_its_proof_is_refused(
    parts: dict[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its digest has both, so who signed it reckoned otherwise: nothing is begun upon that."""
    taking = shown(parts)
    fetch(taking, parts)
    taking.prove()
    fetch(taking, parts)
    other = {(MEMBERSHIP.name, b""): Membership(members=Voters({bytes(32): 1}))}
    monkeypatch.setattr("tetrarch.ledger.state_taking.read_state", lambda _: other)
    with pytest.raises(StateRefused, match="voters"):
        taking.taken()
