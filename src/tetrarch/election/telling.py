"""What the log says of a member that shows itself. For every kind of session."""

from tetrarch.election.hello import Appraisal
from tetrarch.election.sessions import ConfigurationDiffers
from tetrarch.errors import TetrarchError
from tetrarch.observability.logs import Log

DIFFERENCE_MEND = "start all members with the same list of members, mode, rule and lease"


def tell_evidence(log: Log, member: str, appraisal: Appraisal) -> None:
    """What became of a member's evidence, where any was asked for."""
    if appraisal.refusal:
        log.warning("election_member_unattested", member=member, why=appraisal.refusal)
    elif appraisal.back_end:
        log.info(
            "election_member_attested",
            member=member,
            back_end=appraisal.back_end,
            measurement=appraisal.measurement,
            details=appraisal.details,
        )


def tell_refusal(log: Log, member: str, error: TetrarchError) -> None:
    """A member, or who says to be one, is not heard."""
    mend = {"mend": DIFFERENCE_MEND} if isinstance(error, ConfigurationDiffers) else {}
    log.warning(
        "election_member_refused", member=member, code=error.code, reason=str(error), **mend
    )
