"""How enclaves meet: each signs who it is, into the session that carries it. Pure.

A hello answers a nonce of the other's enclave, so it is not an old one; it names the session, by the
hash of the certificate that the session's listener showed, so nobody in the middle can pass it
on; and it names the configuration, so members with other lists refuse each other and say why.
"""

import hashlib
from typing import Annotated, TypeAlias

import msgspec

from tetrarch.attestation.binding import Subject, report_data
from tetrarch.election.configuration import Configuration
from tetrarch.election.keys import KEY_SIZE_BYTES, verify_with
from tetrarch.election.statements import Signed
from tetrarch.election.values import Boot, Hash, Index, Value
from tetrarch.errors import PeerFault

NONCE_SIZE_BYTES = 32
EVIDENCE_MAX_BYTES = 128 << 10
_DOMAIN = b"tetrarch/election/1/hello"

PublicKey: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=KEY_SIZE_BYTES, max_length=KEY_SIZE_BYTES)
]
Nonce: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=NONCE_SIZE_BYTES, max_length=NONCE_SIZE_BYTES)
]


EvidenceBytes: TypeAlias = Annotated[bytes, msgspec.Meta(max_length=EVIDENCE_MAX_BYTES)]


class HelloInvalid(PeerFault):
    """A hello that does not show who is there. The field ``reason`` says why."""

    code = "election_hello_invalid"


class KeyChanged(PeerFault):
    """A member shows another key than at first contact: its state was lost, or it is another."""

    code = "election_key_changed"


class MemberUnattested(PeerFault):
    """A member shows no evidence that this configuration accepts. The field ``why`` is a code."""

    code = "election_member_unattested"


class Appraisal(Value, frozen=True):
    """What became of a member's evidence. All empty: nobody asked for it.

    ``refusal``: why it would be refused, where it is only recorded.
    """

    back_end: str = ""
    measurement: str = ""
    details: str = ""
    refusal: str = ""


class Hello(Value, frozen=True):
    """``signing_key``: Ed25519; ``sealing_key``: X25519, for HPKE; ``boot``: of this start.

    ``evidence``: an envelope of ``attestation.verifier``; nothing where nobody asks for it.
    """

    configuration_hash: Hash
    source: Index
    signing_key: PublicKey
    sealing_key: PublicKey
    boot: Boot
    session: Hash
    nonce: Nonce
    evidence: EvidenceBytes = b""

    @property
    def signing_bytes(self) -> bytes:
        """What the enclave signs."""
        return b"".join(
            (
                _DOMAIN,
                self.configuration_hash,
                self.source.to_bytes(2, "big"),
                self.signing_key,
                self.sealing_key,
                self.boot,
                self.session,
                self.nonce,
                hashlib.sha256(self.evidence).digest(),
            )
        )

    def bound(self, configuration: Configuration) -> bytes:
        """What ``evidence`` must be about. ``source`` is a member of ``configuration``."""
        subject = Subject(
            signing_key=self.signing_key,
            sealing_key=self.sealing_key,
            node=configuration.members[self.source],
            configuration_hash=self.configuration_hash,
            incarnation=self.boot,
        )
        return report_data(subject, self.nonce)


def session_of(certificate_der: bytes) -> bytes:
    """The name of a session: 32 bytes, of the certificate that its listener showed."""
    return hashlib.sha256(b"tetrarch/election/1/session" + certificate_der).digest()


def check_hello(
    hello: Signed[Hello], configuration: Configuration, *, session: bytes, nonce: bytes
) -> None:
    """Whether a member of ``configuration`` says hello, now and here. Its key is not judged.

    Raises:
        HelloInvalid: it does not.
    """
    said = hello.what
    if said.configuration_hash != configuration.hash:
        raise HelloInvalid(
            "check hello",
            reason="another configuration",
            got=said.configuration_hash.hex(),
            expected=configuration.hash.hex(),
        )
    check_shown(hello, configuration, session=session, nonce=nonce)


def check_shown(
    hello: Signed[Hello], configuration: Configuration, *, session: bytes, nonce: bytes
) -> None:
    """As ``check_hello``, of somebody who may be a member of another configuration.

    Raises:
        HelloInvalid: nobody of that place says hello, now and here.
    """
    action = "check hello"
    said = hello.what
    if said.source >= configuration.count:
        raise HelloInvalid(action, reason="unknown member", got=said.source)
    if said.nonce != nonce:
        raise HelloInvalid(action, reason="not an answer to this nonce", by=said.source)
    if said.session != session:
        raise HelloInvalid(action, reason="of another session", by=said.source)
    if not verify_with(said.signing_key, said.signing_bytes, hello.signature):
        raise HelloInvalid(action, reason="false signature", by=said.source)
