"""Who is behind a connection counts from a signature over a nonce of ours, once, for that connection."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from tests.network.overlay.support import node_id

from tetrarch.network.overlay.greeting import GreetingInvalid
from tetrarch.network.overlay.reference.handshakes import (
    OPEN_MAX,
    PROVEN_MAX,
    Handshakes,
    check_nonce,
    check_proof,
)

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
NODE = KEY.public_key().public_bytes_raw()


def test_a_nonce_is_of_use_once_and_for_its_caller() -> None:
    handshakes = Handshakes()
    handshakes.begin("a", b"n")
    assert handshakes.take_nonce("b") is None
    assert handshakes.take_nonce("a") == b"n"
    assert handshakes.take_nonce("a") is None


def test_who_begins_anew_is_nobody_until_it_ends() -> None:
    handshakes = Handshakes()
    handshakes.begin("a", b"n")
    handshakes.proven("a", node_id(1))
    assert handshakes.node("a") == node_id(1)
    handshakes.begin("a", b"m")
    assert handshakes.node("a") is None
    assert handshakes.take_nonce("a") == b"m"
    handshakes.proven("a", node_id(1))
    handshakes.forget("a")
    assert handshakes.node("a") is None


def test_what_is_kept_is_bounded_and_the_longest_unused_goes() -> None:
    handshakes = Handshakes()
    for number in range(OPEN_MAX + 1):
        handshakes.begin(str(number), b"n")
    assert handshakes.take_nonce("0") is None
    assert handshakes.take_nonce("1") == b"n"
    for number in range(PROVEN_MAX):
        handshakes.proven(str(number), node_id(number))
    assert handshakes.node("0") == node_id(0)  # used just now
    handshakes.proven("one more", node_id(9999))
    assert handshakes.node("0") == node_id(0)
    assert handshakes.node("1") is None


@given(st.binary(max_size=80).filter(lambda data: len(data) != 32))
def test_nothing_else_than_a_nonce_is_signed(data: bytes) -> None:
    assert check_nonce(b"n" * 32) == b"n" * 32
    with pytest.raises(GreetingInvalid):
        check_nonce(data)


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_only_its_own_signature_shows_a_node(node: bytes, signature: bytes) -> None:
    nonce = b"n" * 32
    assert check_proof(NODE, KEY.sign(nonce), nonce) == NODE
    for shown, signed in ((node, KEY.sign(nonce)), (NODE, signature), (NODE, KEY.sign(b"m" * 32))):
        with pytest.raises(GreetingInvalid):
            check_proof(shown, signed, nonce)
