"""Who signs, who is named, and what is refused."""

import pickle
from itertools import combinations

import pytest
from tests.crypto.frost.world import entropy, signed

from tetrarch.crypto.frost.groups import Point, Scalar
from tetrarch.crypto.frost.keys import FrostThresholdInvalid, Keys, Quorum, deal
from tetrarch.crypto.frost.signing import (
    Commitment,
    FrostCommitmentInvalid,
    FrostSharesInvalid,
    FrostSignersInvalid,
    Signing,
    aggregate,
    commit,
    commit_many,
    is_share,
    sign,
    weights_of,
)
from tetrarch.crypto.frost.suites import SUITES, Suite
from tetrarch.errors import InvariantBroken

MESSAGE = b"a payment"
each_suite = pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)


def dealt(suite: Suite, threshold: int, shares: int, seed: int = 0) -> dict[int, Keys]:
    draw = entropy(seed)
    scalars = [suite.group.reduce(draw(64)) for _ in range(threshold)]
    return dict(deal(suite, Quorum(threshold, shares), scalars[0], scalars[1:]))


@each_suite
def test_any_threshold_of_them_signs(suite: Suite) -> None:
    keys = dealt(suite, 2, 4)
    draw = entropy("any")
    for count in (2, 3, 4):
        for indices in combinations(keys, count):
            some = [keys[index] for index in indices]
            signing, shares = signed(suite, some, MESSAGE, draw)
            signature = aggregate(signing, shares)
            assert suite.is_signed(keys[1].public.key, MESSAGE, signature)
            assert not suite.is_signed(keys[1].public.key, b"another", signature)
            damaged = signature[:-1] + bytes((signature[-1] ^ 1,))
            assert not suite.is_signed(keys[1].public.key, MESSAGE, damaged)
            assert not suite.is_signed(keys[1].public.key, MESSAGE, signature[:-1])


@each_suite
def test_who_gives_a_false_share_is_named(suite: Suite) -> None:
    for seed in range(8):
        keys = dealt(suite, 3, 5, seed)
        signing, shares = signed(suite, list(keys.values()), MESSAGE, entropy(seed))
        one = suite.group.to_scalar(1)
        false = {index: suite.group.add_scalars(shares[index], one) for index in (2, 5)}
        with pytest.raises(FrostSharesInvalid) as caught:
            aggregate(signing, shares | false)
        assert caught.value.culprits == (2, 5)
        with pytest.raises(FrostSharesInvalid) as caught:
            aggregate(signing, shares | {1: suite.group.to_scalar(0)})
        assert caught.value.culprits == (1,)
        assert [is_share(signing, index, shares[index]) for index in shares] == [True] * 5


@each_suite
def test_shares_that_cancel_out_are_a_signature(suite: Suite) -> None:
    """Nobody is harmed: it is the signature that the right ones add up to."""
    keys = dealt(suite, 2, 3)
    signing, shares = signed(suite, list(keys.values()), MESSAGE, entropy(1))
    one = suite.group.to_scalar(1)
    moved = shares | {
        1: suite.group.add_scalars(shares[1], one),
        2: suite.group.add_scalars(shares[2], suite.group.negate_scalar(one)),
    }
    assert aggregate(signing, moved) == aggregate(signing, shares)


@each_suite
def test_nonces_are_used_once(suite: Suite) -> None:
    keys = dealt(suite, 1, 2)
    drawn = commit(suite, keys[1].secret, entropy(1))
    signing = Signing.begin(suite, keys[1].public, {1: drawn.commitment}, MESSAGE)
    sign(signing, keys[1], drawn)
    with pytest.raises(InvariantBroken):
        sign(signing, keys[1], drawn)
    with pytest.raises(TypeError):
        pickle.dumps(drawn)
    with pytest.raises(TypeError):
        pickle.dumps(keys[1].secret)
    for secret in (keys[1].secret, drawn):
        assert keys[1].secret.reveal().hex() not in repr(secret)


