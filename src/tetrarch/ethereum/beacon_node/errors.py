"""What can go wrong between us and a beacon node, by the decision it forces.

All three are ``Transient``: another node, or the same one later, may answer. A refusal may say
that the request itself is wrong (``blames_request``): then a few tries are enough.
"""

import re
from collections.abc import Iterable

from tetrarch.errors import Transient

# All nodes of a cluster submit the same. Lighthouse: PriorAttestationKnown, ...SupersetKnown;
# Lodestar: ..._ALREADY_KNOWN, and PublishError.Duplicate for a block; others in words.
_KNOWN = re.compile(
    r"already[ _]?(known|seen|exists)|prior\w*known|supersetknown|publisherror\.duplicate",
    re.IGNORECASE,
)
_HEADING = re.compile(r"multiple errors on \w+:?", re.IGNORECASE)  # Lodestar's, before a line each
_LATER = frozenset({408, 425, 429})  # timed out, too early, too many


def all_known(texts: Iterable[str]) -> bool:
    """Whether all of a refusal's reasons say that the beacon node has the object already."""
    lines = (_HEADING.sub("", line).strip() for text in texts for line in text.splitlines())
    found = [_KNOWN.search(line) is not None for line in lines if line]
    return bool(found) and all(found)


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
        already_known: bool = False,
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
        # Every item that it refused it has already, from another node of the cluster.
        self.already_known = already_known

    @property
    def blames_request(self) -> bool:
        """Whether the node took the request in and says no to it: any 4xx but "later"."""
        return 400 <= self.status < 500 and self.status not in _LATER


class BeaconNodeAnswerInvalid(Transient):
    """The beacon node answered with something that the beacon API does not allow."""

    code = "beacon_node_answer_invalid"
