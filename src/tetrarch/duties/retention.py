"""What is deleted when: one row per database and kind of duty. Pure; docs show this table.

Slashing history stands here too, to say that it is never deleted by age alone: the enclave
prunes only what EIP-3076's minimum watermarks make redundant.
"""

from dataclasses import dataclass

from tetrarch.duties.types import DutyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Rows of ``database`` for ``duty_types`` are kept ``epochs`` after their slot's epoch."""

    database: str
    duty_types: tuple[DutyType, ...]
    epochs: int | None  # None: never deleted by age
    reason: str


_DECIDED = (DutyType.ATTESTER, DutyType.PROPOSER, DutyType.AGGREGATOR, DutyType.SYNC_CONTRIBUTION)
_SIGNED_ONLY = (
    DutyType.RANDAO,
    DutyType.PREPARE_AGGREGATOR,
    DutyType.SYNC_MESSAGE,
    DutyType.PREPARE_SYNC_CONTRIBUTION,
    DutyType.SIGNATURE,
)
_LASTING = (DutyType.EXIT, DutyType.BUILDER_REGISTRATION)

RETENTION: tuple[Retention, ...] = (
    Retention(
        database="dutydb",
        duty_types=_DECIDED,
        epochs=3,
        reason="an attestation may be included for two epochs; one more to look back",
    ),
    Retention(
        database="parsigdb",
        duty_types=(*_DECIDED, *_SIGNED_ONLY),
        epochs=3,
        reason="late partials are counted until their duty's deadline",
    ),
    Retention(
        database="parsigdb",
        duty_types=_LASTING,
        epochs=None,
        reason="an exit or registration has no deadline; bounded in count, not by age",
    ),
    Retention(
        database="aggsigdb",
        duty_types=(*_DECIDED, *_SIGNED_ONLY),
        epochs=3,
        reason="a restarted node may ask again for what the group signed",
    ),
    Retention(
        database="aggsigdb",
        duty_types=_LASTING,
        epochs=None,
        reason="a signed exit must stay available until it is on chain",
    ),
    Retention(
        database="votes",
        duty_types=(*_DECIDED, DutyType.INFO_SYNC),
        epochs=3,
        reason="a restarted node must not vote differently in an open instance",
    ),
    Retention(
        database="info_sync",
        duty_types=(DutyType.INFO_SYNC,),
        epochs=100,
        reason="to look back; the newest holds, and stays however old it is",
    ),
    Retention(
        database="duty_reports",
        duty_types=(*_DECIDED, *_SIGNED_ONLY, *_LASTING, DutyType.INFO_SYNC),
        epochs=225,
        reason="a day on mainnet to explain what became of a duty; nothing else reads them",
    ),
    Retention(
        database="slashing_history",
        duty_types=(DutyType.ATTESTER, DutyType.PROPOSER),
        epochs=None,
        reason="never by age alone: only below EIP-3076's watermarks",
    ),
)


def kept_epochs(database: str, duty_type: DutyType) -> int | None:
    """Epochs that rows of ``duty_type`` stay in ``database``; None where age deletes nothing."""
    for row in RETENTION:
        if row.database == database and duty_type in row.duty_types:
            return row.epochs
    return None
