"""Elections as JSON: configurations, with the members' keys, and certificates. Pure.

Names stand for indices, and hex for bytes. What anybody needs to check a certificate is one
configuration document with keys: no node, no network.
"""

from typing import Annotated, Any, TypeAlias

import msgspec

from tetrarch.attestation.policy import Allowed, Demand
from tetrarch.decoding import UNDECODABLE
from tetrarch.election.certificates import CertificateInvalid, LeaderCertificate
from tetrarch.election.cluster_key import ClusterKey
from tetrarch.election.configuration import ALLOWED_MAX, NAME_MAX_BYTES, Configuration, Rule
from tetrarch.election.keys import MemberKeys
from tetrarch.election.quorums import MEMBERS_MAX, Mode
from tetrarch.election.statements import NOTHING_BEFORE, Leader, View
from tetrarch.election.values import COUNT_MAX, SEED_MAX_BYTES, SIGNATURE_MAX_BYTES
from tetrarch.errors import ConfigInvalid, InputInvalid

DOCUMENT_MAX_BYTES = 256 << 10

Name: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_MAX_BYTES)]
Entry: TypeAlias = Annotated[str, msgspec.Meta(max_length=128)]  # ``policy.Allowed``
Names: TypeAlias = Annotated[tuple[Name, ...], msgspec.Meta(max_length=MEMBERS_MAX)]
Hex32: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
HexKey: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{96}\Z")]
# In one way of writing only: a certificate with any other bit is another one, and refused.
_HEX = r"^([0-9a-f]{2})*\Z"
HexSeed: TypeAlias = Annotated[str, msgspec.Meta(max_length=2 * SEED_MAX_BYTES, pattern=_HEX)]
HexSignature: TypeAlias = Annotated[
    str, msgspec.Meta(max_length=2 * SIGNATURE_MAX_BYTES, pattern=_HEX)
]


class ClusterKeyDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The key that the members share. ``public_shares``: in the order of ``members``."""

    public_key: HexKey
    public_shares: Annotated[tuple[HexKey, ...], msgspec.Meta(max_length=MEMBERS_MAX)]
    threshold: Annotated[int, msgspec.Meta(ge=1, le=MEMBERS_MAX)]


class ConfigurationDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A configuration. ``keys``: by name, as far as they are known."""

    members: Names
    mode: Mode
    rule: Rule
    lease_ms: int
    cluster: Hex32
    epoch: Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)]
    configuration_hash: Hex32
    keys: Annotated[dict[Name, Hex32], msgspec.Meta(max_length=MEMBERS_MAX)] = {}
    attestation: Demand = Demand.OFF
    allowed: Annotated[tuple[Entry, ...], msgspec.Meta(max_length=ALLOWED_MAX)] = ()
    cluster_key: ClusterKeyDocument | None = None


class CertificateDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A certified leader. ``previous``: the leader before; empty if there was none.

    ``signatures``: by name; or ``shared_signature``, of the key that the members share.
    """

    term: Annotated[int, msgspec.Meta(ge=1, le=COUNT_MAX)]
    leader: Name
    members: Names
    cluster: Hex32
    epoch: Annotated[int, msgspec.Meta(ge=0, le=COUNT_MAX)]
    configuration_hash: Hex32
    mode: Mode
    rule: Rule
    previous: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$")]
    vacated: bool
    seed: HexSeed
    signatures: Annotated[dict[Name, HexSignature], msgspec.Meta(max_length=MEMBERS_MAX)]
    shared_signature: HexSignature = ""


def configuration_document(configuration: Configuration, keys: MemberKeys | None = None) -> bytes:
    """The document of ``configuration``, with the keys of those who were met."""
    c = configuration
    raw = keys.raw if keys is not None else ()
    named = {name: key.hex() for name, key in zip(c.members, raw, strict=False) if key is not None}
    document = ConfigurationDocument(
        c.members,
        c.mode,
        c.rule,
        c.lease_ms,
        c.cluster.hex(),
        c.epoch,
        c.hash.hex(),
        named,
        c.attestation,
        tuple(map(str, c.allowed)),
        _key_document(c.cluster_key),
    )
    return _pretty(document)


def read_configuration(document: bytes) -> tuple[Configuration, MemberKeys]:
    """The configuration of a document, and the keys in it.

    Raises:
        ConfigInvalid: it is none, or its hash is not the one that it names.
    """
    action = "read election configuration"
    try:
        read = msgspec.json.decode(_bounded(document), type=ConfigurationDocument)
    except (*UNDECODABLE, InputInvalid) as error:
        raise ConfigInvalid(action, reason=error) from None
    configuration = Configuration(
        members=read.members,
        mode=read.mode,
        rule=read.rule,
        lease_ms=read.lease_ms,
        cluster=bytes.fromhex(read.cluster),
        epoch=read.epoch,
        attestation=read.attestation,
        allowed=tuple(map(Allowed.parse, read.allowed)),
        cluster_key=_cluster_key(read.cluster_key),
    )
    if configuration.hash.hex() != read.configuration_hash:
        raise ConfigInvalid(action, got=read.configuration_hash, computed=configuration.hash.hex())
    unknown = sorted(set(read.keys) - set(read.members))
    if unknown:
        raise ConfigInvalid(action, reason="key of no member", got=unknown[0])
    try:
        keys = MemberKeys(tuple(_key(read.keys.get(name)) for name in read.members))
    except InputInvalid as error:
        raise ConfigInvalid(action, reason=error) from None
    return configuration, keys


def certificate_fields(
    certificate: LeaderCertificate, configuration: Configuration
) -> dict[str, Any]:
    """The document of a certificate as plain values, to be printed as one line or several."""
    c, leader = configuration, certificate.leader
    view = leader.view
    document = CertificateDocument(
        term=view.term,
        leader=c.members[leader.leader],
        members=tuple(c.members[index] for index in view.members),
        cluster=c.cluster.hex(),
        epoch=c.epoch,
        configuration_hash=view.configuration_hash.hex(),
        mode=c.mode,
        rule=c.rule,
        previous="" if view.previous == NOTHING_BEFORE else view.previous.hex(),
        vacated=view.vacated,
        seed=leader.seed.hex(),
        signatures={c.members[source]: text.hex() for source, text in certificate.signatures},
        shared_signature=certificate.shared_signature.hex(),
    )
    fields: dict[str, Any] = msgspec.to_builtins(document)
    return fields


def read_certificate(document: bytes, configuration: Configuration) -> LeaderCertificate:
    """The certificate of a document; ``certificates.check_leader`` says whether it is right.

    Raises:
        CertificateInvalid: it is none, or one of another configuration.
    """
    action = "read leader certificate"
    try:
        read = msgspec.json.decode(_bounded(document), type=CertificateDocument)
    except (*UNDECODABLE, InputInvalid) as error:
        raise CertificateInvalid(action, reason=error) from None
    c = configuration
    if read.configuration_hash != c.hash.hex():
        raise CertificateInvalid(
            action,
            reason="another configuration",
            got=read.configuration_hash,
            expected=c.hash.hex(),
        )
    # The hash decides; what is said beside it must not say otherwise.
    said = (read.cluster, read.epoch, read.mode, read.rule)
    if said != (c.cluster.hex(), c.epoch, c.mode, c.rule):
        raise CertificateInvalid(action, reason="contradicts its configuration")
    index = {name: place for place, name in enumerate(c.members)}
    names = {read.leader, *read.members, *read.signatures}
    unknown = sorted(names - set(index))
    if unknown:
        raise CertificateInvalid(action, reason="names no member", got=unknown[0])
    try:
        view = View(
            c.hash,
            read.term,
            tuple(index[name] for name in read.members),
            bytes.fromhex(read.previous) or NOTHING_BEFORE,
            read.vacated,
        )
        leader = Leader(view, index[read.leader], bytes.fromhex(read.seed))
        signatures = sorted((index[n], bytes.fromhex(text)) for n, text in read.signatures.items())
        shared = bytes.fromhex(read.shared_signature)
    except ValueError as error:
        raise CertificateInvalid(action, reason=error) from None
    return LeaderCertificate(leader, tuple(signatures), shared)


def _bounded(document: bytes) -> bytes:
    if len(document) > DOCUMENT_MAX_BYTES:
        raise InputInvalid("read document", bytes=len(document), maximum=DOCUMENT_MAX_BYTES)
    return document


def _key_document(key: ClusterKey | None) -> ClusterKeyDocument | None:
    if key is None:
        return None
    shares = tuple(share.hex() for share in key.public_shares)
    return ClusterKeyDocument(key.public_key.hex(), shares, key.threshold)


def _cluster_key(read: ClusterKeyDocument | None) -> ClusterKey | None:
    if read is None:
        return None
    shares = tuple(map(bytes.fromhex, read.public_shares))
    return ClusterKey(bytes.fromhex(read.public_key), shares, read.threshold)


def _key(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


def _pretty(document: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"
