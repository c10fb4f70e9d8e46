"""A proof is of what it was made for, and of nothing else."""

from dataclasses import replace

import pytest
from tests.crypto.frost.world import entropy

from tetrarch.crypto.frost.proofs import (
    KnowledgeProof,
    is_equal,
    is_known,
    prove_equality,
    prove_knowledge,
)
from tetrarch.crypto.frost.suites import SUITES, Suite

each_suite = pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)


@each_suite
def test_knowledge(suite: Suite) -> None:
    group, draw = suite.group, entropy("knowledge")
    secret, nonce = (group.reduce(draw(64)) for _ in range(2))
    point, one = group.multiply_base(secret), group.to_scalar(1)
    proof = prove_knowledge(suite, secret, nonce=nonce, prefix=b"1", context=b"c")
    assert is_known(suite, point, proof, prefix=b"1", context=b"c")
    assert not is_known(suite, point, proof, prefix=b"2", context=b"c")
    assert not is_known(suite, point, proof, prefix=b"1", context=b"d")
    assert not is_known(suite, group.negate(point), proof, prefix=b"1", context=b"c")
    for false in (
        replace(proof, response=group.add_scalars(proof.response, one)),
        replace(proof, commitment=group.negate(proof.commitment)),
    ):
        assert not is_known(suite, point, false, prefix=b"1", context=b"c")


@each_suite
def test_a_point_is_not_chosen_by_its_proof(suite: Suite) -> None:
    """Were the challenge not of the point, a proof of one that nobody knows could be made backwards."""
    group, draw = suite.group, entropy("backwards")
    response, nonce = (group.reduce(draw(64)) for _ in range(2))
    commitment = group.multiply_base(nonce)
    challenge = suite.hash_to_scalar(b"dkg", b"1" + commitment + b"c")
    inverse = group.to_scalar(pow(group.to_number(challenge), -1, group.order))
    difference = group.add((group.multiply_base(response), group.negate(commitment)))
    point = group.multiply(inverse, difference)
    forged = KnowledgeProof(commitment, response)
    assert not is_known(suite, point, forged, prefix=b"1", context=b"c")


@each_suite
def test_equality(suite: Suite) -> None:
    group, draw = suite.group, entropy("equality")
    secret, nonce, other = (group.reduce(draw(64)) for _ in range(3))
    base, one = group.multiply_base(other), group.to_scalar(1)
    public, shared = group.multiply_base(secret), group.multiply(secret, base)
    points = (public, base, shared)
    proof = prove_equality(suite, secret, base, nonce=nonce, context=b"c")
    assert is_equal(suite, proof, points, context=b"c")
    assert not is_equal(suite, proof, points, context=b"d")
    for others in (
        (public, base, group.add((shared, base))),
        (group.negate(public), base, shared),
        (public, group.negate(base), shared),
    ):
        assert not is_equal(suite, proof, others, context=b"c")
    for false in (
        replace(proof, response=group.add_scalars(proof.response, one)),
        replace(proof, challenge=group.add_scalars(proof.challenge, one)),
    ):
        assert not is_equal(suite, false, points, context=b"c")
