"""What keeps an enclave's keys in its process, by name; what a node may demand. Pure.

In a status a name may carry a version, as ``landlock:6``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Protection(StrEnum):
    """What a host may let a process switch on."""

    NO_CORE = "no_core"  # a crash leaves no memory image
    NOT_DUMPABLE = "not_dumpable"  # none of this user's processes traces it or reads its memory
    NO_NEW_PRIVILEGES = "no_new_privileges"  # a program that it starts gains nothing
    OWN_NETWORK = "own_network"  # a network namespace where nothing is up
    NO_CAPABILITIES = "no_capabilities"  # none of root's powers, but to lock memory
    LANDLOCK = "landlock"  # it opens only the files that it was given
    SECCOMP = "seccomp"  # it makes only system calls that it needs
    MEMORY_LOCKED = "memory_locked"  # its keys are not written to swap


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """What an enclave may touch from its first moment on, and what it must be protected by.

    ``writable``: folders, with all in them; ``readable``: folders whose files may be read, or
    files. What is not there when the enclave starts is out of its reach later, too. ``tpm``: a
    device or socket that is opened before and stays open.
    """

    writable: tuple[Path, ...] = ()
    readable: tuple[Path, ...] = ()
    required: tuple[Protection, ...] = ()
    tpm: Path | None = None


def missing(demanded: Iterable[Protection], active: Iterable[str]) -> tuple[Protection, ...]:
    """Those of ``demanded`` that are not ``active``."""
    names = {name.partition(":")[0] for name in active}
    return tuple(protection for protection in demanded if protection.value not in names)
