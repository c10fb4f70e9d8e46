"""Locks an enclave's process, in the order in which each step leaves the next one possible.

After ``confine`` nothing new can be loaded: neither modules nor libraries. So whatever is loaded
late by habit is loaded by ``_prepare`` before.
"""

import contextlib
import ctypes
import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.backends import default_backend

from tetrarch.enclave import landlock, sandbox, seccomp
from tetrarch.enclave.protections import Confinement, Protection


def confine(confinement: Confinement) -> tuple[str, ...]:
    """Lock this process for good; for a process with one thread, before it reads a secret.

    What the kernel lacks is left out. Cost: about 5 ms.

    Returns:
        what is active, by name; see ``protections.Protection``.
    """
    _prepare()
    writable = [path for path in confinement.writable if path.exists()]
    readable = [path for path in confinement.readable if path.exists()]
    active = list(sandbox.leave_host(keeps_files=_needs_no_powers((*writable, *readable))))
    # New credentials may make a process dumpable again.
    active += sandbox.protect_process()
    # A container may forbid what its kernel has.
    with contextlib.suppress(OSError):
        if version := landlock.restrict(writable=writable, readable=readable):
            active.append(f"{Protection.LANDLOCK}:{version}")
    with contextlib.suppress(OSError):
        if seccomp.restrict():
            active.append(Protection.SECCOMP)
    return tuple(active)


def _prepare() -> None:
    default_backend()  # imported at the first key
    hashlib.scrypt(b"", salt=b"", n=2, r=1, p=1)  # OpenSSL reads its configuration
    with contextlib.suppress(OSError):
        ctypes.CDLL("libgcc_s.so.1")  # for the C library, when a thread ends


def _needs_no_powers(paths: Iterable[Path]) -> bool:
    """Whether root could reach all of ``paths`` as any other user could who owns them."""
    if os.geteuid() != 0:
        return True
    return all(_is_reachable(path) for path in paths)


def _is_reachable(path: Path) -> bool:
    resolved = path.resolve()
    own = os.geteuid()
    for ancestor in resolved.parents:
        status = ancestor.stat()
        if status.st_uid != own and not status.st_mode & stat.S_IXOTH:
            return False
    inside = resolved.iterdir() if resolved.is_dir() else ()
    return all(each.stat().st_uid == own for each in (resolved, *inside))
