"""How many members must say the same thing, and how many may fail or lie. Pure.

Any two quorums share a member that does not lie: at least f + 1 members in mode ``bft``, where f may
lie, and at least one in mode ``crash``, where nobody lies.
"""

from enum import StrEnum

MEMBERS_MIN = 2
MEMBERS_MAX = 256


class Mode(StrEnum):
    """What failing members may do."""

    BFT = "bft"  # anything; n >= 3f + 1
    CRASH = "crash"  # fall silent and come back, but never lie; n >= 2f + 1


def faulty_max(count: int, mode: Mode) -> int:
    """f: how many of ``count`` members may fail without harm."""
    return (count - 1) // (3 if mode is Mode.BFT else 2)


def liars_max(count: int, mode: Mode) -> int:
    """How many of ``count`` members may lie without harm."""
    return faulty_max(count, mode) if mode is Mode.BFT else 0


def quorum(count: int, mode: Mode) -> int:
    """q: the smallest number of which any two sets share one more than may lie.

    In ``bft`` ceil((n + f + 1) / 2), in ``crash`` floor(n / 2) + 1.
    """
    return (count + liars_max(count, mode)) // 2 + 1


def recovery_quorum(count: int, mode: Mode) -> int:
    """How many *other* members must answer an enclave that starts: n + f + 1 - q (f: liars).

    Of the n - 1 others, q - 1 keep each of its reservations. This many share f + 1 with any of
    those, so one that does not lie tells of it. One fewer is not enough.
    """
    return count + liars_max(count, mode) + 1 - quorum(count, mode)


def may_share_key(threshold: int, count: int, mode: Mode) -> bool:
    """Whether a key of which ``threshold`` members sign may sign for all of them.

    Not where nobody lies, nor where liars reach the threshold or a quorum does not. An enclave signs only
    what follows from a certified view, so more signatures than may lie prove it.
    """
    if mode is not Mode.BFT:
        return False
    return liars_max(count, mode) < threshold <= quorum(count, mode)
