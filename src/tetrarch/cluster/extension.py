"""What only this program needs of a cluster, in a second file beside the lock.

It pins every node's TLS certificate, hints where each node listens, and carries the public shares
of the *cluster key*: one more threshold BLS key, which signs certificates of the cluster itself
(elections) and never a duty. It is bound to one lock by its hash and signed by every node's
identity; the aggregate of all cluster-key shares over the same hash proves that the shares exist
and that no key was chosen against another.

What is signed is ``extension_hash``, over the explicit layout of ``_layout``; the byte table stands
in docs/reference/cluster-files.md.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Final, TypeAlias

import msgspec

from tetrarch.cluster.certificates import CERTIFICATE_SIZE_MAX
from tetrarch.cluster.definition import OPERATORS_MAX
from tetrarch.cluster.text import hex_text, parse_hex, parse_hex_upto
from tetrarch.decoding import UNDECODABLE
from tetrarch.errors import InputInvalid

FORMAT: Final = 1
ADDRESS_SIZE_MAX: Final = 260  # a DNS name of 253 characters, a colon, a port
_TAG: Final = b"tetrarch cluster extension v1\0\0\0"  # 32 bytes; no other signed text begins so


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEntry:
    """What the cluster knows of one node: its pinned certificate and where it listens.

    ``address`` is ``host:port``, or empty where nothing is known; a hint that configuration
    may override.
    """

    certificate_der: bytes
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """The extension. Hash and signatures are as stored, maybe wrong.

    ``nodes[i]`` belongs to operator i of the lock, ``cluster_public_shares[i]`` to share i + 1.
    """

    lock_hash: bytes
    threshold: int
    cluster_public_key: bytes
    cluster_public_shares: tuple[bytes, ...]
    nodes: tuple[NodeEntry, ...]
    extension_hash: bytes = b""
    signature_aggregate: bytes = b""  # 96 bytes, of all cluster-key shares
    node_signatures: tuple[bytes, ...] = ()  # 65 bytes each, by operator


def extension_hash(extension: Extension) -> bytes:
    """SHA-256 of everything but hash and signatures, in the documented layout."""
    return sha256(_layout(extension)).digest()


def _layout(extension: Extension) -> bytes:
    parts = [
        _TAG,
        extension.lock_hash,
        len(extension.nodes).to_bytes(2, "big"),
        extension.threshold.to_bytes(2, "big"),
        extension.cluster_public_key,
        len(extension.cluster_public_shares).to_bytes(2, "big"),
        *extension.cluster_public_shares,
    ]
    for node in extension.nodes:
        address = node.address.encode()
        parts += [
            len(node.certificate_der).to_bytes(2, "big"),
            node.certificate_der,
            len(address).to_bytes(2, "big"),
            address,
        ]
    return b"".join(parts)


def check_address(address: str, *, field: str) -> None:
    """Check ``host:port`` (``[v6]:port``) or the empty hint; raises InputInvalid."""
    if not address:
        return
    host, colon, port = address.rpartition(":")
    printable = address.isascii() and address.isprintable() and not set(address) & set(" /@\\")
    bracketed = host.startswith("[") and host.endswith("]")
    whole = bool(colon and host and host != "[]") and (bracketed or ":" not in host)
    if not (printable and whole and port.isdigit() and len(port) <= 5):
        raise InputInvalid("read address", field=field, reason="expected host:port")
    if not 1 <= int(port) <= 65_535 or port != str(int(port)):
        raise InputInvalid("read address", field=field, reason="port is outside 1..65535")


Hex: TypeAlias = Annotated[str, msgspec.Meta(max_length=2 + 2 * 96)]


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A JSON object whose every field is known."""


class _ClusterKey(_Document, frozen=True, kw_only=True):
    public_key: Hex
    public_shares: Annotated[list[Hex], msgspec.Meta(max_length=OPERATORS_MAX)]
    signature_aggregate: Hex


class _Node(_Document, frozen=True, kw_only=True):
    tls_certificate: Annotated[str, msgspec.Meta(max_length=2 + 2 * CERTIFICATE_SIZE_MAX)]
    address: Annotated[str, msgspec.Meta(max_length=ADDRESS_SIZE_MAX)]


class _Extension(_Document, frozen=True, kw_only=True):
    format: int
    lock_hash: Hex
    threshold: Annotated[int, msgspec.Meta(ge=1, le=OPERATORS_MAX)]
    cluster_key: _ClusterKey
    nodes: Annotated[list[_Node], msgspec.Meta(max_length=OPERATORS_MAX)]
    extension_hash: Hex
    node_signatures: Annotated[list[Hex], msgspec.Meta(max_length=OPERATORS_MAX)]


class _AnyFormat(msgspec.Struct, frozen=True):
    format: int = 0


def parse_extension(data: bytes) -> Extension:
    """The extension that ``data`` holds.

    Raises:
        InputInvalid: not JSON, another format, an unknown, missing or malformed field.
    """
    try:
        found = msgspec.json.decode(data, type=_AnyFormat).format
        if found != FORMAT:
            raise InputInvalid("read extension", field="format", got=found, supported=FORMAT)
        document = msgspec.json.decode(data, type=_Extension)
    except UNDECODABLE as error:
        raise InputInvalid("read extension", reason=error) from error
    key = document.cluster_key
    return Extension(
        lock_hash=parse_hex(document.lock_hash, size=32, field="lock_hash"),
        threshold=document.threshold,
        cluster_public_key=parse_hex(key.public_key, size=48, field="cluster_key.public_key"),
        cluster_public_shares=tuple(
            parse_hex(text, size=48, field=f"cluster_key.public_shares[{index}]")
            for index, text in enumerate(key.public_shares)
        ),
        nodes=tuple(_node_of(node, where=f"nodes[{i}]") for i, node in enumerate(document.nodes)),
        extension_hash=parse_hex(document.extension_hash, size=32, field="extension_hash"),
        signature_aggregate=parse_hex(
            key.signature_aggregate, size=96, field="cluster_key.signature_aggregate"
        ),
        node_signatures=tuple(
            parse_hex(text, size=65, field=f"node_signatures[{index}]")
            for index, text in enumerate(document.node_signatures)
        ),
    )


def _node_of(document: _Node, *, where: str) -> NodeEntry:
    check_address(document.address, field=f"{where}.address")
    certificate = parse_hex_upto(
        document.tls_certificate, size_max=CERTIFICATE_SIZE_MAX, field=f"{where}.tls_certificate"
    )
    return NodeEntry(certificate_der=certificate, address=document.address)


def extension_document(extension: Extension) -> bytes:
    """The extension as JSON, indented like the lock. Hash and signatures as stored."""
    document = {
        "format": FORMAT,
        "lock_hash": hex_text(extension.lock_hash),
        "threshold": extension.threshold,
        "cluster_key": {
            "public_key": hex_text(extension.cluster_public_key),
            "public_shares": [hex_text(share) for share in extension.cluster_public_shares],
            "signature_aggregate": hex_text(extension.signature_aggregate),
        },
        "nodes": [
            {"tls_certificate": hex_text(node.certificate_der), "address": node.address}
            for node in extension.nodes
        ],
        "extension_hash": hex_text(extension.extension_hash),
        "node_signatures": [hex_text(signature) for signature in extension.node_signatures],
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=1)
