"""The binding: its generated file is current, and a wrong library is refused with a clear line."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import _cffi_backend
import pytest

from tetrarch.crypto import blst, blst_abi, blst_declarations


def test_generated_file_equals_its_declarations() -> None:
    assert Path(blst_abi.__file__).read_text() == blst_declarations.generate()


def test_library_without_the_functions_is_refused_and_named() -> None:
    with pytest.raises(blst.NativeLibraryUnusable, match="missing=blst_") as caught:
        blst._load(_cffi_backend.__file__)
    assert caught.value.mend in str(caught.value)
    assert caught.value.exit_code == 78


def test_file_that_is_no_library_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ckzg.so"
    path.write_bytes(b"not a library")
    with pytest.raises(blst.NativeLibraryUnusable, match="load BLS library"):
        blst._load(str(path))


class _Altered:
    """The real library with one function replaced."""

    def __init__(self, name: str, replacement: Any) -> None:
        self._name, self._replacement = name, replacement

    def __getattr__(self, name: str) -> Any:
        return self._replacement if name == self._name else getattr(blst.lib, name)


@pytest.mark.parametrize(
    ("name", "replacement", "reason"),
    [
        ("blst_sign_pk_in_g1", lambda *_: None, "wrong signature"),
        ("blst_core_verify_pk_in_g1", lambda *_: 0, "wrong verdict"),
        ("blst_core_verify_pk_in_g1", lambda *_: 5, "wrong verdict"),
    ],
)
def test_self_test_refuses_a_library_that_computes_wrongly(
    name: str, replacement: Any, reason: str
) -> None:
    blst.self_test(blst.lib)
    with pytest.raises(blst.NativeLibraryUnusable, match=reason):
        blst.self_test(_Altered(name, replacement))


def test_import_neither_parses_declarations_nor_loads_the_parser() -> None:
    code = "import sys, tetrarch.crypto.bls; sys.exit('pycparser' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
