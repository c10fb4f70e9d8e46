"""Chance as a port: a generator that the node seeds, or that a simulation does."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

_T = TypeVar("_T")


class Drawing(Protocol):
    """What pure code asks of ``random.Random``."""

    def random(self) -> float:
        """At least 0 and below 1."""
        ...

    def sample(self, population: Sequence[_T], k: int) -> list[_T]:
        """``k`` different members of ``population``."""
        ...

    def randrange(self, stop: int, /) -> int:
        """At least 0 and below ``stop``."""
        ...
