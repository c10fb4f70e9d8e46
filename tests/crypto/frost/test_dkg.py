"""All have one key and none holds it; who lies is named, and by nobody else's word."""

from dataclasses import replace

import pytest
from tests.crypto.frost.world import (
    entropy,
    generated,
    generation_of,
    opened,
    participants_of,
    signed,
    written,
)

from tetrarch.crypto.frost.dkg import (
    Accusation,
    Key,
    Letter,
    LettersInvalid,
    Opening,
    OpeningsInvalid,
    Participant,
    Verdict,
    digest_of,
    judge,
    public_keys,
)
from tetrarch.crypto.frost.keys import verify_share
from tetrarch.crypto.frost.signing import aggregate
from tetrarch.crypto.frost.suites import SUITES, Suite

each_suite = pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)


@each_suite
@pytest.mark.parametrize(("threshold", "shares"), [(1, 1), (2, 3), (3, 5), (4, 4)])
def test_all_have_one_key_and_a_quorum_signs(suite: Suite, threshold: int, shares: int) -> None:
    keys = generated(generation_of(suite, threshold, shares))
    assert len({each.public for each in keys.values()}) == 1
    assert all(verify_share(suite, each) for each in keys.values())
    some = list(keys.values())[-threshold:]
    signing, parts = signed(suite, some, b"m", entropy("sign"))
    assert suite.is_signed(some[0].public.key, b"m", aggregate(signing, parts))


@each_suite
def test_what_is_drawn_follows_from_the_seed_and_the_context(suite: Suite) -> None:
    generation = generation_of(suite, 2, 3)
    seed = b"s" * 32
    first, again = (Participant(generation, 1, seed) for _ in range(2))
    assert first.open() == again.open()
    others = (
        Participant(generation, 2, seed),
        Participant(generation, 1, b"S" * 32),
        Participant(replace(generation, context=b"d" * 32), 1, seed),
    )
    tellings = [first.open(), *(each.open() for each in others)]
    points = [
        point
        for each in tellings
        for point in (*each.commitments, each.proof.commitment, each.letter_key)
    ]
    assert len(set(points)) == len(points)


@each_suite
def test_letters_are_the_same_again_and_others_for_other_openings(suite: Suite) -> None:
    generation = generation_of(suite, 2, 3)
    participants = participants_of(generation)
    openings = opened(participants)
    letters = participants[1].write(openings)
    assert letters == participants_of(generation)[1].write(openings)
    other = openings | {3: Participant(generation, 3, b"z" * 32).open()}
    for index, letter in participants[1].write(other).items():
        assert letter.key != letters[index].key
        assert letter.ciphertext != letters[index].ciphertext


@each_suite
def test_openings_that_are_false_or_missing_are_named(suite: Suite) -> None:
    generation = generation_of(suite, 2, 4)
    participants = participants_of(generation)
    right = opened(participants)
    two = right[2]
    group = suite.group
    false = (
        replace(two, proof=replace(two.proof, response=group.to_scalar(7))),
        replace(two, commitments=right[3].commitments, proof=right[3].proof),  # another's
        replace(two, letter_key=right[3].letter_key),
        replace(two, commitments=(*two.commitments, two.commitments[0])),
        replace(two, commitments=two.commitments[:1]),
        Participant(generation_of(suite, 3, 4), 2, b"s" * 32).open(),  # proven, of another degree
        replace(two, commitments=(two.commitments[0], right[1].commitments[1])),
        # The rogue key: what is left of a key of its choice when the others' are taken off.
        replace(
            two,
            commitments=(
                group.add(
                    (
                        group.generator,
                        *(group.negate(right[each].commitments[0]) for each in (1, 3, 4)),
                    )
                ),
                two.commitments[1],
            ),
        ),
    )
    for opening in false:
        with pytest.raises(OpeningsInvalid) as caught:
            participants[1].write(right | {2: opening})
        assert caught.value.culprits == (2,)
    with pytest.raises(OpeningsInvalid) as caught:
        participants[1].write({index: right[index] for index in (1, 2, 4)})
    assert caught.value.culprits == (3,)
    with pytest.raises(OpeningsInvalid) as caught:
        participants[1].finish(right | {5: two}, {})
    assert caught.value.culprits == (5,)
    other = generation_of(suite, 2, 4)
    other = replace(other, context=b"x" * 32)
    with pytest.raises(OpeningsInvalid) as caught:
        participants_of(other)[1].write(right | {1: participants_of(other)[1].open()})
    assert caught.value.culprits == (2, 3, 4)


