"""Per duty: did it come, and in time?"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

SLOTS_KEPT = 4096


class DutyKind(StrEnum):
    """The duties that are reported."""

    ATTESTER = "attester"
    PROPOSER = "proposer"


class DutyStatus(StrEnum):
    """What became of a duty."""

    OPEN = "open"
    IN_TIME = "in_time"
    LATE = "late"
    MISSED = "missed"


@dataclass(slots=True, kw_only=True)
class DutyEntry:
    """One validator's duty in one slot; times are in ms since the slot began."""

    slot: int
    kind: DutyKind
    validator_index: int
    arrived_ms: int | None = None
    included_slot: int | None = None  # attestations: the block that carries it; proposals: itself

    def to_json(self, status: DutyStatus) -> dict[str, Any]:
        """As the report shows it."""
        return {
            "slot": self.slot,
            "type": self.kind.value,
            "validator_index": self.validator_index,
            "status": status.value,
            "arrived_ms": self.arrived_ms,
            "included_slot": self.included_slot,
        }


class DutyReports:
    """The duties of the last ``SLOTS_KEPT`` slots."""

    def __init__(self, slot_duration_ms: int) -> None:
        self._slot_ms = slot_duration_ms
        self._slots: dict[int, dict[tuple[DutyKind, int], DutyEntry]] = {}

    def expect(self, slot: int, kind: DutyKind, validators: tuple[int, ...]) -> None:
        """Note who has a duty in ``slot``."""
        entries = self._slots.setdefault(slot, {})
        for index in validators:
            entry = DutyEntry(slot=slot, kind=kind, validator_index=index)
            entries.setdefault((kind, index), entry)
        while len(self._slots) > SLOTS_KEPT:
            del self._slots[min(self._slots)]

    def arrived(self, slot: int, kind: DutyKind, validator: int, at_ms: int) -> None:
        """Note when a duty's message came first, in ms since its slot began."""
        entry = self._slots.get(slot, {}).get((kind, validator))
        if entry is not None and entry.arrived_ms is None:
            entry.arrived_ms = at_ms

    def included(self, slot: int, kind: DutyKind, validator: int, block_slot: int) -> None:
        """Note the earliest block that carries it."""
        entry = self._slots.get(slot, {}).get((kind, validator))
        if entry is not None and (entry.included_slot is None or entry.included_slot > block_slot):
            entry.included_slot = block_slot

    def status(self, entry: DutyEntry, now_ms: int) -> DutyStatus:
        """What became of it; ``now_ms`` is since the duty's slot began.

        An attestation is in time until two thirds of its slot (when aggregates are made), a
        block until one third (when it is voted on). A duty is missed one slot after its own.
        """
        if entry.arrived_ms is None:
            return DutyStatus.MISSED if now_ms >= 2 * self._slot_ms else DutyStatus.OPEN
        thirds = 2 if entry.kind is DutyKind.ATTESTER else 1
        limit_ms = self._slot_ms * thirds // 3
        return DutyStatus.IN_TIME if entry.arrived_ms <= limit_ms else DutyStatus.LATE

    def to_json(self, now_since_genesis_ms: int, *, from_slot: int = 0) -> list[dict[str, Any]]:
        """Every duty from ``from_slot`` on, by slot."""
        return [
            entry.to_json(self.status(entry, now_since_genesis_ms - slot * self._slot_ms))
            for slot in sorted(self._slots)
            if slot >= from_slot
            for entry in self._slots[slot].values()
        ]
