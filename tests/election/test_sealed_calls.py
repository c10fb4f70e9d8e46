"""A request reaches its enclave alone, in this start of it; its answer reaches the asker alone."""

import pytest
from tests.election.support import configuration, view_of

from tetrarch.crypto.hpke import OpeningKey, SealedTextInvalid, seal
from tetrarch.election.codec import BytesInvalid
from tetrarch.election.promises import Denied, Reason
from tetrarch.election.requests import CastVote
from tetrarch.election.sealed_calls import open_request, place_of, seal_request
from tetrarch.entropy import system_entropy
from tetrarch.errors import InputInvalid

C = configuration()
ENCLAVE = OpeningKey(b"e" * 32)
PLACE = place_of(C.hash, b"k" * 32, b"b" * 32)
REQUEST = CastVote(view_of(C))
ANSWER = Denied(Reason.LEASE_LASTS)


def sealed_request():
    return seal_request(REQUEST, sealing_key=ENCLAVE.public, place=PLACE, entropy=system_entropy)


def test_question_and_answer_arrive() -> None:
    sealed, open_answer = sealed_request()
    request, seal_answer = open_request(sealed, ENCLAVE, place=PLACE)
    assert request == REQUEST
    assert open_answer(seal_answer(ANSWER)) == ANSWER


@pytest.mark.parametrize("part", [0, 1, 2])
def test_request_is_for_this_configuration_key_and_start(part: int) -> None:
    sealed, _ = sealed_request()
    words = [C.hash, b"k" * 32, b"b" * 32]
    words[part] = b"x" * 32
    with pytest.raises(SealedTextInvalid):
        open_request(sealed, ENCLAVE, place=place_of(*words))


def test_another_enclave_cannot_read_it() -> None:
    sealed, _ = sealed_request()
    with pytest.raises(SealedTextInvalid):
        open_request(sealed, OpeningKey(b"o" * 32), place=PLACE)


def test_answer_to_another_request_is_refused() -> None:
    first, _ = sealed_request()
    _, open_second = sealed_request()
    _, seal_answer = open_request(first, ENCLAVE, place=PLACE)
    with pytest.raises(SealedTextInvalid):
        open_second(seal_answer(ANSWER))


def test_every_changed_byte_is_noticed() -> None:
    sealed, open_answer = sealed_request()
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(SealedTextInvalid):
            open_request(bytes(changed), ENCLAVE, place=PLACE)
    _, seal_answer = open_request(sealed, ENCLAVE, place=PLACE)
    answer = seal_answer(ANSWER)
    for place in range(len(answer)):
        changed = bytearray(answer)
        changed[place] ^= 1
        with pytest.raises(SealedTextInvalid):
            open_answer(bytes(changed))


def test_what_was_sealed_must_be_a_request() -> None:
    for text, error in ((b"short", InputInvalid), (b"a" * 32 + b"\x01noise", BytesInvalid)):
        sealed = seal(text, ENCLAVE.public, info=PLACE + b"request")
        with pytest.raises(error):
            open_request(sealed, ENCLAVE, place=PLACE)


def test_keys_must_be_keys() -> None:
    with pytest.raises(InputInvalid):
        OpeningKey(b"short")
    with pytest.raises(InputInvalid):
        seal(b"text", b"short", info=b"")
    with pytest.raises(SealedTextInvalid):
        ENCLAVE.open(b"short", info=b"")
