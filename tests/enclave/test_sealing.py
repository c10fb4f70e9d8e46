"""A sealed state opens with its secret, for its place, unchanged; else one error says why."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tetrarch.enclave import sealing
from tetrarch.enclave.errors import SealInvalid, SealSecretWrong
from tetrarch.enclave.sealing import Kind, new_key, unseal
from tetrarch.entropy import system_entropy

SECRET = b"k" * 32


def sealed_by_file(text: bytes = b"state", bound_to: bytes = b"node0") -> bytes:
    return new_key(Kind.KEY_FILE, SECRET, system_entropy).seal(text, bound_to=bound_to)


def opened(sealed: bytes, secret: bytes = SECRET, bound_to: bytes = b"node0") -> bytes:
    return unseal(sealed, secret, Kind.KEY_FILE, bound_to=bound_to, entropy=system_entropy)[1]


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_opens_as_it_was(text: bytes, bound_to: bytes) -> None:
    assert opened(sealed_by_file(text, bound_to), bound_to=bound_to) == text


def test_passphrase_opens_and_another_does_not() -> None:
    sealed = new_key(Kind.PASSPHRASE, b"correct horse", system_entropy).seal(b"x", bound_to=b"")
    key, text = unseal(
        sealed, b"correct horse", Kind.PASSPHRASE, bound_to=b"", entropy=system_entropy
    )
    assert text == b"x"
    again = key.seal(b"y", bound_to=b"")
    assert (
        unseal(again, b"correct horse", Kind.PASSPHRASE, bound_to=b"", entropy=system_entropy)[1]
        == b"y"
    )
    with pytest.raises(SealSecretWrong, match="passphrase"):
        unseal(sealed, b"battery staple", Kind.PASSPHRASE, bound_to=b"", entropy=system_entropy)


def test_another_key_file_is_named_as_the_cause() -> None:
    with pytest.raises(SealSecretWrong, match="key_file"):
        opened(sealed_by_file(), secret=b"j" * 32)


def test_another_place_is_refused() -> None:
    assert opened(sealed_by_file(), bound_to=b"node0") == b"state"
    with pytest.raises(SealInvalid, match="changed, or of another node"):
        opened(sealed_by_file(), bound_to=b"node1")


def test_kinds_are_not_mixed_up() -> None:
    with pytest.raises(SealInvalid, match="sealed_by=key_file"):
        unseal(sealed_by_file(), SECRET, Kind.PASSPHRASE, bound_to=b"node0", entropy=system_entropy)


def test_every_changed_bit_is_noticed() -> None:
    sealed = sealed_by_file(b"state of an enclave")
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1 << (place % 8)
        with pytest.raises((SealInvalid, SealSecretWrong)):
            opened(bytes(changed))


@given(st.integers(0, 200))
def test_cut_short_is_refused(length: int) -> None:
    sealed = sealed_by_file()
    with pytest.raises(SealInvalid):
        opened(sealed[: min(length, len(sealed) - 1)])


@settings(max_examples=200)
@given(st.binary(max_size=160))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(SealInvalid):
        opened(noise)


@pytest.mark.parametrize(
    ("passes", "memory_kib", "lanes"),
    [(0, 64, 4), (65, 64, 4), (3, 31, 4), (3, (4 << 20) + 1, 4), (3, 1024, 65)],
)
def test_costs_are_bounded_before_work_is_done(passes: int, memory_kib: int, lanes: int) -> None:
    header = sealing._HEADER.pack(
        b"tetrseal\x01", 1, passes, memory_kib, lanes, bytes(16), bytes(16), bytes(32)
    )
    with pytest.raises(SealInvalid, match="out of bounds"):
        unseal(header, b"x", Kind.PASSPHRASE, bound_to=b"", entropy=system_entropy)


def test_too_short_for_a_seal_is_said() -> None:
    for sealed in (b"", sealed_by_file()[: sealing._HEADER.size - 1]):
        with pytest.raises(SealInvalid, match="too short"):
            opened(sealed)


def header_of(sealed: bytes) -> tuple[object, ...]:
    return sealing._HEADER.unpack_from(sealed)


def test_passphrases_cost_what_the_rfc_recommends_and_key_files_nothing() -> None:
    strong = new_key(Kind.PASSPHRASE, b"horse", system_entropy).seal(b"", bound_to=b"")
    assert header_of(strong)[1:5] == (Kind.PASSPHRASE, 3, 64 << 10, 4)
    assert header_of(sealed_by_file())[1:5] == (Kind.KEY_FILE, 0, 0, 0)


def test_one_secret_makes_another_key_for_each_state() -> None:
    first, second = (header_of(sealed_by_file()) for _ in range(2))
    assert first[5] != second[5]  # the salt
    assert first[6] != second[6]  # what the key is told by


def test_each_text_is_encrypted_under_a_key_of_its_own() -> None:
    """The cipher's own nonce is always zero: two texts under one key would show each other."""
    key = new_key(Kind.KEY_FILE, SECRET, system_entropy)
    first, second = (key.seal(b"state", bound_to=b"")[sealing._HEADER.size :][:5] for _ in range(2))
    assert first != second


def test_equal_states_are_sealed_to_different_bytes() -> None:
    key = new_key(Kind.KEY_FILE, SECRET, system_entropy)
    first, second = (key.seal(b"state", bound_to=b"") for _ in range(2))
    assert first != second
    assert b"state" not in first
