"""Slots, epochs, and the wall-clock time at which a slot begins. Pure.

A slot is a span of ``slot_duration_s``, numbered from 0 at the chain's start; an epoch is so many slots. A block has
the date "EPOCH.SLOT", with the slot counted within its epoch. Sources: the reference's time frames and eras.
"""

from dataclasses import dataclass, replace
from typing import Final, Self

from tetrarch.errors import InputInvalid, invariant

NUMBER_MAX: Final = 2**32 - 1  # of epochs, and of slots in one
SLOT_DURATION_S_MAX: Final = 600.0


class DateInvalid(InputInvalid):
    """Text that is no date of a block, or a date that no block of the chain can have."""

    code = "block_date_invalid"


@dataclass(frozen=True, slots=True, order=True)
class BlockDate:
    """Earlier dates are smaller."""

    epoch: int
    slot: int  # within the epoch

    def __str__(self) -> str:
        return f"{self.epoch}.{self.slot}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "EPOCH.SLOT".

        Raises:
            DateInvalid: it is something else.
        """
        parts = text.split(".")
        if len(parts) != 2 or not all(part.isascii() and part.isdecimal() for part in parts):
            raise DateInvalid("read date", got=text[:40], expected="EPOCH.SLOT")
        if any(len(part) > 10 or int(part) > NUMBER_MAX for part in parts):
            raise DateInvalid("read date", got=text[:40], maximum=NUMBER_MAX)
        return cls(int(parts[0]), int(parts[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Era:
    """Epochs of one length, from ``epoch_start`` on, which begins with slot ``slot_start`` of the chain."""

    slots_per_epoch: int
    epoch_start: int = 0
    slot_start: int = 0

    def date(self, slot: int) -> BlockDate:
        """Of a slot of the chain, in this era or after it."""
        invariant(slot >= self.slot_start, "a slot before its era has another")
        epochs, rest = divmod(slot - self.slot_start, self.slots_per_epoch)
        return BlockDate(self.epoch_start + epochs, rest)

    def slot(self, date: BlockDate) -> int:
        """The chain's slot of a date.

        Raises:
            DateInvalid: its epoch is before this era, or has no such slot.
        """
        if date.epoch < self.epoch_start or date.slot >= self.slots_per_epoch:
            raise DateInvalid(
                "place date",
                date=str(date),
                slots_per_epoch=self.slots_per_epoch,
                epoch_start=self.epoch_start,
            )
        epochs = date.epoch - self.epoch_start
        return self.slot_start + epochs * self.slots_per_epoch + date.slot

    def after(self, epoch: int, slots_per_epoch: int) -> Self:
        """The era that begins with ``epoch``, with epochs of another length."""
        return replace(
            self,
            slots_per_epoch=slots_per_epoch,
            epoch_start=epoch,
            slot_start=self.slot(BlockDate(epoch, 0)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeFrame:
    """When slots begin. ``start_s``, in Unix time, is the beginning of slot ``slot_start``."""

    start_s: float
    slot_duration_s: float
    slot_start: int = 0

    def slot_at(self, unix_s: float) -> int | None:
        """The chain's slot at that time; None: before this frame."""
        if unix_s < self.start_s:
            return None
        # Rounding must not put the first moment of a slot into the one before.
        slots = int((unix_s - self.start_s) / self.slot_duration_s)
        while self.starts_s(self.slot_start + slots + 1) <= unix_s:
            slots += 1
        while self.starts_s(self.slot_start + slots) > unix_s:
            slots -= 1
        return self.slot_start + slots

    def starts_s(self, slot: int) -> float:
        """When a slot of this frame begins, in Unix time."""
        invariant(slot >= self.slot_start, "a slot before its frame has another")
        return self.start_s + (slot - self.slot_start) * self.slot_duration_s

    def after(self, slot: int, slot_duration_s: float) -> Self:
        """The frame that begins with ``slot``, with slots of another length."""
        return replace(
            self, start_s=self.starts_s(slot), slot_duration_s=slot_duration_s, slot_start=slot
        )
