"""Goal: what a history learns, it denies with all that could clash; what it holds, it knows."""

import asyncio
from contextlib import closing
from itertools import product
from pathlib import Path

from tests.enclave import enclave_world as world
from tests.enclave.enclave_world import shares, started
from tests.enclave.test_history import fresh

from tetrarch.enclave.history import check, check_and_record, prune
from tetrarch.enclave.learning import learn, unknown
from tetrarch.enclave.ports import Approved, Denied
from tetrarch.enclave.rules import Block, New, Repeat, Vote, Wish

KEY, OTHER = b"k" * 48, b"o" * 48


def vote(source: int, target: int, root: bytes | None = b"r" * 32, key: bytes = KEY) -> Wish:
    return Wish(key, Vote(source=source, target=target, signing_root=root))


def block(slot: int, root: bytes | None = b"r" * 32) -> Wish:
    return Wish(KEY, Block(slot=slot, signing_root=root))


def is_slashable(one: Vote, other: Vote) -> bool:
    if one.target == other.target:
        return one != other
    outer, inner = (one, other) if one.source < other.source else (other, one)
    return outer.source < inner.source and inner.target < outer.target


def test_recorded_things_are_known_and_others_are_not() -> None:
    with closing(fresh()) as history:
        check_and_record(history, (vote(0, 1), vote(1, 5), block(40)))
        asked = (vote(1, 5), vote(1, 6), vote(1, 5, b"x" * 32), block(40), block(41))
        assert unknown(history, asked) == (1, 2, 4)
        assert unknown(history, (vote(1, 5, key=OTHER),)) == (0,)


def test_what_was_pruned_or_imported_without_a_root_is_known() -> None:
    with closing(fresh()) as history:
        check_and_record(history, tuple(vote(epoch, epoch + 1) for epoch in range(20)))
        prune(history, slots_per_epoch=8, keep=3)
        check_and_record(history, (vote(20, 30, None), block(300, None)))
        assert unknown(history, (vote(2, 3), vote(20, 30), block(300))) == ()


def test_what_is_learned_becomes_known_and_stays_repeatable_where_it_was_recorded() -> None:
    with closing(fresh()) as history:
        check_and_record(history, (vote(1, 5), block(40)))
        learn(history, (vote(3, 9), block(70)))
        assert unknown(history, (vote(3, 9), block(70))) == ()
        repeats = check(history, (vote(1, 5), block(40)))
        assert all(isinstance(verdict, Repeat) for verdict in repeats)
        above = check(history, (vote(3, 10), block(71)))
        assert all(isinstance(verdict, New) for verdict in above)


def test_nothing_that_clashes_with_what_was_learned_is_approved() -> None:
    times = range(7)
    learned = [Vote(source=s, target=t, signing_root=b"l" * 32) for s, t in product(times, times)]
    for signed in (v for v in learned if v.source <= v.target):
        with closing(fresh()) as history:
            check_and_record(history, (vote(0, 1),))  # an old history
            learn(history, (Wish(KEY, signed),))
            for source, target in product(times, range(9)):
                wish = Vote(source=source, target=target, signing_root=b"n" * 32)
                (verdict,) = check(history, (Wish(KEY, wish),))
                approved = isinstance(verdict, New)
                assert not (approved and is_slashable(signed, wish)), (signed, wish)
                if source >= signed.source and target > max(signed.target, 1):
                    assert approved or source > target, (signed, wish)


def test_learning_changes_no_other_key() -> None:
    with closing(fresh()) as history:
        learn(history, (vote(3, 9),))
        assert isinstance(check(history, (vote(0, 1, key=OTHER),))[0], New)


def test_the_enclave_learns_durably_and_then_denies(tmp_path: Path) -> None:
    async def main() -> None:
        (validator, _), files = shares(tmp_path, 2)
        key = validator.pubkey
        signed = (world.vote(key, 2, 9), world.block(key, 70))
        enclave = await started(tmp_path, files)
        try:
            assert await enclave.learn(signed, record=False) == (0, 1)
            assert await enclave.learn(signed, record=True) == (0, 1)
        finally:
            await enclave.close()
        enclave = await started(tmp_path, files)
        try:
            assert await enclave.learn(signed, record=True) == ()
            wanted = (*signed, world.vote(key, 1, 10), world.vote(key, 2, 10), world.block(key, 71))
            answers = await enclave.sign(wanted)
            assert [type(answer) for answer in answers] == [Denied] * 3 + [Approved] * 2
        finally:
            await enclave.close()

    asyncio.run(main())
