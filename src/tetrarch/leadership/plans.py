"""Whose epochs are to be scheduled: what a node knows at the end of its branch, by two triggers, each doing the work once. Pure.

    transition   the branch that counts goes on into another epoch, or is another one
    end          the clock says that the epoch is over, whether anybody made a block in it or not

Both look at the same: the epoch that the clock is in, and the next, which is known an epoch ahead; so the first slot of an
epoch is led as any other. Who leads an epoch is one value, so the same epoch with the same parameters is no news, and with
others is a new event, which takes the place of the old one.
"""

from dataclasses import dataclass
from typing import Final

from tetrarch.ledger.applying import Place, draft_upon, leaders_of, with_election
from tetrarch.ledger.dates import BlockDate, TimeFrame
from tetrarch.ledger.elections import Election
from tetrarch.ledger.leaders import Leaders

AHEAD: Final = 1  # epochs


@dataclass(frozen=True, slots=True)
class NewLeadership:
    """Who may make an epoch's blocks, and when its slots begin. Nothing of it is secret."""

    leaders: Leaders
    frame: TimeFrame

    @property
    def epoch(self) -> int:
        """That it is about."""
        return self.leaders.epoch

    @property
    def slots(self) -> int:
        """In the epoch."""
        return self.leaders.era.slots_per_epoch

    def slot_of(self, slot: int) -> int:
        """The chain's, of one of the epoch's."""
        return self.leaders.era.slot(BlockDate(self.epoch, slot))

    def starts_s(self, slot: int) -> float:
        """When a slot of the epoch begins, in Unix time."""
        return self.frame.starts_s(self.slot_of(slot))


class Plans:
    """What was told already."""

    def __init__(self) -> None:
        self._told: dict[int, NewLeadership] = {}

    def news(
        self, tip: Place, now_s: float, election: Election | None = None
    ) -> list[NewLeadership]:
        """What is to be scheduled that was not told before. Cost: where an epoch has no block yet, that of beginning it.

        ``election``: waits for the next block, and is news there.
        """
        settings = tip.settings
        slot = settings.frame.slot_at(now_s)
        epoch = 0 if slot is None else settings.era.date(slot).epoch
        for old in [each for each in self._told if each < epoch]:
            del self._told[old]
        found = []
        for each in range(epoch, epoch + AHEAD + 1):
            leadership = leadership_of(tip, each, election)
            if leadership is not None and self._told.get(each) != leadership:
                self._told[each] = leadership
                found.append(leadership)
        return found


def leadership_of(tip: Place, epoch: int, election: Election | None = None) -> NewLeadership | None:
    """Of an epoch, as seen from ``tip``; None: nobody's, or not known yet."""
    settings, before = tip.settings, tip.header.date.epoch
    if epoch <= before + 1:
        leaders = leaders_of(with_election(tip.layer.draft(), election), epoch)
    else:  # epochs without a block are passed over
        draft = draft_upon(tip, BlockDate(epoch, 0))
        leaders = leaders_of(with_election(draft, election), epoch)
    return None if leaders is None else NewLeadership(leaders, settings.frame)
