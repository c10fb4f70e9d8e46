"""Every code of the table has its case; the docs page is the table."""

import pytest
from tests.duties.pages import REASONS_PAGE, reasons_table, with_generated

from tetrarch.duties.duty import DutyType
from tetrarch.duties.failure_reasons import (
    FETCH_EDGE,
    NOT_INCLUDED,
    OTHER_HEAD,
    REASONS,
    RESTS_ON,
    STORE_EXTERNAL_EDGE,
    Progress,
    Related,
    failure_reason,
)
from tetrarch.duties.report import Step

S = Step
UP_TO = {last: frozenset(list(Step)[: place + 1]) for place, last in enumerate(Step)}
DONE = Progress(steps=UP_TO[S.AGGREGATED], is_done=True)
_PROPOSER, _AGGREGATOR = DutyType.PROPOSER, DutyType.AGGREGATOR
_CONTRIBUTION = DutyType.SYNC_CONTRIBUTION


def progress(*steps: Step, failed: str = "", roots_differ: bool = False) -> Progress:
    return Progress(
        steps=frozenset(steps),
        failed_edges=frozenset([failed]) if failed else frozenset(),
        roots_differ=roots_differ,
    )


def own(last: Step, *, failed: str = "", roots_differ: bool = False) -> Progress:
    return progress(*UP_TO[last], failed=failed, roots_differ=roots_differ)


WAITING = progress(S.SCHEDULED, failed=FETCH_EDGE)
SIGNED = progress(S.SCHEDULED, S.SIGNED)
FEW = progress(S.SCHEDULED, S.SIGNED, S.EXCHANGED)
STUCK = progress(S.SCHEDULED, S.SIGNED, S.EXCHANGED, S.THRESHOLD)

OWN_CASES = [
    (DutyType.ATTESTER, progress(), "not_scheduled"),
    (DutyType.ATTESTER, WAITING, "fetch_bn_error"),
    (DutyType.SYNC_MESSAGE, WAITING, "fetch_bn_error"),
    (DutyType.ATTESTER, progress(S.SCHEDULED), "bug_fetch_error"),
    (DutyType.ATTESTER, progress(S.SCHEDULED, failed="consensus"), "no_consensus"),
    (DutyType.ATTESTER, own(S.FETCHED), "no_consensus"),
    (DutyType.ATTESTER, own(S.DECIDED), "bug_duty_db_error"),
    (DutyType.ATTESTER, own(S.STORED), "no_local_vc_signature"),
    # Peers' partials came, but ours was never made: that is the first thing to mend.
    (
        DutyType.ATTESTER,
        progress(S.SCHEDULED, S.FETCHED, S.DECIDED, S.STORED, S.EXCHANGED),
        "no_local_vc_signature",
    ),
    (DutyType.RANDAO, progress(S.SCHEDULED), "no_local_vc_signature"),
    (DutyType.SYNC_MESSAGE, own(S.FETCHED), "no_local_vc_signature"),
    (DutyType.ATTESTER, own(S.SIGNED), "no_peer_signatures"),
    (
        DutyType.ATTESTER,
        own(S.SIGNED, failed="consensus>signer.sign"),
        "bug_par_sig_db_internal",
    ),
    (DutyType.ATTESTER, own(S.EXCHANGED), "insufficient_peer_signatures"),
    (
        DutyType.ATTESTER,
        own(S.EXCHANGED, failed=STORE_EXTERNAL_EDGE),
        "bug_par_sig_db_external",
    ),
    (DutyType.ATTESTER, own(S.EXCHANGED, roots_differ=True), "bug_par_sig_db_inconsistent"),
    (DutyType.SYNC_MESSAGE, own(S.EXCHANGED, roots_differ=True), "par_sig_db_inconsistent_sync"),
    (DutyType.ATTESTER, own(S.THRESHOLD), "bug_sig_agg"),
    (DutyType.RANDAO, own(S.AGGREGATED), "bug_aggregation_error"),
    (DutyType.ATTESTER, own(S.AGGREGATED), "broadcast_bn_error"),
    (DutyType.ATTESTER, own(S.SUBMITTED), NOT_INCLUDED),
    (DutyType.INFO_SYNC, own(S.SCHEDULED), "too_few_statements"),
    (DutyType.INFO_SYNC, own(S.FETCHED), "no_consensus"),
    (DutyType.INFO_SYNC, own(S.DECIDED), "agreement_not_stored"),
]