@each_suite
def test_false_letters_are_found_and_their_senders_judged(suite: Suite) -> None:
    generation = generation_of(suite, 2, 3)
    participants = participants_of(generation)
    openings = opened(participants)
    letters = written(participants, openings)
    mine = letters[1][2]
    flipped = bytes((mine.ciphertext[0] ^ 1,)) + mine.ciphertext[1:]
    liar = Participant(generation, 2, b"l" * 32)
    liar_openings = openings | {2: liar.open()}
    false = {
        "not proven": replace(mine, ciphertext=flipped),
        "of another proof": replace(mine, proof=letters[1][3].proof),
        "of another key": replace(mine, key=letters[1][3].key),
        "another's": letters[1][3],
        "for another": letters[3][2],
    }
    for what, letter in false.items():
        with pytest.raises(LettersInvalid) as caught:
            participants[1].finish(openings, letters[1] | {2: letter})
        assert caught.value.culprits == (2,), what
        accusation = participants[1].accuse(openings, 2, letter)
        assert accusation.key is None, "a letter that may be another's is not opened"
        assert judge(generation, openings, accusation, letter) is Verdict.SENDER
    # Well written, but of another polynomial: only its reader sees it, and opens it.
    letter = _of_another_polynomial(liar, openings)
    with pytest.raises(LettersInvalid) as caught:
        participants[1].finish(openings, letters[1] | {2: letter})
    assert caught.value.culprits == (2,)
    accusation = participants[1].accuse(openings, 2, letter)
    assert accusation.key is not None
    assert judge(generation, openings, accusation, letter) is Verdict.SENDER
    assert public_keys(generation, liar_openings).key != public_keys(generation, openings).key


def _of_another_polynomial(liar: Participant, openings: dict[int, Opening]) -> Letter:
    """As ``liar`` writes it while it tells other commitments than its own."""
    return liar._letter(1, openings[1].letter_key, digest_of(liar._generation, openings))


@each_suite
def test_who_accuses_falsely_is_at_fault(suite: Suite) -> None:
    generation = generation_of(suite, 2, 3)
    participants = participants_of(generation)
    openings = opened(participants)
    letters = written(participants, openings)
    letter = letters[1][2]
    honest = participants[1].accuse(openings, 2, letter)
    assert honest.key is not None
    group = suite.group
    one = group.to_scalar(1)
    lies = (
        honest,  # it opens a letter that is right
        Accusation(1, 2, None),
        Accusation(1, 2, replace(honest.key, shared=letters[1][3].key)),
        Accusation(
            1,
            2,
            Key(
                group.add((honest.key.shared, group.generator)),
                replace(
                    honest.key.proof, response=group.add_scalars(honest.key.proof.response, one)
                ),
            ),
        ),
    )
    for lie in lies:
        assert judge(generation, openings, lie, letter) is Verdict.ACCUSER
    other = participants[3].accuse(openings, 2, letters[3][2])
    stolen = Accusation(1, 2, other.key)
    assert judge(generation, openings, stolen, letter) is Verdict.ACCUSER


def test_a_letter_that_did_not_come_is_named() -> None:
    generation = generation_of(SUITES[0], 2, 3)
    participants = participants_of(generation)
    openings = opened(participants)
    letters = written(participants, openings)
    with pytest.raises(LettersInvalid) as caught:
        participants[1].finish(openings, {3: letters[1][3]})
    assert caught.value.culprits == (2,)


@each_suite
def test_a_key_of_nobody_is_refused(suite: Suite) -> None:
    """Two who act as one could have their parts cancel each other; of all, nothing is left."""
    generation = generation_of(suite, 1, 2)
    opening = participants_of(generation)[1].open()
    opposite = replace(opening, commitments=(suite.group.negate(opening.commitments[0]),))
    with pytest.raises(OpeningsInvalid, match="there is no key"):
        public_keys(generation, {1: opening, 2: opposite})
