"""Keys verify what their holder signed, and a pinned one is not replaced."""

import pytest

from tetrarch.election.keys import MemberKeys, SigningKey, verify_with
from tetrarch.errors import InputInvalid

ONE, OTHER = SigningKey(b"1" * 32), SigningKey(b"2" * 32)


def test_key_is_that_of_the_rfc() -> None:
    """RFC 8032, section 7.1, test 1."""
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    key = SigningKey(secret)
    assert key.public.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert key.sign(b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )


def test_member_is_believed_once_it_was_met() -> None:
    keys = MemberKeys((None, None))
    signature = ONE.sign(b"said")
    assert not keys.verify(1, b"said", signature)
    assert keys.pin(1, ONE.public)
    assert keys.verify(1, b"said", signature)
    assert not keys.verify(0, b"said", signature)
    assert not keys.verify(1, b"other", signature)
    assert not keys.verify(7, b"said", signature)
    assert not keys.verify(-1, b"said", signature)


def test_pinned_key_stays() -> None:
    keys = MemberKeys((ONE.public,))
    assert not keys.pin(0, OTHER.public)
    assert keys.pin(0, ONE.public)
    assert keys.raw == (ONE.public,)


def test_bytes_that_are_no_key_are_refused() -> None:
    with pytest.raises(InputInvalid):
        MemberKeys((b"short",))
    keys = MemberKeys((None,))
    with pytest.raises(InputInvalid):
        keys.pin(0, b"short")
    assert keys.raw == (None,)
    with pytest.raises(InputInvalid):
        SigningKey(b"short")
    assert not verify_with(b"short", b"said", bytes(64))
    assert not verify_with(ONE.public, b"said", b"short")
