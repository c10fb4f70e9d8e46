"""Why a query of the workflow has no answer, by what the caller must do about it."""

from tetrarch.errors import TetrarchError, Transient


class DutyUnavailable(TetrarchError):
    """Base: the workflow has no answer for this duty."""

    code = "duty_unavailable"


class DutyNotResolved(DutyUnavailable, Transient):
    """The duty's epoch is not resolved yet: ask again later."""

    code = "duty_not_resolved"


class DutyNotFound(DutyUnavailable):
    """The epoch is resolved and no validator of the cluster has this duty."""

    code = "duty_not_found"


class DutyExpired(DutyUnavailable):
    """The duty's deadline has passed: nothing will come any more."""

    code = "duty_expired"


class FeeRecipientWrong(TetrarchError):
    """Our beacon node's block pays its fees to another address than the cluster's files say."""

    code = "fee_recipient_wrong"


class DutyTrimmed(DutyUnavailable):
    """The duty is older than what is kept: whether it existed is no longer known."""

    code = "duty_trimmed"
