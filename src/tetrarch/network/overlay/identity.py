"""Who this node is on the overlay: an Ed25519 key that signs, and a certificate that others pin.

Both are files of the node's folder, made at the first start. The key is of use for nothing but the
overlay: whoever has it can pass for this node there, and sign no duty.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tetrarch.crypto.tls_identity import make_tls_identity
from tetrarch.entropy import Entropy
from tetrarch.errors import OperatorError
from tetrarch.network.certificates import check_own_key, load_certificate, to_der
from tetrarch.network.overlay.profile import NodeId
from tetrarch.storage.durable_file import write_durably
from tetrarch.storage.errors import cannot_create

KEY_FILE, CERTIFICATE_FILE, TLS_KEY_FILE = (
    "overlay-key",
    "overlay-certificate.pem",
    "overlay-certificate-key.pem",
)
KEY_SIZE_BYTES = 32
_FILE_MAX_BYTES = 1 << 16


class OverlayKeyUnreadable(OperatorError):
    """The overlay's key or certificate cannot be read, or is none."""

    code = "overlay_key_unreadable"
    exit_code = 65
    mend = "restore the file; or remove all files overlay-* of the folder, and be another node"


@dataclass(frozen=True, slots=True)
class OverlayIdentity:
    """Its parts as the network uses them."""

    node: NodeId
    key: Ed25519PrivateKey = field(repr=False)
    certificate_pem: bytes
    private_key_pem: bytes = field(repr=False)

    @property
    def certificate_hash(self) -> bytes:
        """What others pin: SHA-256 of the certificate."""
        return certificate_hash(to_der(self.certificate_pem))

    def sign(self, message: bytes) -> bytes:
        """An Ed25519 signature by the node, 64 bytes."""
        return self.key.sign(message)


def certificate_hash(der: bytes) -> bytes:
    """SHA-256 of a certificate, as a configuration and a greeting name it."""
    return sha256(der).digest()


def open_identity(folder: Path, entropy: Entropy) -> OverlayIdentity:
    """The identity in ``folder``, made if its key is not there: then it is another node.

    Raises:
        OverlayKeyUnreadable: a part is missing or damaged.
        FolderNotWritable, StorageFullAtStart: it cannot be made.
    """
    paths = [folder / name for name in (KEY_FILE, CERTIFICATE_FILE, TLS_KEY_FILE)]
    if not paths[0].exists():  # it is written last
        _make(paths, entropy)
    key_text, certificate_pem, private_key_pem = map(_read, paths)
    try:
        secret = bytes.fromhex(key_text.decode("ascii").strip())
        key = Ed25519PrivateKey.from_private_bytes(secret)
    except ValueError:
        raise OverlayKeyUnreadable("read overlay key", folder=folder, reason="damaged") from None
    check_own_key(private_key_pem, load_certificate(to_der(certificate_pem), of="this node"))
    node = NodeId(key.public_key().public_bytes_raw())
    return OverlayIdentity(node, key, certificate_pem, private_key_pem)


def _make(paths: list[Path], entropy: Entropy) -> None:
    secret = entropy(KEY_SIZE_BYTES)
    public = Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    tls = make_tls_identity(public, entropy=entropy)
    # The key last: it is what says that the identity is whole.
    contents = (secret.hex().encode() + b"\n", tls.certificate_pem, tls.private_key_pem)
    for path, content in reversed(list(zip(paths, contents, strict=True))):
        try:
            write_durably(path, content)
        except OSError as error:
            raise cannot_create("write overlay key", path, error) from None


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()[:_FILE_MAX_BYTES]
    except OSError as error:
        raise OverlayKeyUnreadable("read overlay key", path=path, reason=error.strerror) from None
    return content
