"""Mutants: the source of one pure module with one piece of text replaced."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import is_hypothesis_test

from tetrarch.errors import InvariantBroken


@dataclass(frozen=True)
class Mutant:
    """``module`` is the name within its package; ``old`` occurs in it exactly once."""

    name: str
    module: str
    old: str
    new: str


def source_of(name: str) -> str:
    """The source of a module, by its full name."""
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text()


def mutated_source(package: str, mutant: Mutant) -> str:
    """The mutant's source. Text that does not occur exactly once would let it rot silently."""
    source = source_of(f"{package}.{mutant.module}")
    assert source.count(mutant.old) == 1, f"{mutant.name}: not exactly once"
    return source.replace(mutant.old, mutant.new)


def claims(tests: ModuleType) -> Iterator[Callable[[], None]]:
    """The module's tests that draw nothing, one for each set of their parameters."""
    for name, test in vars(tests).items():
        if not name.startswith("test_") or is_hypothesis_test(test):
            continue
        calls: list[dict[str, Any]] = [{}]
        for mark in getattr(test, "pytestmark", ()):
            names, values = mark.args
            names = names if isinstance(names, tuple) else (names,)
            calls = [
                {**call, **dict(zip(names, value if len(names) > 1 else (value,), strict=True))}
                for call in calls
                for value in values
            ]
        yield from (lambda test=test, call=call: test(**call) for call in calls)


def fails(claim: Callable[[], None]) -> bool:
    """Whether ``claim`` does not hold."""
    try:
        claim()
    except (Exception, InvariantBroken, pytest.fail.Exception):  # noqa: BLE001 - any way kills
        return True
    return False


def within(name: str, packages: Sequence[str]) -> bool:
    """Whether the module ``name`` is one of ``packages`` or in them."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@contextmanager
def imported_anew(*packages: str) -> Iterator[None]:
    """Modules of ``packages`` that are imported within are not those from before, which come back.

    So whatever else of the package a claim goes through sees the mutant too, and the mutant stays
    in nobody's names afterwards, in whichever order tests run.
    """
    before = {name: module for name, module in sys.modules.items() if within(name, packages)}
    for name in before:
        del sys.modules[name]
    try:
        yield
    finally:
        for name in [name for name in sys.modules if within(name, packages)]:
            del sys.modules[name]
        for name, module in before.items():
            sys.modules[name] = module
            parent, _, own = name.rpartition(".")
            if parent in sys.modules:
                setattr(sys.modules[parent], own, module)


@contextmanager
def loaded(package: str, folder: Path, mutant: Mutant, anew: str) -> Iterator[ModuleType]:
    """The tests of the mutant's module, which lie in ``folder``, loaded anew over its source.

    ``anew``: the package that is imported anew around it; it is its own, or one that has it.
    """
    source = mutated_source(package, mutant)
    path = folder / f"test_{mutant.module}.py"
    of_tests = package.replace("tetrarch", "tests", 1)
    with imported_anew(anew, anew.replace("tetrarch", "tests", 1)):
        broken = ModuleType(f"{package}.{mutant.module}")
        parent = import_module(package)
        sys.modules[broken.__name__] = broken
        exec(compile(source, f"<mutant of {mutant.module}>", "exec"), vars(broken))
        setattr(parent, mutant.module, broken)
        tests = ModuleType(f"{of_tests}.mutant_of_{mutant.module}")
        sys.modules[tests.__name__] = tests  # dataclasses and hypothesis look there
        vars(tests)["__file__"] = str(path)
        exec(compile(path.read_text(), str(path), "exec"), vars(tests))
        yield tests


def assert_unchanged_holds(
    package: str, folder: Path, module: str, *, anew: str | None = None
) -> None:
    """The way of loading breaks no claim by itself: all hold for the true source."""
    first_line = source_of(f"{package}.{module}").partition("\n")[0]
    same = Mutant("none", module, first_line, first_line)
    with loaded(package, folder, same, anew or package) as tests:
        all_claims = list(claims(tests))
        assert all_claims
        assert not any(fails(claim) for claim in all_claims)


def assert_killed(package: str, folder: Path, mutant: Mutant, *, anew: str | None = None) -> None:
    """An explicit claim of the module's own tests fails for the mutant."""
    with loaded(package, folder, mutant, anew or package) as tests:
        assert any(fails(claim) for claim in claims(tests)), "no explicit claim fails"
