"""A chain whose blocks are made by who is elected: certified leaders, as the chain knows them. Pure.

The first block has the election's configuration with all members' keys, and the leaders' keys in the order of its members.
A certificate of a leader is a fragment without a payer, the first of its block:

    197 u8 | certificate                        the document of ``election.documents``, as compact JSON

From that block on, itself among them, the slots are that leader's, until a certificate of a higher term. So whoever verifies
the blocks needs no witness of the election: each term that made blocks is proven before its first. A leader that is elected
anew brings the proof in its own first block.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, cast

import msgspec

from tetrarch.decoding import UNDECODABLE
from tetrarch.election.certificates import CertificateInvalid, LeaderCertificate, check_leader
from tetrarch.election.configuration import Configuration
from tetrarch.election.documents import certificate_fields, read_certificate, read_configuration
from tetrarch.election.keys import MemberKeys
from tetrarch.errors import ConfigInvalid, InputInvalid, PeerFault
from tetrarch.ledger.blocks import Fragment
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.tables import Draft, Table, View

NUMBER: Final = 197
SIZE_BYTES_MAX: Final = 1 << 16
DOCUMENT_SIZE_BYTES_MAX: Final = 1 << 17
_ONE: Final = b""


class ElectionRefused(PeerFault):
    """A certified leader that is none for this chain, or is not news."""

    code = "ledger_election_refused"


@dataclass(frozen=True, slots=True)
class Elected:
    """Who leads: the place of a member, and the term in which it was elected; before the first term, 0, nobody."""

    term: int
    member: int


@dataclass(frozen=True, slots=True)
class Rules:
    """By which certificates are judged."""

    configuration: Configuration
    keys: MemberKeys


@dataclass(frozen=True, slots=True)
class Election:
    """A leader's certificate, as it travels, read by the rules of a chain."""

    certificate: LeaderCertificate
    rules: Rules
    data: Fragment

    @property
    def term(self) -> int:
        """In which it leads."""
        return self.certificate.term

    def check_signatures(self, _block0: BlockId) -> None:
        """Whether the members signed it. Cost: 0.12 ms each, or 1 ms for the key that they share.

        Raises:
            ElectionRefused: they did not.
        """
        try:
            check_leader(self.certificate, self.rules.configuration, self.rules.keys)
        except CertificateInvalid as error:
            raise ElectionRefused("verify election", **error.fields) from None


ELECTION: Final = Table("election", bytes)  # the configuration's document
ELECTED: Final = Table("elected", Elected)


def election_rules(document: bytes, leaders: int) -> Rules:
    """Of a configuration's document, for that many leaders.

    Raises:
        ConfigInvalid: it is none, names another number of members, or lacks the key of one.
    """
    if len(document) > DOCUMENT_SIZE_BYTES_MAX:
        raise ConfigInvalid("read election configuration", maximum_bytes=DOCUMENT_SIZE_BYTES_MAX)
    configuration, keys = read_configuration(document)
    if configuration.count != leaders:
        raise ConfigInvalid(
            "read election configuration", members=configuration.count, leaders=leaders
        )
    if configuration.cluster_key is None and None in keys.raw:
        raise ConfigInvalid("read election configuration", reason="a member's key is not in it")
    return Rules(configuration, keys)


def begin_election(draft: Draft, document: bytes, leaders: int) -> None:
    """As the first block has it. Raises ConfigInvalid: see ``election_rules``."""
    election_rules(document, leaders)
    ELECTION.put(draft, _ONE, document)
    ELECTED.put(draft, _ONE, Elected(0, 0))


def elected_of(view: View) -> Elected | None:
    """Who leads; None: nobody yet, or leaders of this chain are not elected."""
    elected = ELECTED.get(view, _ONE)
    return None if elected is None or not elected.term else elected


def has_election(view: View) -> bool:
    """Whether the chain's leaders could be elected."""
    return ELECTION.get(view, _ONE) is not None


def is_election(fragment: Fragment) -> bool:
    """By its first byte."""
    return fragment[:1] == bytes([NUMBER])


def encode_election(certificate: LeaderCertificate, configuration: Configuration) -> Fragment:
    """As it travels."""
    fields = certificate_fields(certificate, configuration)
    return Fragment(bytes([NUMBER]) + msgspec.json.encode(fields))


def encode_document(document: bytes) -> Fragment:
    """A certificate's document, as an election's members print it, as it travels.

    Raises:
        InputInvalid: it is no JSON object.
    """
    try:
        fields = msgspec.json.decode(document, type=dict[str, object])
    except UNDECODABLE as error:
        raise InputInvalid("read certificate", reason=error) from None
    return Fragment(bytes([NUMBER]) + msgspec.json.encode(fields))


def decode_election(data: bytes, view: View) -> Election:
    """Read one, by the chain's rules; no signature is verified.

    Raises:
        ElectionRefused: it is none, or of another election, or the chain has none.
    """
    document = ELECTION.get(view, _ONE)
    if document is None:
        raise ElectionRefused("read election", reason="leaders of this chain are not elected")
    if len(data) > SIZE_BYTES_MAX or data[:1] != bytes([NUMBER]):
        raise ElectionRefused("read election", bytes=len(data), maximum=SIZE_BYTES_MAX)
    rules = _rules(document)
    try:
        certificate = read_certificate(data[1:], rules.configuration)
    except InputInvalid as error:
        raise ElectionRefused("read election", **error.fields) from None
    if encode_election(certificate, rules.configuration) != data:
        raise ElectionRefused("read election", reason="it is not in its one form")
    return Election(certificate, rules, Fragment(data))


def apply_election(draft: Draft, election: Election) -> None:
    """The slots are its leader's from now on; its signatures are right.

    Raises:
        ElectionRefused: its term is not above the one that is known.
    """
    before = cast("Elected", ELECTED.get(draft, _ONE))
    if election.term <= before.term:
        raise ElectionRefused("apply election", term=election.term, after=before.term)
    ELECTED.put(draft, _ONE, Elected(election.term, election.certificate.leader.leader))


@lru_cache(maxsize=16)
def _rules(document: bytes) -> Rules:
    """Of a document that is in a first block, so it was right then: read once."""
    return Rules(*read_configuration(document))
