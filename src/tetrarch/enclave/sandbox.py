"""What the host lets a process do to keep its memory to itself. Linux; elsewhere less.

Each measure is tried and reported by name (``protections.Protection``).
"""

import contextlib
import ctypes
import resource
import struct

from tetrarch.enclave.protections import Protection

_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_MCL_CURRENT = 1
_CLONE_NEWUTS, _CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET = 1 << 26, 1 << 27, 1 << 28, 1 << 30
_CAPABILITY_VERSION, _CAP_IPC_LOCK = 0x20080522, 14
_INFINITE = resource.RLIM_INFINITY


def protect_process() -> tuple[str, ...]:
    """Switch on what costs nothing, before any secret is read; return what worked."""
    active = []
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        active.append(Protection.NO_CORE)
    if _call("prctl", _PR_SET_DUMPABLE, 0):
        active.append(Protection.NOT_DUMPABLE)
    if _call("prctl", _PR_SET_NO_NEW_PRIVS, 1):
        active.append(Protection.NO_NEW_PRIVILEGES)
    return tuple(active)


def leave_host(*, keeps_files: bool) -> tuple[str, ...]:
    """Leave the host's network and the powers over the host; return what worked.

    Args:
        keeps_files: the process can also do without root's powers over files of others.
    """
    _raise_memory_limit()  # for ``lock_memory``: later this process cannot
    alone = _CLONE_NEWNET | _CLONE_NEWIPC | _CLONE_NEWUTS
    active: tuple[str, ...] = ()
    # Who may not do that can in a user namespace of its own, where no user is mapped. It leaves
    # root without powers over files of others, too.
    if _call("unshare", alone) or (keeps_files and _call("unshare", _CLONE_NEWUSER | alone)):
        active = (Protection.OWN_NETWORK,)
    if keeps_files and _drop_capabilities():
        active += (Protection.NO_CAPABILITIES,)
    return active


def lock_memory() -> tuple[str, ...]:
    """Keep what is in memory now out of swap, if the host's limit allows; call it with the keys in.

    Only the present pages: with all future ones, a small limit would end in a failed allocation.
    """
    return (Protection.MEMORY_LOCKED,) if _call("mlockall", _MCL_CURRENT) else ()


def _drop_capabilities() -> bool:
    """All but locking memory, which nobody else is concerned by."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)  # this thread
    for kept in (1 << _CAP_IPC_LOCK, 0):
        # Two halves of: effective, permitted, inheritable.
        halves = struct.pack("=6I", kept, kept, 0, 0, 0, 0)
        buffers = ctypes.create_string_buffer(header), ctypes.create_string_buffer(halves)
        if _call("capset", *(ctypes.addressof(buffer) for buffer in buffers)):
            return True
    return False


def _raise_memory_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    for limit in ((_INFINITE, _INFINITE), (hard, hard)):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_MEMLOCK, limit)
            return


def _call(name: str, *arguments: int) -> bool:
    try:
        function = getattr(ctypes.CDLL(None, use_errno=True), name)
    except (AttributeError, OSError):
        return False
    # prctl reads five words; unused ones must be zero.
    words = (*arguments, 0, 0, 0)[: 5 if name == "prctl" else len(arguments)]
    return bool(function(*(ctypes.c_ulong(word) for word in words)) == 0)
