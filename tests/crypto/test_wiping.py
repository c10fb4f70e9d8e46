"""What was wiped is zeros where it stood, and nothing else is."""

import hashlib

from tetrarch.crypto.wiping import wipe


def test_bytes_and_arrays_are_overwritten_in_place() -> None:
    secret, beside = hashlib.sha256(b"a").digest(), hashlib.sha256(b"b").digest()
    array = bytearray(b"secret")
    view = memoryview(array)
    wipe(secret)
    wipe(array)
    assert secret == bytes(32)
    assert bytes(view) == bytes(6)
    assert beside == hashlib.sha256(b"b").digest()


def test_what_others_share_is_left_alone() -> None:
    wipe(b"")
    wipe(b"a")
    assert (bytes(0), bytes([97])) == (b"", b"a")
