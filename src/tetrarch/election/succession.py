"""One configuration follows another: who may elect from here on, and in which terms. Pure.

A quorum of the old members hands over to one new configuration. Each has stopped voting for good before
it says so (``promises.hand_over``), so whatever the old members ever certify has a term that one of any
quorum of them knows. The new members begin above it: terms go on growing over every change, and no
term has two leaders, one of each.

Of handovers that are there any quorum will do, so the ones with the lowest terms are taken: who lies
cannot use up the terms.
"""

from collections.abc import Iterable
from typing import Annotated

import msgspec

from tetrarch.election.certificates import CertificateInvalid, check_signers
from tetrarch.election.configuration import Configuration
from tetrarch.election.quorums import MEMBERS_MAX
from tetrarch.election.statements import Handover, Signed, Verifying
from tetrarch.election.values import Hash, Value


class HandoverCertificate(Value, frozen=True):
    """A quorum of one configuration's members handed over to the configuration ``next_hash``."""

    next_hash: Hash
    handovers: Annotated[tuple[Signed[Handover], ...], msgspec.Meta(max_length=MEMBERS_MAX)]

    @property
    def floor(self) -> int:
        """The highest term that may have been certified; the new members begin above it."""
        return max(handover.what.last_term for handover in self.handovers)


def gather(
    handovers: Iterable[Signed[Handover]], configuration: Configuration
) -> HandoverCertificate | None:
    """The certificate that checked ``handovers`` of ``configuration`` make; None: they are too few."""
    by_next: dict[bytes, dict[int, Signed[Handover]]] = {}
    for handover in handovers:
        by_next.setdefault(handover.what.next_hash, {})[handover.what.source] = handover
    for next_hash, signed in by_next.items():
        if len(signed) >= configuration.quorum:
            lowest = sorted(signed.values(), key=lambda each: each.what.last_term)
            return HandoverCertificate(next_hash, tuple(lowest[: configuration.quorum]))
    return None


def check_handover(
    certificate: HandoverCertificate, configuration: Configuration, keys: Verifying
) -> None:
    """Whether a quorum of distinct members of ``configuration`` handed over.

    Cost: a signature check for each.

    Raises:
        CertificateInvalid: it did not; says why.
    """
    action = "check handover"
    sources = tuple(handover.what.source for handover in certificate.handovers)
    check_signers(action, sources, configuration)
    for handover in certificate.handovers:
        said = handover.what
        if said.configuration_hash != configuration.hash:
            raise CertificateInvalid(action, reason="another configuration", by=said.source)
        if said.next_hash != certificate.next_hash:
            raise CertificateInvalid(action, reason="to another configuration", by=said.source)
        if not handover.is_genuine(keys):
            raise CertificateInvalid(action, reason="false signature", by=said.source)
