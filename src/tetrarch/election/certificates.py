"""What a quorum has said together, and whether that is so. Pure.

A view is certified by the votes of a quorum, a leader by the signatures of a quorum of enclaves under
the one leader that follows from a certified view. Anybody who has the configuration and the
members' keys can check both; neither expires, and a higher term replaces a lower one.
"""

from typing import Annotated

import msgspec

from tetrarch.election.choice import choose
from tetrarch.election.configuration import Configuration, Rule
from tetrarch.election.quorums import MEMBERS_MAX
from tetrarch.election.statements import Leader, Signed, Verifying, View, Vote
from tetrarch.election.values import Index, SignatureBytes, Value
from tetrarch.errors import InputInvalid


class CertificateInvalid(InputInvalid):
    """A certificate that proves nothing. The field ``reason`` says what is wrong with it."""

    code = "certificate_invalid"


class ViewCertificate(Value, frozen=True):
    """A quorum voted for one view."""

    view: View
    votes: Annotated[tuple[Signed[Vote], ...], msgspec.Meta(max_length=MEMBERS_MAX)]


class LeaderCertificate(Value, frozen=True):
    """A quorum's enclaves signed one leader. ``signatures``: by index, ascending."""

    leader: Leader
    signatures: Annotated[
        tuple[tuple[Index, SignatureBytes], ...], msgspec.Meta(max_length=MEMBERS_MAX)
    ]

    @property
    def term(self) -> int:
        """The term in which it leads."""
        return self.leader.view.term


def check_view(certificate: ViewCertificate, configuration: Configuration, keys: Verifying) -> None:
    """Whether a quorum of distinct members voted for the view.

    Cost: a signature check for each vote.

    Raises:
        CertificateInvalid: it proves nothing.
    """
    action = "check view certificate"
    _check_shape(action, certificate.view, configuration)
    votes = certificate.votes
    _check_signers(action, tuple(vote.what.source for vote in votes), configuration)
    for vote in votes:
        if vote.what.view != certificate.view:
            raise CertificateInvalid(action, reason="vote for another view", by=vote.what.source)
        if not vote.is_genuine(keys):
            raise CertificateInvalid(action, reason="false signature", by=vote.what.source)


def check_leader(
    certificate: LeaderCertificate, configuration: Configuration, keys: Verifying
) -> None:
    """Whether a quorum of distinct members signed the leader, and it is one of the view.

    Cost: a signature check for each signature.

    Raises:
        CertificateInvalid: it proves nothing.
    """
    action = "check leader certificate"
    leader = certificate.leader
    _check_shape(action, leader.view, configuration)
    if leader.leader not in leader.view.members:
        raise CertificateInvalid(action, reason="leader is not in the view", got=leader.leader)
    if (configuration.rule is Rule.BEACON) != bool(leader.seed):
        raise CertificateInvalid(action, reason="seed does not fit the rule")
    _check_signers(action, tuple(source for source, _ in certificate.signatures), configuration)
    for source, signature in certificate.signatures:
        if not keys.verify(source, leader.signing_bytes, signature):
            raise CertificateInvalid(action, reason="false signature", by=source)


def leader_of(
    view: View, configuration: Configuration, *, previous: Leader | None, seed: bytes = b""
) -> Leader:
    """The one leader that follows from a certified view.

    Raises:
        CertificateInvalid: ``previous`` is not the leader that the view names.
    """
    if previous is not None and previous.hash != view.previous:
        raise CertificateInvalid("derive leader", reason="another leader came before")
    incumbent = None if previous is None else previous.leader
    chosen = choose(configuration.rule, view, incumbent=incumbent, seed=seed)
    return Leader(view=view, leader=chosen, seed=seed)


def _check_shape(action: str, view: View, configuration: Configuration) -> None:
    if view.configuration_hash != configuration.hash:
        raise CertificateInvalid(
            action,
            reason="another configuration",
            got=view.configuration_hash.hex(),
            expected=configuration.hash.hex(),
        )
    if len(view.members) < configuration.quorum:
        raise CertificateInvalid(action, reason="view below a quorum", count=len(view.members))
    if view.members[-1] >= configuration.count:
        raise CertificateInvalid(action, reason="unknown member", got=view.members[-1])


def _check_signers(action: str, sources: tuple[int, ...], configuration: Configuration) -> None:
    if len(set(sources)) != len(sources):
        raise CertificateInvalid(action, reason="a signer twice")
    for source in sources:
        if not 0 <= source < configuration.count:
            raise CertificateInvalid(action, reason="foreign signer", got=source)
    if len(sources) < configuration.quorum:
        raise CertificateInvalid(
            action, reason="below a quorum", got=len(sources), expected=configuration.quorum
        )
