"""A measurement is of a program: the same for equal ones, another for any other byte."""

import asyncio
import sys
from types import ModuleType

import pytest

from tetrarch.attestation.claims import BackEnd
from tetrarch.enclave import measurement as module
from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.measurement import SECURITY_VERSION, measure
from tetrarch.enclave.protections import Confinement


def test_two_enclaves_of_one_installation_are_equal() -> None:
    async def ask():
        enclave = await EnclaveClient.launch(Confinement())
        try:
            return await enclave.measurement()
        finally:
            await enclave.close()

    one, other = asyncio.run(ask()), asyncio.run(ask())
    assert one == other
    assert one.back_end is BackEnd.SOFTWARE
    assert one.security_version_min == SECURITY_VERSION
    assert any(one.measurement)


def test_every_part_counts(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    before = measure()
    assert measure() == before
    files = module._own_files()
    assert "file enclave/rules.py" in files
    changed = {**files, "file enclave/rules.py": files["file enclave/rules.py"] + b"#"}
    renamed = {f"{name}x": content for name, content in files.items()}
    seen = {before}
    for parts in (changed, renamed, {**files, "file more.py": b""}):
        with monkeypatch.context() as patched:
            patched.setattr(module, "_own_files", lambda parts=parts: parts)
            seen.add(measure())
    with monkeypatch.context() as patched:
        patched.setattr(sys, "version", "3.99")
        seen.add(measure())
    native = ModuleType("native_thing")
    native.__file__ = str(tmp_path / "native_thing.abi3.so")
    (tmp_path / "native_thing.abi3.so").write_bytes(b"code")
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "native_thing", native)
        seen.add(measure())
    assert len(seen) == 6
