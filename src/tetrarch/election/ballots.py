"""Votes and signatures that one member has collected. Pure, bounded per source."""

from dataclasses import dataclass
from typing import TypeVar

from tetrarch.election.certificates import (
    LeaderCertificate,
    ViewCertificate,
    certificate_of,
    is_signed_by,
)
from tetrarch.election.configuration import Configuration
from tetrarch.election.messages import LeaderSignature, SeedShare
from tetrarch.election.statements import Leader, Signed, Verifying, View, Vote, seed_bytes

TERMS_MAX = 16  # of one source, the newest; who floods pushes out its own


@dataclass(frozen=True, slots=True)
class TwoVotes:
    """Proof that one member voted for two views of a term in one life."""

    first: Signed[Vote]
    second: Signed[Vote]


class Ballots:
    """What may still lead to a leader: of terms above ``floor``."""

    def __init__(self, configuration: Configuration, keys: Verifying) -> None:
        self._configuration = configuration
        self._keys = keys
        self._floor = 0
        self._votes: list[dict[int, Signed[Vote]]] = [{} for _ in range(configuration.count)]
        self._signatures: list[dict[int, LeaderSignature]] = [
            {} for _ in range(configuration.count)
        ]
        self._seeds: list[dict[int, SeedShare]] = [{} for _ in range(configuration.count)]

    def forget_to(self, term: int) -> None:
        """Terms up to ``term`` are decided."""
        self._floor = term
        self._votes = [_above(term, kept) for kept in self._votes]
        self._signatures = [_above(term, kept) for kept in self._signatures]
        self._seeds = [_above(term, kept) for kept in self._seeds]

    def take_vote(self, vote: Signed[Vote]) -> bool | TwoVotes:
        """Keep a vote whose source is known to have sent it; False: it is no news, or false."""
        view = vote.what.view
        if view.configuration_hash != self._configuration.hash or view.term <= self._floor:
            return False
        kept = self._votes[vote.what.source]
        known = kept.get(view.term)
        if known is not None and known.what == vote.what:
            return False
        if not vote.is_genuine(self._keys):
            return False
        if known is not None:
            same_life = known.what.incarnation == vote.what.incarnation
            return TwoVotes(known, vote) if same_life else False
        kept[view.term] = vote
        _bound(kept)
        return True

    def take_signature(self, source: int, said: LeaderSignature) -> bool:
        """Keep a signature under a leader; False: it is no news, or false."""
        view = said.leader.view
        kept = self._signatures[source]
        if view.configuration_hash != self._configuration.hash or view.term <= self._floor:
            return False
        if kept.get(view.term) == said:
            return False
        if not is_signed_by(source, said.leader, said.signature, self._configuration, self._keys):
            return False
        kept[view.term] = said
        _bound(kept)
        return True

    def view_certificate(self) -> ViewCertificate | None:
        """The highest term's view that a quorum voted for."""
        by_view: dict[View, list[Signed[Vote]]] = {}
        for kept in self._votes:
            for vote in kept.values():
                by_view.setdefault(vote.what.view, []).append(vote)
        certified = [
            ViewCertificate(view, tuple(votes))
            for view, votes in by_view.items()
            if len(votes) >= self._configuration.quorum
        ]
        return max(certified, key=lambda each: each.view.term, default=None)

    def leader_certificate(self) -> LeaderCertificate | None:
        """The highest term's leader that a quorum signed."""
        by_leader: dict[Leader, dict[int, bytes]] = {}
        for source, kept in enumerate(self._signatures):
            for said in kept.values():
                by_leader.setdefault(said.leader, {})[source] = said.signature
        made = (certificate_of(*each, self._configuration) for each in by_leader.items())
        certified = [certificate for certificate in made if certificate is not None]
        return max(certified, key=lambda each: each.term, default=None)

    def take_seed(self, source: int, said: SeedShare) -> bool:
        """Keep a share of a number to be drawn; False: it is no news, or false."""
        view, key = said.view, self._configuration.cluster_key
        kept = self._seeds[source]
        if view.configuration_hash != self._configuration.hash or view.term <= self._floor:
            return False
        if key is None or kept.get(view.term) == said:
            return False
        if not key.signed_share(source, seed_bytes(view), said.signature):
            return False
        kept[view.term] = said
        _bound(kept)
        return True

    def seed(self, view: View) -> bytes | None:
        """The number that chooses among ``view``, once enough shares of it are here."""
        key = self._configuration.cluster_key
        shares = {
            source: kept[view.term].signature
            for source, kept in enumerate(self._seeds)
            if view.term in kept and kept[view.term].view == view
        }
        return None if key is None or len(shares) < key.threshold else key.combine(shares)

    def joined_term(self) -> int:
        """The highest term that a member which does not lie votes in, or a higher one; or 0."""
        newest = sorted((max(kept, default=0) for kept in self._votes), reverse=True)
        return newest[self._configuration.liars_max]


T = TypeVar("T")


def _above(term: int, kept: dict[int, T]) -> dict[int, T]:
    return {each: what for each, what in kept.items() if each > term}


def _bound(kept: dict[int, T]) -> None:
    if len(kept) > TERMS_MAX:
        del kept[min(kept)]
