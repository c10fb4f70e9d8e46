"""What is deleted when: enough is kept, the history of signatures always, and the page says so."""

import pytest
from tests.duties.duty_world import CHAIN
from tests.duties.pages import RETENTION_PAGE, retention_table

from tetrarch.duties.retention import RETENTION, kept_epochs
from tetrarch.duties.timing import deadline_s
from tetrarch.duties.types import Duty, DutyType

TYPES = [each for each in DutyType if each is not DutyType.BUILDER_PROPOSER]


def test_page_shows_exactly_the_table() -> None:
    assert retention_table() in RETENTION_PAGE.read_text(), "run: python -m tests.duties.pages"


@pytest.mark.parametrize("row", RETENTION, ids=lambda row: f"{row.database}-{row.epochs}")
def test_nothing_is_deleted_while_its_duty_is_open(row) -> None:
    for duty_type in row.duty_types:
        last_slot = CHAIN.slots_per_epoch - 1  # the one whose duty ends last in its epoch
        ends_s = deadline_s(Duty(last_slot, duty_type), CHAIN)
        if row.epochs is not None and row.database != "duty_reports":  # no duty needs a report
            assert ends_s is not None, "what never ends is never deleted"
            # Rows of epoch 0 go once epoch ``epochs`` + 1 is resolved, in the slot before it.
            deleted_s = CHAIN.slot_start_s(CHAIN.first_slot(row.epochs + 1) - 1)
            assert ends_s <= deleted_s


def test_slashing_history_is_never_deleted_by_age() -> None:
    for duty_type in (DutyType.ATTESTER, DutyType.PROPOSER):
        assert kept_epochs("slashing_history", duty_type) is None


@pytest.mark.parametrize("database", ["parsigdb", "aggsigdb"])
def test_every_type_that_is_signed_has_one_row(database: str) -> None:
    for duty_type in TYPES:
        rows = [r for r in RETENTION if r.database == database and duty_type in r.duty_types]
        assert len(rows) == (0 if duty_type is DutyType.INFO_SYNC else 1), duty_type


def test_unknown_database_is_left_alone() -> None:
    assert kept_epochs("something", DutyType.ATTESTER) is None
