"""Each of these broken rules must fail a test of ``test_priority``: a survivor is a hole in it.

A mutant is the source of ``consensus.priority`` with one piece of text replaced, and the tests
are loaded anew over it. Equal text must occur exactly once, so a mutant cannot rot silently.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import Phase, settings

RULES = "tests.consensus.test_priority"
MUTATED = "tetrarch.consensus.priority"


@dataclass(frozen=True)
class Mutant:
    name: str
    old: str
    new: str


MUTANTS = (
    Mutant(
        "one supporter less", "len(sources[name]) >= needed", "len(sources[name]) >= needed - 1"
    ),
    Mutant("one supporter more", "len(sources[name]) >= needed", "len(sources[name]) > needed"),
    Mutant(
        "ties by arrival",
        "key=lambda name: (-points[name], name)",
        "key=lambda name: -points[name]",
    ),
    Mutant("worst first", "(-points[name], name)", "(points[name], name)"),
    Mutant("place does not count", "POINTS - place", "POINTS"),
    Mutant("topics are mixed", "if each.name != topic:", "if not each.name:"),
    Mutant(
        "a source counts twice",
        'invariant(len(set(sources)) == len(sources), "each',
        'invariant(True, "each',
    ),
    Mutant("duties are mixed", "invariant(len(duties) == 1,", "invariant(len(duties) >= 1,"),
    Mutant(
        "a name twice in a topic",
        "len(set(self.priorities)) != len(self.priorities)",
        "not self.name",
    ),
    Mutant("topics in any order", "if names != sorted(set(names)):", "if not names:"),
    Mutant(
        "signatures are not checked",
        "if not self._identity.verify(",
        "if self is None and not self._identity.verify(",
    ),
    Mutant("cluster is not signed", "return sha256(self._prefix + body)", "return sha256(body)"),
    Mutant(
        "ballot of one less",
        "if len(sources) < quorum(self._node_count):",
        "if len(sources) < quorum(self._node_count) - 1:",
    ),
    Mutant(
        "ballot names one twice", "sources != sorted(set(sources))", "sources != sorted(sources)"
    ),
    Mutant(
        "ballot in any order",
        "sources != sorted(set(sources))",
        "len(set(sources)) != len(sources)",
    ),
    Mutant(
        "old statements in a ballot",
        "if any(signed.statement.duty != duty",
        "if any(signed.statement.duty is None",
    ),
    Mutant(
        "ballot of another duty",
        "(version, slot, duty_type) != (BALLOT_VERSION, duty.slot, duty.type)",
        "version != BALLOT_VERSION",
    ),
    Mutant(
        "ballot of another version",
        "(version, slot, duty_type) != (BALLOT_VERSION, duty.slot, duty.type)",
        "(slot, duty_type) != (duty.slot, duty.type)",
    ),
    Mutant("bytes behind a ballot", "if at != len(data) or", "if"),
    Mutant(
        "bytes behind a statement",
        "if self._at != len(self._data):",
        "if self._at > len(self._data):",
    ),
    Mutant("any source", "if statement.source >= self._node_count:", "if statement.source < 0:"),
    Mutant(
        "any name",
        "if not 0 < len(name) <= NAME_SIZE_BYTES_MAX or not (name.isascii() and name.isprintable()):",
        "if not name:",
    ),
)


@contextmanager
def _mutated(mutant: Mutant) -> Iterator[ModuleType]:
    names = (MUTATED, RULES)
    settings.register_profile("mutants", phases=[Phase.generate], max_examples=50, database=None)
    before = settings.get_current_profile_name()
    settings.load_profile("mutants")
    kept = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    try:
        for name in names:
            spec = find_spec(name)
            assert spec is not None
            assert spec.origin is not None
            source = Path(spec.origin).read_text()
            if name == MUTATED:
                assert source.count(mutant.old) == 1, mutant
                source = source.replace(mutant.old, mutant.new)
            module = sys.modules[name] = ModuleType(name)
            exec(compile(source, spec.origin, "exec"), module.__dict__)
        yield sys.modules[RULES]
    finally:
        settings.load_profile(before)
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(kept)


def _cases(test: Callable[..., None]) -> list[tuple[object, ...]]:
    """The arguments of a test's every case."""
    for mark in getattr(test, "pytestmark", ()):
        plural = "," in mark.args[0] if isinstance(mark.args[0], str) else len(mark.args[0]) > 1
        return [tuple(each) if plural else (each,) for each in mark.args[1]]
    return [()]


def _fails_a_rule(rules: ModuleType) -> bool:
    for name, test in vars(rules).items():
        if not name.startswith("test_"):
            continue
        for case in _cases(test):
            try:
                test(*case)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                return True
    return False


def test_unbroken_rules_pass() -> None:
    assert not _fails_a_rule(sys.modules.get(RULES) or __import__(RULES, fromlist=["_"]))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_fails_a_rule(mutant: Mutant) -> None:
    with _mutated(mutant) as rules:
        assert _fails_a_rule(rules), mutant.name
