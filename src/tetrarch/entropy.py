"""Randomness as a port: the system's in production, a seeded stream in the simulator."""

import os
from typing import Protocol


class Entropy(Protocol):
    """A source of unpredictable bytes. Pure code takes one as an argument."""

    def __call__(self, size_bytes: int, /) -> bytes:
        """Return ``size_bytes`` fresh random bytes."""
        ...


def system_entropy(size_bytes: int, /) -> bytes:
    """Return ``size_bytes`` bytes of the kernel's generator."""
    return os.urandom(size_bytes)  # noqa: TID251 - this is the one place
