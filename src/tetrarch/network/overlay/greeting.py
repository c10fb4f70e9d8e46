"""How two nodes show each other who they are, on one connection and for once. Pure.

    dialer   -> listener   greeting: version, node, nonce, chain, the certificate that it sees
    listener -> dialer     greeting: the same of itself, and its signature over both
    dialer   -> listener   its signature over both

The reference signs a bare nonce, so whoever stands between can have it signed and pass for another. Here
each side signs both greetings under a label that says which side it is: nothing of it is of use on
another connection, for another node, or from the other side. The dialer names the hash of the certificate
that TLS showed it, and the listener signs only under its own, or its proxy's; so whoever stands between
with a certificate of his own is noticed by both. Without TLS that hash is empty, and whoever stands
between sees and may alter everything else, as with the reference.
"""

from typing import Annotated, TypeAlias

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tetrarch.decoding import UNDECODABLE
from tetrarch.errors import PeerFault
from tetrarch.network.overlay.profile import NODE_ID_SIZE_BYTES, SIGNATURE_SIZE_BYTES, NodeId

VERSION = 1
NONCE_SIZE_BYTES = 32
HASH_SIZE_BYTES = 32
GREETING_MAX_BYTES = 1024
_LABEL = b"tetrarch/overlay/greeting/1/"
DIALER, LISTENER = b"dialer", b"listener"

_Node: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=NODE_ID_SIZE_BYTES, max_length=NODE_ID_SIZE_BYTES)
]
_Hash: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=HASH_SIZE_BYTES, max_length=HASH_SIZE_BYTES)
]
_OptionalHash: TypeAlias = Annotated[bytes, msgspec.Meta(max_length=HASH_SIZE_BYTES)]
_Nonce: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=NONCE_SIZE_BYTES, max_length=NONCE_SIZE_BYTES)
]
_Signature: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=SIGNATURE_SIZE_BYTES, max_length=SIGNATURE_SIZE_BYTES)
]


class GreetingInvalid(PeerFault):
    """Bytes that are no greeting, or a signature that is not by the node that is named."""

    code = "overlay_greeting_invalid"


class ChainDiffers(PeerFault):
    """The other node follows another chain; both first blocks are named."""

    code = "overlay_chain_differs"


class NodeDiffers(PeerFault):
    """Another node answers there than the one that was dialled."""

    code = "overlay_node_differs"


class CertificateDiffers(PeerFault):
    """The dialer sees a certificate that is not the listener's: somebody stands between them."""

    code = "overlay_certificate_differs"


class VersionDiffers(PeerFault):
    """The other node speaks another version; one of the two must be updated."""

    code = "overlay_version_differs"


class Greeting(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Fields are in wire order; later versions may append, receivers ignore more.

    ``certificate``: SHA-256 of the certificate that the dialer sees, or empty; the listener repeats it.
    ``observed``: where the sender sees the other side, as text; how a node behind a router learns
    where it is.
    """

    version: Annotated[int, msgspec.Meta(ge=0, lt=2**16)]
    node: _Node
    nonce: _Nonce
    block0: _Hash
    certificate: _OptionalHash
    observed: Annotated[str, msgspec.Meta(max_length=64)] = ""
    program: Annotated[str, msgspec.Meta(max_length=64)] = ""


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """The listener's greeting, and its signature over both."""

    greeting: bytes
    signature: _Signature


_greeting_decoder = msgspec.msgpack.Decoder(Greeting)
_answer_decoder = msgspec.msgpack.Decoder(Answer)


def encode_greeting(greeting: Greeting) -> bytes:
    """Some 200 bytes."""
    return msgspec.msgpack.encode(greeting)


def decode_greeting(data: bytes) -> Greeting:
    """A greeting within its bounds; whose it is, only the signature says.

    Raises:
        GreetingInvalid: the bytes are none.
    """
    if len(data) > GREETING_MAX_BYTES:
        raise GreetingInvalid("decode greeting", size_bytes=len(data), maximum=GREETING_MAX_BYTES)
    try:
        return _greeting_decoder.decode(data)
    except UNDECODABLE as error:
        raise GreetingInvalid("decode greeting", reason=error) from None


def encode_answer(answer: Answer) -> bytes:
    """A greeting and 64 bytes."""
    return msgspec.msgpack.encode(answer)


def decode_answer(data: bytes) -> Answer:
    """The listener's greeting, still to be decoded, and its signature.

    Raises:
        GreetingInvalid: the bytes are none.
    """
    if len(data) > 2 * GREETING_MAX_BYTES:
        raise GreetingInvalid("decode answer", size_bytes=len(data))
    try:
        return _answer_decoder.decode(data)
    except UNDECODABLE as error:
        raise GreetingInvalid("decode answer", reason=error) from None


def statement(side: bytes, dialer_greeting: bytes, listener_greeting: bytes) -> bytes:
    """What ``side`` signs: the label with its side, then both greetings as they were sent."""
    length = len(dialer_greeting).to_bytes(4, "big")
    return b"".join((_LABEL, side, b"/", length, dialer_greeting, listener_greeting))


def check_statement(
    side: bytes, node: NodeId, signature: bytes, dialer_greeting: bytes, listener_greeting: bytes
) -> None:
    """Whether ``node`` signed as ``side``.

    Raises:
        GreetingInvalid: it did not.
    """
    said = statement(side, dialer_greeting, listener_greeting)
    try:
        Ed25519PublicKey.from_public_bytes(node).verify(signature, said)
    except (InvalidSignature, ValueError):
        raise GreetingInvalid(
            "check greeting", node=node.hex(), reason="its signature is not by its node"
        ) from None


def check_greeting(
    theirs: Greeting, *, block0: bytes, expected: NodeId | None, own: NodeId
) -> None:
    """What both sides ask of each other's greeting, before any signature.

    Raises:
        VersionDiffers, ChainDiffers, NodeDiffers: as they say.
    """
    if theirs.version != VERSION:
        raise VersionDiffers("greet node", ours=VERSION, theirs=theirs.version)
    if theirs.block0 != block0:
        raise ChainDiffers("greet node", ours=block0.hex(), theirs=theirs.block0.hex())
    if theirs.node == own:
        raise NodeDiffers("greet node", reason="it is this node itself")
    if expected is not None and theirs.node != expected:
        raise NodeDiffers("greet node", expected=expected.hex(), got=theirs.node.hex())
