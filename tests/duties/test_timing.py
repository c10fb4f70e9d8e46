"""Offsets and deadlines, figure by figure."""

import pytest
from tests.duties.duty_world import CHAIN, GENESIS_S

from tetrarch.duties.timing import (
    LASTING_TYPES,
    PREPARED_SLOTS_AHEAD,
    PREPARED_TYPES,
    deadline_s,
    exchange_s,
    may_speak_of,
    rounds_start_s,
    start_offset_ms,
    start_s,
    start_slot,
)
from tetrarch.duties.types import DeprecatedDutyBuilderProposer, Duty, DutyType


@pytest.mark.parametrize(
    ("duty_type", "offset_ms"),
    [
        (DutyType.ATTESTER, 4_000),
        (DutyType.AGGREGATOR, 8_000),
        (DutyType.SYNC_CONTRIBUTION, 8_000),
        (DutyType.PROPOSER, 0),
        (DutyType.RANDAO, 0),
    ],
)
def test_work_begins_at_the_offset(duty_type: DutyType, offset_ms: int) -> None:
    assert start_offset_ms(duty_type, slot_duration_ms=12_000) == offset_ms
    assert start_s(Duty(3, duty_type), CHAIN) == GENESIS_S + 36 + offset_ms / 1000


@pytest.mark.parametrize(
    ("duty_type", "lifetime_s"),
    [
        (DutyType.PROPOSER, 4 + 1),
        (DutyType.RANDAO, 4 + 1),
        (DutyType.SYNC_MESSAGE, 12 + 1),
        (DutyType.ATTESTER, 8 * 12 + 1),
        (DutyType.PREPARE_AGGREGATOR, 16 * 12 + 1),
        (DutyType.INFO_SYNC, 12 + 1),
    ],
)
def test_duty_ends_after_its_lifetime_and_a_twelfth_of_a_slot(
    duty_type: DutyType, lifetime_s: float
) -> None:
    assert deadline_s(Duty(2, duty_type), CHAIN) == pytest.approx(GENESIS_S + 24 + lifetime_s)


@pytest.mark.parametrize("duty_type", [DutyType.EXIT, DutyType.BUILDER_REGISTRATION])
def test_lasting_duties_never_end(duty_type: DutyType) -> None:
    assert deadline_s(Duty(2, duty_type), CHAIN) is None


def test_deprecated_duty_is_refused_by_name() -> None:
    with pytest.raises(DeprecatedDutyBuilderProposer):
        deadline_s(Duty(2, DutyType.BUILDER_PROPOSER), CHAIN)
    assert not may_speak_of(Duty(2, DutyType.BUILDER_PROPOSER), CHAIN, now_s=GENESIS_S)


def test_every_type_has_a_lifetime() -> None:
    for duty_type in DutyType:
        if duty_type is not DutyType.BUILDER_PROPOSER:
            deadline_s(Duty(0, duty_type), CHAIN)


def test_peers_may_speak_of_open_duties_up_to_two_epochs_ahead() -> None:
    now_s = GENESIS_S + 12 * 20
    assert may_speak_of(Duty(20, DutyType.ATTESTER), CHAIN, now_s=now_s)
    assert may_speak_of(Duty(39, DutyType.ATTESTER), CHAIN, now_s=now_s)
    assert not may_speak_of(Duty(40, DutyType.ATTESTER), CHAIN, now_s=now_s)
    assert not may_speak_of(Duty(11, DutyType.ATTESTER), CHAIN, now_s=now_s)
    assert not may_speak_of(Duty(19, DutyType.PROPOSER), CHAIN, now_s=now_s)


@pytest.mark.parametrize("duty_type", sorted(PREPARED_TYPES))
def test_selection_proofs_are_made_slots_ahead_in_the_quiet_half(duty_type: DutyType) -> None:
    assert start_slot(Duty(9, duty_type)) == 9 - PREPARED_SLOTS_AHEAD
    assert start_s(Duty(9, duty_type), CHAIN) == GENESIS_S + 6 * 12 + 6
    assert start_slot(Duty(1, duty_type)) == 0, "not before the chain"


def test_what_has_no_deadline_lasts() -> None:
    lasting = {each for each in DutyType if each is not DutyType.BUILDER_PROPOSER}
    lasting = {each for each in lasting if deadline_s(Duty(3, each), CHAIN) is None}
    assert lasting == LASTING_TYPES == {DutyType.EXIT, DutyType.BUILDER_REGISTRATION}


def test_rounds_of_an_agreement_begin_when_the_slowest_node_proposes() -> None:
    agreement = Duty(7, DutyType.INFO_SYNC)
    assert exchange_s(CHAIN) == 6
    assert rounds_start_s(agreement, CHAIN) == start_s(agreement, CHAIN) + 6
    vote = Duty(7, DutyType.ATTESTER)
    assert rounds_start_s(vote, CHAIN) == start_s(vote, CHAIN)
