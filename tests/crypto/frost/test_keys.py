"""The two sides of a key go together, whatever is done to it."""

import pickle

import pytest
from tests.crypto.frost.world import entropy, signed

from tetrarch.crypto.frost.keys import (
    Keys,
    Quorum,
    deal,
    evaluate,
    evaluate_points,
    even,
    even_public,
    negated,
    offset,
    offset_public,
    verify_share,
)
from tetrarch.crypto.frost.signing import aggregate
from tetrarch.crypto.frost.suites import SECP256K1_TAPROOT, SUITES, Suite

each_suite = pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)


def dealt(suite: Suite, seed: int = 0) -> dict[int, Keys]:
    draw = entropy(f"keys/{seed}")
    secret, coefficient = (suite.group.reduce(draw(64)) for _ in range(2))
    return dict(deal(suite, Quorum(2, 3), secret, (coefficient,)))


@each_suite
def test_a_polynomial_has_one_value_on_both_sides(suite: Suite) -> None:
    draw = entropy("polynomial")
    polynomial = tuple(suite.group.reduce(draw(64)) for _ in range(4))
    points = tuple(suite.group.multiply_base(each) for each in polynomial)
    order = suite.group.order
    for index in (1, 2, 300):
        value = evaluate(suite, polynomial, index)
        numbers = [suite.group.to_number(each) for each in polynomial]
        expected = sum(number * index**power for power, number in enumerate(numbers)) % order
        assert suite.group.to_number(value) == expected
        assert suite.group.multiply_base(value) == evaluate_points(suite, points, index)


@each_suite
def test_an_offset_key_and_an_opposite_one_sign(suite: Suite) -> None:
    by = suite.group.to_scalar(11)
    for change in (lambda keys: offset(suite, keys, by), lambda keys: negated(suite, keys)):
        keys = {index: change(each) for index, each in dealt(suite).items()}
        assert all(verify_share(suite, each) for each in keys.values())
        assert keys[1].public.key != dealt(suite)[1].public.key
        signing, shares = signed(suite, [keys[3], keys[1]], b"m", entropy(1))
        assert suite.is_signed(keys[1].public.key, b"m", aggregate(signing, shares))
    public = dealt(suite)[2].public
    assert offset_public(suite, public, by) == offset(suite, dealt(suite)[2], by).public


def test_of_a_key_and_its_opposite_taproot_takes_the_even_one() -> None:
    seen = set()
    for seed in range(8):
        keys = dealt(SECP256K1_TAPROOT, seed)[1]
        seen.add(keys.public.key[0])
        taken = even(SECP256K1_TAPROOT, keys)
        assert taken.public.key[0] == 2
        assert taken.public.key[1:] == keys.public.key[1:]
        assert taken.public == even_public(SECP256K1_TAPROOT, keys.public)
        assert verify_share(SECP256K1_TAPROOT, taken)
    assert seen == {2, 3}


def test_another_share_is_not_its_public_side() -> None:
    keys = dealt(SUITES[0])
    assert not verify_share(SUITES[0], Keys(dealt(SUITES[0], 1)[1].public, keys[1].secret))


def test_a_secret_is_neither_printed_nor_pickled() -> None:
    secret = dealt(SUITES[0])[1].secret
    assert repr(secret) == "SecretShare(index=1)"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
