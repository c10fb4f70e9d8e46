"""Mutants: the source of one pure module with one piece of text replaced."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


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
