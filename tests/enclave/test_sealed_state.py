"""A sealed value is read as it was written, and nothing else passes for it."""

from pathlib import Path

import msgspec
import pytest

from tetrarch.clock import SystemClock, steady_ms
from tetrarch.enclave.attesting import SoftwareAttester
from tetrarch.enclave.errors import SealInvalid, SealSecretWrong
from tetrarch.enclave.host import Host
from tetrarch.enclave.seal_secret import SealSecret, make_key_file
from tetrarch.enclave.sealed_state import STATE_MAX_BYTES, SealedState
from tetrarch.enclave.sealing import Kind
from tetrarch.enclave.secret_reading import SecretReader
from tetrarch.entropy import system_entropy
from tetrarch.errors import InputInvalid


class Value(msgspec.Struct, frozen=True):
    content: bytes


def opened(folder: Path, *, bound_to: bytes = b"place", key: str = "key") -> SealedState[Value]:
    make_key_file(folder / key, system_entropy)
    host = Host(
        attester=SoftwareAttester(bytes(32), lambda: ()),
        entropy=system_entropy,
        read=SecretReader(system_entropy),
        now_ms=steady_ms,
        wall_s=SystemClock().wall_s,
    )
    return SealedState.open(
        folder / "state",
        Value,
        secret=SealSecret(Kind.KEY_FILE, folder / key),
        bound_to=bound_to,
        what="value",
        host=host,
    )


def test_it_is_there_as_it_was_stored_last(tmp_path: Path) -> None:
    state = opened(tmp_path)
    assert state.found is None
    for content in (b"one", b"two"):
        state.store(Value(content))
        assert opened(tmp_path).found == Value(content)
    assert b"two" not in (tmp_path / "state").read_bytes()
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


def test_another_place_key_or_byte_does_not_open_it(tmp_path: Path) -> None:
    opened(tmp_path).store(Value(b"one"))
    with pytest.raises(SealInvalid, match="of another node"):
        opened(tmp_path, bound_to=b"other")
    with pytest.raises(SealSecretWrong):
        opened(tmp_path, key="other")
    sealed = (tmp_path / "state").read_bytes()
    (tmp_path / "state").write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    with pytest.raises(SealInvalid):
        opened(tmp_path)


def test_a_value_of_another_kind_is_told(tmp_path: Path) -> None:
    class Other(msgspec.Struct, frozen=True):
        number: int

    opened(tmp_path).store(Other(7))  # type: ignore[arg-type]
    with pytest.raises(SealInvalid, match="content"):
        opened(tmp_path)


def test_it_is_bounded(tmp_path: Path) -> None:
    state = opened(tmp_path)
    with pytest.raises(InputInvalid, match="maximum"):
        state.store(Value(bytes(STATE_MAX_BYTES)))
    assert opened(tmp_path).found is None
