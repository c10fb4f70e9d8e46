"""What beacon nodes answered for an epoch, kept until a reorg can have changed it. Pure.

An epoch's duties are drawn from the chain up to a *deciding slot*; a reorg that replaces blocks
at or after it may draw them anew:

* attesters: the last slot of the epoch before the one before (``E - 1`` begins after it);
* proposers: the last slot before the epoch. From Fulu on they are known an epoch earlier; the later
  slot is the cautious one;
* sync committees: drawn a whole period ahead; asked again all the same;
* validators, read from the head: any reorg.

The cache is bounded: ``EPOCHS_MAX`` epochs and ``PER_EPOCH_MAX`` answers in each, the oldest go first.
"""

from collections.abc import Hashable
from enum import Enum

from tetrarch.ethereum.beacon_node.ports import AttesterDuties

EPOCHS_MAX = 4
PER_EPOCH_MAX = 16


class Kind(Enum):
    """What is kept; the value says how many epochs before its own the deciding slot ends."""

    ATTESTERS = 1
    PROPOSERS = 0
    SYNC = 2
    VALIDATORS = -1  # of the head: decided as late as can be


class EpochCache:
    """Answers by epoch, kind and arguments."""

    def __init__(self) -> None:
        self._epochs: dict[int, dict[tuple[Kind, Hashable], object]] = {}
        self.generation = 0  # grows with every reorg: an answer asked for before it is not kept

    def get(self, kind: Kind, epoch: int, arguments: Hashable) -> object | None:
        """The kept answer, or None."""
        return self._epochs.get(epoch, {}).get((kind, arguments))

    def put(
        self, kind: Kind, epoch: int, arguments: Hashable, answer: object, *, generation: int
    ) -> None:
        """Keep ``answer``, unless a reorg came after ``generation``, when it was asked for."""
        if generation != self.generation:
            return
        answers = self._epochs.setdefault(epoch, {})
        answers[kind, arguments] = answer
        while len(answers) > PER_EPOCH_MAX:
            del answers[next(iter(answers))]
        while len(self._epochs) > EPOCHS_MAX:
            del self._epochs[min(self._epochs)]

    def reorganized(self, *, ancestor_slot: int, slots_per_epoch: int) -> int:
        """Forget what blocks after ``ancestor_slot`` can have decided; how many answers that were."""
        self.generation += 1
        forgotten = 0
        for epoch, answers in self._epochs.items():
            stale = [
                key
                for key in answers
                if deciding_slot(key[0], epoch, slots_per_epoch) >= ancestor_slot
            ]
            for key in stale:
                del answers[key]
            forgotten += len(stale)
        return forgotten

    def head_seen(self, epoch: int, *, previous_root: bytes, current_root: bytes) -> int:
        """Forget attester duties that were drawn on another chain than the head's.

        For a reorg that nobody told of. ``epoch`` is the head's; its attesters depend on
        ``previous_root``, those of the next epoch on ``current_root``. Returns how many were dropped.
        """
        forgotten = 0
        for of_epoch, root in ((epoch, previous_root), (epoch + 1, current_root)):
            answers = self._epochs.get(of_epoch, {})
            stale = [
                key
                for key, answer in answers.items()
                if isinstance(answer, AttesterDuties) and answer.dependent_root != root
            ]
            for key in stale:
                del answers[key]
            forgotten += len(stale)
        return forgotten


def deciding_slot(kind: Kind, epoch: int, slots_per_epoch: int) -> int:
    """The last slot whose block has a say in the answer."""
    return (epoch - kind.value) * slots_per_epoch - 1
