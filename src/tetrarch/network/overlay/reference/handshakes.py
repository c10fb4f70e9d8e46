"""Who is behind which connection, as the reference shows it: by a nonce that the caller signs. Pure.

A connection is told by the caller's address and port, so this works only where nobody stands between
(a proxy opens connections of its own).
"""

from collections import OrderedDict

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tetrarch.network.overlay.greeting import GreetingInvalid
from tetrarch.network.overlay.profile import NodeId

VERSION = 1
NONCE_SIZE_BYTES = 32
OPEN_MAX = 128  # nonces that nobody signed yet
PROVEN_MAX = 256


class Handshakes:
    """Those that began, and those that ended well. The longest unused of each kind goes first."""

    def __init__(self) -> None:
        self._nonces: OrderedDict[str, bytes] = OrderedDict()
        self._nodes: OrderedDict[str, NodeId] = OrderedDict()

    def begin(self, caller: str, nonce: bytes) -> None:
        """``nonce`` was sent to ``caller``; what it showed before counts no more."""
        self._nodes.pop(caller, None)
        self._nonces.pop(caller, None)
        self._nonces[caller] = nonce
        if len(self._nonces) > OPEN_MAX:
            self._nonces.popitem(last=False)

    def take_nonce(self, caller: str) -> bytes | None:
        """The nonce that ``caller`` has to sign; each is of use once."""
        return self._nonces.pop(caller, None)

    def proven(self, caller: str, node: NodeId) -> None:
        """It is ``node``."""
        self._nodes[caller] = node
        if len(self._nodes) > PROVEN_MAX:
            self._nodes.popitem(last=False)

    def node(self, caller: str) -> NodeId | None:
        """Who ``caller`` showed to be."""
        if caller in self._nodes:
            self._nodes.move_to_end(caller)
        return self._nodes.get(caller)

    def forget(self, caller: str) -> None:
        """Its connection is gone."""
        self._nodes.pop(caller, None)
        self._nonces.pop(caller, None)


def check_nonce(nonce: bytes) -> bytes:
    """``nonce``, if it is one: nothing longer is ever signed, so nothing else that we sign can be asked for.

    Raises:
        GreetingInvalid: it is none.
    """
    if len(nonce) != NONCE_SIZE_BYTES:
        raise GreetingInvalid(
            "shake hands", size_bytes=len(nonce), expected_size_bytes=NONCE_SIZE_BYTES
        )
    return nonce


def check_proof(node: bytes, signature: bytes, nonce: bytes) -> NodeId:
    """``node``, if it signed ``nonce``.

    Raises:
        GreetingInvalid: it did not.
    """
    try:
        Ed25519PublicKey.from_public_bytes(node).verify(signature, nonce)
    except (InvalidSignature, ValueError):
        raise GreetingInvalid(
            "shake hands", node=node[:32].hex(), reason="its signature is not by its node"
        ) from None
    return NodeId(node)