@pytest.mark.parametrize(("duty_type", "found", "reason"), OWN_CASES)
def test_furthest_step_says_why(duty_type: DutyType, found: Progress, reason: str) -> None:
    assert failure_reason(duty_type, found, Related()) == reason


RELATED_CASES = [
    (_PROPOSER, {}, "proposer_zero_randaos"),
    (_PROPOSER, {DutyType.RANDAO: progress(S.SCHEDULED)}, "proposer_zero_randaos"),
    (_PROPOSER, {DutyType.RANDAO: SIGNED}, "proposer_no_external_randaos"),
    (_PROPOSER, {DutyType.RANDAO: FEW}, "proposer_insufficient_randaos"),
    (_PROPOSER, {DutyType.RANDAO: STUCK}, "failed_proposer_randao"),
    (_PROPOSER, {DutyType.RANDAO: DONE}, "fetch_bn_error"),
    (_AGGREGATOR, {}, "zero_aggregator_prepares"),
    (_AGGREGATOR, {DutyType.PREPARE_AGGREGATOR: SIGNED}, "no_aggregator_selections"),
    (_AGGREGATOR, {DutyType.PREPARE_AGGREGATOR: FEW}, "insufficient_aggregator_selections"),
    (_AGGREGATOR, {DutyType.PREPARE_AGGREGATOR: STUCK}, "failed_aggregator_selection"),
    (_AGGREGATOR, {DutyType.PREPARE_AGGREGATOR: DONE}, "missing_aggregator_attestation"),
    (
        _AGGREGATOR,
        {DutyType.PREPARE_AGGREGATOR: DONE, DutyType.ATTESTER: own(S.DECIDED)},
        "missing_aggregator_attestation",
    ),
    (
        _AGGREGATOR,
        {DutyType.PREPARE_AGGREGATOR: DONE, DutyType.ATTESTER: own(S.STORED)},
        "fetch_bn_error",
    ),
    (_CONTRIBUTION, {}, "sync_contribution_zero_prepares"),
    (
        _CONTRIBUTION,
        {DutyType.PREPARE_SYNC_CONTRIBUTION: SIGNED},
        "sync_contribution_no_external_prepares",
    ),
    (
        _CONTRIBUTION,
        {DutyType.PREPARE_SYNC_CONTRIBUTION: FEW},
        "sync_contribution_few_prepares",
    ),
    (
        _CONTRIBUTION,
        {DutyType.PREPARE_SYNC_CONTRIBUTION: STUCK},
        "sync_contribution_failed_prepare",
    ),
    (
        _CONTRIBUTION,
        {DutyType.PREPARE_SYNC_CONTRIBUTION: DONE},
        "sync_contribution_no_sync_msg",
    ),
    (
        _CONTRIBUTION,
        {DutyType.PREPARE_SYNC_CONTRIBUTION: DONE, DutyType.SYNC_MESSAGE: DONE},
        "fetch_bn_error",
    ),
]


@pytest.mark.parametrize(("duty_type", "related", "reason"), RELATED_CASES)
def test_duty_that_could_not_be_fetched_may_have_failed_before(
    duty_type: DutyType, related: dict[DutyType, Progress], reason: str
) -> None:
    assert failure_reason(duty_type, WAITING, Related(by_type=related)) == reason


def test_every_code_but_the_last_resort_has_a_case() -> None:
    covered = {reason for *_, reason in OWN_CASES + RELATED_CASES}
    covered.add(OTHER_HEAD)  # the chain says so, not a step: see test_tracker
    assert covered == set(REASONS) - {"unknown"}


@pytest.mark.parametrize("duty_type", set(DutyType) - {DutyType.BUILDER_PROPOSER})
@pytest.mark.parametrize("last", list(Step))
def test_every_duty_has_a_code_of_the_table_wherever_it_got_stuck(
    duty_type: DutyType, last: Step
) -> None:
    for found in (own(last), progress(last), own(last, failed=FETCH_EDGE)):
        assert failure_reason(duty_type, found, Related()) in set(REASONS) - {"unknown"}


def test_duties_rest_on_duties_of_other_types() -> None:
    assert all(kind not in others for kind, others in RESTS_ON.items())


def test_page_is_the_table() -> None:
    page = REASONS_PAGE.read_text()
    assert page == with_generated(page, reasons_table()), "run python -m tests.duties.pages"
