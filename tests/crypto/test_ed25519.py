"""RFC 8032, section 7.1, and that a remembered outcome is of the same question."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tetrarch.crypto.ed25519 import REMEMBERED, forget_all, is_signed

# Public key, message, signature.
RFC_8032 = (
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
)


@pytest.mark.parametrize(("key", "message", "signature"), RFC_8032)
def test_the_rfc_s_signatures(key: str, message: str, signature: str) -> None:
    question = [bytes.fromhex(each) for each in (key, message, signature)]
    for _ in range(2):
        assert is_signed(*question)
    for changed in range(3):
        other = list(question)
        other[changed] = other[changed][:-1] + bytes([(other[changed] or b"x")[-1] ^ 1])
        for _ in range(2):
            assert not is_signed(*other)
    assert is_signed(*question), "a false one beside it changes nothing"


def test_what_is_no_key_or_no_signature_signs_nothing() -> None:
    key, message, signature = (bytes.fromhex(each) for each in RFC_8032[2])
    for wrong in (b"", key[:31], key + b"x", b"\xff" * 32):
        assert not is_signed(wrong, message, signature)
    for wrong in (b"", signature[:63], signature + b"x"):
        assert not is_signed(key, message, wrong)


def test_bytes_that_move_between_the_parts_are_another_question() -> None:
    key, message, signature = (bytes.fromhex(each) for each in RFC_8032[2])
    assert is_signed(key, message, signature)
    assert not is_signed(key, b"", signature + message)
    moved = key + signature + message
    assert not is_signed(moved[:33], moved[97:], moved[33:97])
    assert not is_signed(moved[:31], moved[95:], moved[31:95])


def test_it_holds_whatever_was_asked_meanwhile() -> None:
    own = Ed25519PrivateKey.from_private_bytes(bytes(32))
    public = own.public_key().public_bytes_raw()
    signature = own.sign(b"vote")
    assert is_signed(public, b"vote", signature)
    for number in range(REMEMBERED + 10):  # none of these is verified: no key has its size
        is_signed(public[1:], number.to_bytes(4, "big"), signature)
    assert is_signed(public, b"vote", signature)
    forget_all()
    assert is_signed(public, b"vote", signature)
    assert not is_signed(public, b"other", signature)
