"""A hello shows who is there: this member, now, in this session, of this configuration."""

import pytest
from msgspec.structs import replace
from tests.election.support import configuration

from tetrarch.election.hello import Hello, HelloInvalid, check_hello, session_of
from tetrarch.election.keys import SigningKey
from tetrarch.election.statements import Signed

C = configuration()
KEY = SigningKey(b"k" * 32)
SESSION, NONCE = session_of(b"certificate"), b"n" * 32
HELLO = Hello(C.hash, 2, KEY.public, b"s" * 32, b"b" * 32, SESSION, NONCE)


def said(hello: Hello = HELLO) -> Signed[Hello]:
    return Signed(hello, KEY.sign(hello.signing_bytes))


def refusal(hello: Signed[Hello]) -> str:
    with pytest.raises(HelloInvalid) as caught:
        check_hello(hello, C, session=SESSION, nonce=NONCE)
    return str(caught.value.fields["reason"])


def test_right_one_is_taken() -> None:
    check_hello(said(), C, session=SESSION, nonce=NONCE)


def test_each_field_is_judged() -> None:
    other = configuration(5)
    assert refusal(said(replace(HELLO, configuration_hash=other.hash))) == "another configuration"
    assert refusal(said(replace(HELLO, source=4))) == "unknown member"
    assert refusal(said(replace(HELLO, nonce=b"o" * 32))) == "not an answer to this nonce"
    assert refusal(said(replace(HELLO, session=session_of(b"other")))) == "of another session"


@pytest.mark.parametrize("field", ["source", "signing_key", "sealing_key", "boot"])
def test_every_field_is_signed(field: str) -> None:
    changed = {"source": 1}.get(field, SigningKey(b"o" * 32).public)
    forged = Signed(replace(HELLO, **{field: changed}), said().signature)
    assert refusal(forged) == "false signature"


def test_sessions_differ_by_certificate() -> None:
    assert session_of(b"one") != session_of(b"other")
