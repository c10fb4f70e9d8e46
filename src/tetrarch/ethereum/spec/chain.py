"""What the node must know of one beacon chain: its times, sizes and forks."""

from dataclasses import dataclass

from tetrarch.ethereum.spec.domains import ForkSchedule
from tetrarch.ethereum.spec.values import Fork


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainSpec:
    """One chain's constants, read once from the beacon node (or made up by a test).

    ``preset`` is ``mainnet`` or ``minimal``. Slots start ``slot_duration_ms`` apart, slot 0 at
    ``genesis_time_s`` (Unix seconds).
    """

    preset: str
    genesis_time_s: int
    slot_duration_ms: int
    slots_per_epoch: int
    forks: ForkSchedule

    def epoch_of(self, slot: int) -> int:
        """The epoch that ``slot`` belongs to."""
        return slot // self.slots_per_epoch

    def first_slot(self, epoch: int) -> int:
        """The first slot of ``epoch``."""
        return epoch * self.slots_per_epoch

    def fork_at_slot(self, slot: int) -> Fork:
        """The fork in force at ``slot``."""
        return self.forks.at(self.epoch_of(slot)).fork

    def slot_start_s(self, slot: int) -> float:
        """Unix seconds at which ``slot`` starts."""
        return self.genesis_time_s + slot * self.slot_duration_ms / 1000

    def slot_at(self, wall_s: float) -> int:
        """The slot in progress at ``wall_s``; negative before genesis."""
        return int((wall_s - self.genesis_time_s) * 1000 // self.slot_duration_ms)
