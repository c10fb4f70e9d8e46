"""Whether we sit on a fork that the nodes we believe have left, or they have gone on without us. Pure.

A chain that grows looks well from inside. So the operator's trusted nodes are asked where theirs ends;
what most of them say for a while, while ours says something else, is a reason to warn.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from tetrarch.network.overlay.profile import NodeId

DEPTH_MAX = 10  # blocks: any network has short forks
LASTING_S = 300.0


class Standing(Enum):
    """Where another's tip stands to our chain."""

    TOGETHER = "together"  # on our chain, or a fork no deeper than allowed
    AHEAD = "ahead"  # higher than ours by more than allowed, and not known here
    FORKED = "forked"  # known here, and it left our chain deeper than allowed


@dataclass(frozen=True, slots=True)
class ForkVerdict:
    """What most trusted nodes say, since when, and how many do."""

    standing: Standing
    nodes: int
    asked: int
    since_s: float


def standing_of(
    *, own_height: int, height: int, is_known: bool, fork_depth: int, depth_max: int = DEPTH_MAX
) -> Standing:
    """``fork_depth``: our blocks since the last one that is common; 0 if its tip is on our chain.

    Of a tip that is not known here the depth is not known either: only its height counts.
    """
    if is_known:
        return Standing.FORKED if fork_depth > depth_max else Standing.TOGETHER
    return Standing.AHEAD if height > own_height + depth_max else Standing.TOGETHER


class ForkWatch:
    """What trusted nodes said last, and since when most of them disagree with us."""

    def __init__(self, *, lasting_s: float = LASTING_S) -> None:
        self._lasting_s = lasting_s
        self._since_s: dict[Standing, float] = {}

    def look(self, told: Mapping[NodeId, Standing], *, now_s: float) -> ForkVerdict | None:
        """Judge by the newest answers of those that answered; None while all is well, or may be."""
        for standing in (Standing.AHEAD, Standing.FORKED):
            count = sum(each is standing for each in told.values())
            if 2 * count <= len(told):
                self._since_s.pop(standing, None)
                continue
            since_s = self._since_s.setdefault(standing, now_s)
            if now_s - since_s >= self._lasting_s:
                return ForkVerdict(standing, count, len(told), since_s)
        return None
