"""Bytes come back as they were, and nothing else is taken."""

import pytest
from tests.crypto.frost.world import entropy, generation_of, opened, participants_of, written

from tetrarch.crypto.frost.codec import (
    FrostMessageInvalid,
    decode_accusation,
    decode_commitment,
    decode_letter,
    decode_opening,
    encode_accusation,
    encode_commitment,
    encode_letter,
    encode_opening,
)
from tetrarch.crypto.frost.dkg import Accusation
from tetrarch.crypto.frost.groups import FrostPointInvalid, FrostScalarInvalid
from tetrarch.crypto.frost.keys import SecretShare
from tetrarch.crypto.frost.signing import commit
from tetrarch.crypto.frost.suites import SUITES, Suite

each_suite = pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
INVALID = (FrostMessageInvalid, FrostPointInvalid, FrostScalarInvalid)


@each_suite
def test_all_forms(suite: Suite) -> None:
    generation = generation_of(suite, 2, 3)
    participants = participants_of(generation)
    openings = opened(participants)
    letters = written(participants, openings)
    accusation = participants[1].accuse(openings, 2, letters[1][2])
    nonces = commit(suite, SecretShare(1, suite.group.to_scalar(5)), entropy(1))
    forms = (
        (encode_opening(openings[1]), lambda data: decode_opening(generation, data), openings[1]),
        (encode_letter(letters[1][2]), lambda data: decode_letter(generation, data), letters[1][2]),
        (
            encode_accusation(accusation),
            lambda data: decode_accusation(generation, data),
            accusation,
        ),
        (
            encode_accusation(Accusation(3, 1, None)),
            lambda data: decode_accusation(generation, data),
            Accusation(3, 1, None),
        ),
        (
            encode_commitment(nonces.commitment),
            lambda data: decode_commitment(suite, data),
            nonces.commitment,
        ),
    )
    for data, decode, value in forms:
        assert decode(data) == value
        for bad in (data + b"\0", data[:-1], b""):
            with pytest.raises(INVALID):
                decode(bad)
        if len(data) > 8:
            with pytest.raises(INVALID):
                decode(b"\xff" * len(data))


def test_accusations_are_of_two_that_are_there() -> None:
    generation = generation_of(SUITES[0], 2, 3)
    for accuser, sender in ((1, 1), (0, 1), (1, 4), (4, 1)):
        with pytest.raises(FrostMessageInvalid):
            decode_accusation(generation, encode_accusation(Accusation(accuser, sender, None)))
