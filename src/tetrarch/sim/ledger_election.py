"""An election among a ledger's simulated nodes: who is elected when, and whose member knows it when.

Members' keys are real, so certificates verify as in production. How members come to them is another world's matter
(``election_world``).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from tetrarch.election.certificates import LeaderCertificate
from tetrarch.election.configuration import Configuration
from tetrarch.election.documents import configuration_document
from tetrarch.election.keys import KEY_SIZE_BYTES, MemberKeys, SigningKey
from tetrarch.election.quorums import Mode
from tetrarch.election.statements import NOTHING_BEFORE, Leader, View
from tetrarch.ledger.blocks import Fragment
from tetrarch.ledger.elections import encode_election

OTHER_CLUSTER: Final = bytes([7]) * 32


@dataclass(frozen=True, slots=True)
class Term:
    """``leader`` is elected in a slot. ``hears_slots``: how many slots later each node's own member says so; None: never."""

    number: int
    leader: int
    slot: float
    hears_slots: tuple[float | None, ...]


class LedgerElection:
    """``certified``: what its members signed, by its certificate as it travels."""

    def __init__(self, terms: Sequence[Term], *, node_count: int, rng: Random) -> None:
        self._rng = rng
        self._keys = [SigningKey(rng.randbytes(KEY_SIZE_BYTES)) for _ in range(node_count)]
        self.configuration = _configuration(node_count)
        keys = MemberKeys(tuple(key.public for key in self._keys))
        self.document = configuration_document(self.configuration, keys)
        self.certified: dict[Fragment, Term] = {}
        previous = NOTHING_BEFORE
        for term in terms:
            certificate = self._certificate(term, self.configuration, previous=previous)
            previous = certificate.leader.hash
            self.certified[encode_election(certificate, self.configuration)] = term

    def newest(self, node: int, slot: float) -> Fragment | None:
        """What a node's own member has by then: of the highest term that it heard of."""
        found = None
        for data, term in self.certified.items():
            hears_slots = term.hears_slots[node]
            if hears_slots is not None and term.slot + hears_slots <= slot:
                found = data
        return found

    def by_too_few(self, term: Term) -> Fragment:
        """A certificate that lacks one signature."""
        signers = range(self.configuration.quorum - 1)
        certificate = self._certificate(term, self.configuration, signers=signers)
        return encode_election(certificate, self.configuration)

    def forged(self, term: Term) -> Fragment:
        """A certificate with a signature that is none."""
        true = self._certificate(term, self.configuration)
        (signer, signature), *rest = true.signatures
        signatures = ((signer, bytes(len(signature))), *rest)
        return encode_election(LeaderCertificate(true.leader, signatures), self.configuration)

    def of_another(self, term: Term) -> Fragment:
        """A certificate by the same members' keys, in another cluster's election."""
        other = _configuration(self.configuration.count, OTHER_CLUSTER)
        return encode_election(self._certificate(term, other), other)

    def _certificate(
        self,
        term: Term,
        configuration: Configuration,
        *,
        previous: bytes = NOTHING_BEFORE,
        signers: Collection[int] = (),
    ) -> LeaderCertificate:
        """By a quorum, but for ``signers``."""
        members = tuple(range(configuration.count))
        signers = signers or sorted(self._rng.sample(members, configuration.quorum))
        leader = Leader(View(configuration.hash, term.number, members, previous), term.leader)
        data = leader.signing_bytes
        return LeaderCertificate(
            leader, tuple((each, self._keys[each].sign(data)) for each in signers)
        )


def _configuration(count: int, cluster: bytes = bytes(32)) -> Configuration:
    names = tuple(f"node{index}" for index in range(count))
    return Configuration(members=names, mode=Mode.BFT, cluster=cluster)