def test_nonces_of_many_messages_differ() -> None:
    suite = SUITES[0]
    keys = dealt(suite, 2, 3)
    drawn = commit_many(suite, keys[1].secret, entropy(1), 5)
    points = {
        point for each in drawn for point in (each.commitment.hiding, each.commitment.binding)
    }
    assert len(points) == 10


@each_suite
def test_who_is_not_there_or_too_few_cannot_sign(suite: Suite) -> None:
    keys = dealt(suite, 2, 3)
    draw = entropy(1)
    nonces = {index: commit(suite, keys[index].secret, draw) for index in keys}
    told = {index: each.commitment for index, each in nonces.items()}
    public = keys[1].public
    for commitments in ({}, {1: told[1]}, {1: told[1], 4: told[2]}, {0: told[1], 1: told[2]}):
        with pytest.raises(FrostSignersInvalid):
            Signing.begin(suite, public, commitments, MESSAGE)
    signing = Signing.begin(suite, public, {1: told[1], 2: told[2]}, MESSAGE)
    with pytest.raises(FrostSignersInvalid):
        sign(signing, keys[3], nonces[3])
    with pytest.raises(FrostSignersInvalid, match="its commitment is not there"):
        sign(signing, keys[1], commit(suite, keys[1].secret, draw))
    shares: dict[int, Scalar] = {1: sign(signing, keys[1], nonces[1])}
    for some in (shares | {2: shares[1], 3: shares[1]}, shares):
        with pytest.raises(FrostSignersInvalid):
            aggregate(signing, some)
    with pytest.raises(FrostSignersInvalid):
        weights_of(suite, (1, 1, 2))


@each_suite
def test_commitments_whose_sum_is_nothing_are_refused(suite: Suite) -> None:
    """Who tells last could choose it so."""
    keys = dealt(suite, 2, 2)
    group = suite.group
    commitment = commit(suite, keys[1].secret, entropy(1)).commitment
    none = Commitment(group.identity, group.identity)
    opposite = Commitment(group.negate(commitment.hiding), group.identity)
    first = Commitment(commitment.hiding, group.identity)
    for pair in ((none, none), (first, opposite)):
        with pytest.raises(FrostCommitmentInvalid):
            Signing.begin(suite, keys[1].public, dict(enumerate(pair, 1)), MESSAGE)


@each_suite
def test_nonces_are_bound_to_the_message_and_to_all_signers(suite: Suite) -> None:
    """Else shares of many signings at once could be put together to one of another message."""
    keys = dealt(suite, 2, 3)
    group, public, draw = suite.group, keys[1].public, entropy(1)
    one, two, other = (commit(suite, keys[1].secret, draw).commitment for _ in range(3))

    def total(message: bytes, commitments: dict[int, Commitment]) -> Point:
        return Signing.begin(suite, public, commitments, message).sum_of_commitments

    both = {1: one, 2: two}
    assert total(MESSAGE, both) == total(MESSAGE, dict(reversed(both.items())))
    assert total(MESSAGE, both) != total(b"another", both)
    moved = total(MESSAGE, {1: one, 2: Commitment(other.hiding, two.binding)})
    step = group.add((other.hiding, group.negate(two.hiding)))
    assert moved != group.add((total(MESSAGE, both), step)), "nothing else changed"
    renamed = total(MESSAGE, {1: one, 3: two})
    assert renamed != total(MESSAGE, both)
    opposite = Signing.begin(suite, dealt(suite, 2, 3, seed=9)[1].public, both, MESSAGE)
    assert opposite.sum_of_commitments != total(MESSAGE, both), "the key is bound, too"


@pytest.mark.parametrize(("threshold", "shares"), [(0, 1), (2, 1), (1, 65_536), (-1, 3)])
def test_what_is_no_quorum_is_refused(threshold: int, shares: int) -> None:
    with pytest.raises(FrostThresholdInvalid):
        Quorum(threshold, shares)
