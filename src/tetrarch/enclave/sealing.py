"""State at rest: encrypted under a key that comes from a passphrase, a key file or a TPM. Pure.

A sealed text is::

     8  "tetrseal"            1  version, 1          1  kind: 1 passphrase, 2 key file, 3 TPM
     4  passes                4  memory, KiB         4  lanes        (of Argon2id; else 0)
    16  salt                 16  check               32  nonce
     n  ChaCha20-Poly1305 of the text, with everything before and the caller's ``bound_to`` as
        associated data

The key is Argon2id(passphrase, salt) (RFC 9106), or HKDF-SHA256(32 bytes of a key file or that a TPM
derives, salt) (RFC 5869). Each text is encrypted under a key of its own, HKDF-SHA256(key, nonce): a state that was put back and goes on
from there never uses a key twice. ``check`` tells a wrong passphrase from a changed text.

What this does not do: notice that an *older* seal was put back. That takes peers, or a counter
in hardware (``election.promises``, ``election.counting``).
"""

import hmac
import struct
from dataclasses import dataclass
from enum import IntEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tetrarch.enclave.errors import SealInvalid, SealSecretWrong
from tetrarch.entropy import Entropy

KEY_FILE_SIZE_BYTES = 32
PASSPHRASE_MAX_BYTES = 1024
PASSES, MEMORY_KIB, LANES = 3, 64 << 10, 4  # RFC 9106 section 4, the second recommended choice
_PASSES_MAX, _MEMORY_KIB_MAX, _LANES_MAX = 64, 4 << 20, 64
_MAGIC = b"tetrseal\x01"
_HEADER = struct.Struct(">9sBIII16s16s32s")
_KEY_BYTES = 32
_INFO = b"tetrarch/seal/1/"


class Kind(IntEnum):
    """Where the sealing key comes from."""

    PASSPHRASE = 1
    KEY_FILE = 2
    TPM = 3


@dataclass(frozen=True, slots=True)
class Derivation:
    """How the key follows from the secret."""

    kind: Kind
    passes: int
    memory_kib: int
    lanes: int
    salt: bytes


class SealingKey:
    """Seals one state again and again; made by ``new_key`` or ``unseal``."""

    def __init__(self, derivation: Derivation, key: bytes, entropy: Entropy) -> None:
        self._derivation = derivation
        self._key = key
        self._entropy = entropy

    def seal(self, text: bytes, *, bound_to: bytes) -> bytes:
        """``text``, encrypted; it opens for the same ``bound_to`` only. Cost: 20 us and 1 ns a byte."""
        d = self._derivation
        nonce = self._entropy(32)
        check = _check(self._key)
        header = _HEADER.pack(_MAGIC, d.kind, d.passes, d.memory_kib, d.lanes, d.salt, check, nonce)
        return header + _cipher(self._key, nonce).encrypt(bytes(12), text, header + bound_to)

    def open(self, sealed: bytes, *, bound_to: bytes) -> bytes:
        """The text that this key sealed, as ``unseal`` without deriving the key anew.

        Raises:
            SealInvalid: these bytes are no seal of this key, changed, or of another place.
        """
        derivation, _, nonce = _read(sealed)
        if derivation != self._derivation:
            raise SealInvalid("unseal", reason="sealed by another key")
        return _open(self._key, nonce, sealed, bound_to)


def kind_of(sealed: bytes) -> Kind:
    """Where the key of a seal comes from; opens nothing. Raises SealInvalid: it is none."""
    return _read(sealed)[0].kind


def new_key(kind: Kind, secret: bytes, entropy: Entropy) -> SealingKey:
    """A key for a state that was never sealed before. Cost: a passphrase takes 0.2 s, once."""
    strong = kind is Kind.PASSPHRASE
    derivation = Derivation(
        kind,
        PASSES if strong else 0,
        MEMORY_KIB if strong else 0,
        LANES if strong else 0,
        entropy(16),
    )
    return SealingKey(derivation, _derive(derivation, secret), entropy)


def unseal(
    sealed: bytes, secret: bytes, kind: Kind, *, bound_to: bytes, entropy: Entropy
) -> tuple[SealingKey, bytes]:
    """The text, and the key to seal the next one with. Cost: a passphrase takes 0.2 s.

    Raises:
        SealInvalid: these bytes are no seal, of another kind, changed, or of another place.
        SealSecretWrong: another passphrase or key file.
    """
    derivation, check, nonce = _read(sealed)
    if derivation.kind is not kind:
        expected = derivation.kind.name.lower()
        raise SealInvalid("unseal", reason="sealed otherwise", sealed_by=expected)
    key = _derive(derivation, secret)
    if not hmac.compare_digest(check, _check(key)):
        raise SealSecretWrong("unseal", sealed_by=kind.name.lower())
    return SealingKey(derivation, key, entropy), _open(key, nonce, sealed, bound_to)


def _open(key: bytes, nonce: bytes, sealed: bytes, bound_to: bytes) -> bytes:
    header, body = sealed[: _HEADER.size], sealed[_HEADER.size :]
    try:
        return _cipher(key, nonce).decrypt(bytes(12), body, header + bound_to)
    except InvalidTag:
        raise SealInvalid("unseal", reason="changed, or of another node") from None


def _read(sealed: bytes) -> tuple[Derivation, bytes, bytes]:
    if len(sealed) < _HEADER.size:
        raise SealInvalid("unseal", reason="too short", bytes=len(sealed))
    magic, kind, passes, memory_kib, lanes, salt, check, nonce = _HEADER.unpack_from(sealed)
    if magic != _MAGIC or kind not in set(Kind):
        raise SealInvalid("unseal", reason="no seal of a known version")
    # Bounded before any work is done: the file may be anybody's.
    strong = (
        1 <= passes <= _PASSES_MAX
        and 1 <= lanes <= _LANES_MAX
        and 8 * lanes <= memory_kib <= _MEMORY_KIB_MAX
    )
    if not (strong if kind == Kind.PASSPHRASE else passes == memory_kib == lanes == 0):
        raise SealInvalid("unseal", reason="its costs are out of bounds")
    return Derivation(Kind(kind), passes, memory_kib, lanes, salt), check, nonce


def _derive(derivation: Derivation, secret: bytes) -> bytes:
    d = derivation
    if d.kind is Kind.PASSPHRASE:
        return Argon2id(
            salt=d.salt,
            length=_KEY_BYTES,
            iterations=d.passes,
            lanes=d.lanes,
            memory_cost=d.memory_kib,
        ).derive(secret)
    return HKDF(SHA256(), _KEY_BYTES, d.salt, _INFO + b"file").derive(secret)


def _check(key: bytes) -> bytes:
    return HKDF(SHA256(), 16, None, _INFO + b"check").derive(key)


def _cipher(key: bytes, nonce: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(HKDF(SHA256(), _KEY_BYTES, nonce, _INFO + b"text").derive(key))
