"""What the host lets a process do to keep its memory to itself. Linux; elsewhere less.

Each measure is tried and reported by name, none is required: a later back end will be stricter.
"""

import ctypes
import resource

_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_MCL_CURRENT = 1


def protect_process() -> tuple[str, ...]:
    """Switch on what can be before any secret is read; return what worked.

    ``no_core``: a crash leaves no memory image. ``not_dumpable``: other processes of this user
    can neither trace this one nor read its memory. ``no_new_privileges``: exec gains nothing.
    """
    active = []
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        active.append("no_core")
    except (OSError, ValueError):
        pass
    if _call("prctl", _PR_SET_DUMPABLE, 0):
        active.append("not_dumpable")
    if _call("prctl", _PR_SET_NO_NEW_PRIVS, 1):
        active.append("no_new_privileges")
    return tuple(active)


def lock_memory() -> tuple[str, ...]:
    """Keep what is in memory now out of swap, if the host's limit allows; call it with the keys in.

    Only the present pages: with all future ones, a small limit would end in a failed allocation.
    """
    return ("memory_locked",) if _call("mlockall", _MCL_CURRENT) else ()


def _call(name: str, *arguments: int) -> bool:
    try:
        function = getattr(ctypes.CDLL(None, use_errno=True), name)
    except (AttributeError, OSError):
        return False
    # prctl reads five words; unused ones must be zero.
    words = (*arguments, 0, 0, 0)[: 5 if name == "prctl" else len(arguments)]
    return bool(function(*(ctypes.c_ulong(word) for word in words)) == 0)
