"""The beacon API's answers to "who does what in this epoch"."""

from collections.abc import Collection
from dataclasses import dataclass

from tetrarch.ethereum.devchain.committees import committees_of_epoch, proposers_of_epoch
from tetrarch.ethereum.devchain.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class AttesterAssignment:
    """One validator's place in its committee."""

    validator_index: int
    slot: int
    committee_index: int
    committee_length: int
    committees_at_slot: int
    place: int


def attester_assignments(
    state: State, epoch: int, wanted: Collection[int] | None = None
) -> list[AttesterAssignment]:
    """Assignments in ``epoch``, at most one after the state's; of all validators by default."""
    first = state.rules.first_slot(epoch)
    chosen = None if wanted is None else set(wanted)
    return [
        AttesterAssignment(
            validator_index=validator,
            slot=first + offset,
            committee_index=index,
            committee_length=len(members),
            committees_at_slot=len(of_slot),
            place=place,
        )
        for offset, of_slot in enumerate(committees_of_epoch(state, epoch))
        for index, members in enumerate(of_slot)
        for place, validator in enumerate(members)
        if chosen is None or validator in chosen
    ]


def proposer_assignments(state: State, epoch: int) -> list[tuple[int, int]]:
    """(slot, validator) for every slot of ``epoch``; ``state`` is in it, or before it in Fulu."""
    rules = state.rules
    slots = rules.preset.slots_per_epoch
    if rules.is_fulu:
        start = (epoch - state.epoch) * slots
        proposers = tuple(state.proposer_lookahead[start : start + slots])
    else:
        proposers = proposers_of_epoch(state, epoch)
    return [(rules.first_slot(epoch) + offset, each) for offset, each in enumerate(proposers)]


def sync_committee_places(state: State, epoch: int) -> dict[int, list[int]]:
    """Places in the sync committee of ``epoch``, by validator; ``epoch`` is in this period or next."""
    period = state.rules.preset.epochs_per_sync_committee_period
    current = epoch // period == state.epoch // period
    committee = state.current_sync_committee if current else state.next_sync_committee
    places: dict[int, list[int]] = {}
    for place, key in enumerate(committee.pubkeys):
        index = state.index_of(key)
        if index is not None:
            places.setdefault(index, []).append(place)
    return places
