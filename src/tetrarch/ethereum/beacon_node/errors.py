"""What can go wrong between us and a beacon node, by the decision it forces.

All three are ``Transient``: another node, or the same one later, may answer. A refusal may say
that the request itself is wrong (``blames_request``): then a few tries are enough.
"""

from tetrarch.errors import Transient

_LATER = frozenset({408, 425, 429})  # timed out, too early, too many


class BeaconNodeUnreachable(Transient):
    """No answer: connection refused or lost, or the time limit passed."""

    code = "beacon_node_unreachable"


class BeaconNodeRefused(Transient):
    """The beacon node answered with an error status."""

    code = "beacon_node_refused"

    def __init__(
        self,
        action: str,
        /,
        *,
        status: int,
        message: str,
        failed_indices: tuple[int, ...] = (),
        **fields: object,
    ) -> None:
        if failed_indices:
            fields["failed"] = len(failed_indices)
        super().__init__(action, status=status, message=message, **fields)
        self.status = status
        self.message = message  # the node's own words, cut to a sane length
        # Ascending places in the submitted list. Where there are any, the node took all other
        # items; where there are none, it did not say what it took.
        self.failed_indices = failed_indices

    @property
    def blames_request(self) -> bool:
        """Whether the node took the request in and says no to it: any 4xx but "later"."""
        return 400 <= self.status < 500 and self.status not in _LATER


class BeaconNodeAnswerInvalid(Transient):
    """The beacon node answered with something that the beacon API does not allow."""

    code = "beacon_node_answer_invalid"
