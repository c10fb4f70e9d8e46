"""The keys of an enclave in one sealed file: its shares, and keys of its own.

The file is::

     9  "tetrkeys", version 1
     4  length of the label
     n  the label, in the clear: edition and public keys (msgpack)
        the seal of the secrets (``sealing``), bound to all that stands before it

The edition grows with each change, and the enclave's database keeps the newest (``editions``). The
label tells a node which keys are here, whether or not it can open them.
"""

import hashlib
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Self, TypeAlias

import msgspec

from tetrarch.crypto.bls import SecretKey
from tetrarch.crypto.hpke import KEY_SIZE_BYTES, OpeningKey
from tetrarch.decoding import UNDECODABLE
from tetrarch.election.keys import SigningKey
from tetrarch.enclave.errors import SealInvalid, SealSecretWrong
from tetrarch.enclave.messages import Message, PubKeyBytes, Root, SealedFile
from tetrarch.enclave.seal_secret import SealSecret
from tetrarch.enclave.sealing import Kind, SealingKey, kind_of, new_key, unseal
from tetrarch.enclave.secret_reading import SecretReader
from tetrarch.entropy import Entropy
from tetrarch.errors import InputInvalid
from tetrarch.storage.durable_file import write_durably
from tetrarch.storage.errors import cannot_create

SHARES_MAX = 10_000
FILE_MAX_BYTES = 4 << 20  # 10,000 shares have 1.4 MB
_MAGIC = b"tetrkeys\x01"
_HEADER = struct.Struct(">9sI")
_DOMAIN = b"tetrarch/keys/1/"

Secret: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=KEY_SIZE_BYTES, max_length=KEY_SIZE_BYTES)
]


class PublicShare(Message, frozen=True):
    """A root key, and the public key of the share of it."""

    pubkey: PubKeyBytes
    public_share: PubKeyBytes


class OwnPublicKeys(Message, frozen=True):
    """The enclave's own: ``signing_key`` Ed25519, ``sealing_key`` X25519."""

    signing_key: Root
    sealing_key: Root


class Label(Message, frozen=True):
    """What stands in the clear."""

    edition: Annotated[int, msgspec.Meta(ge=1, lt=1 << 62)]
    shares: Annotated[tuple[PublicShare, ...], msgspec.Meta(max_length=SHARES_MAX)]
    own: OwnPublicKeys | None = None


class SealedSecrets(Message, frozen=True):
    """What is sealed: one secret for each share of the label, and the two of its own keys."""

    shares: Annotated[tuple[Secret, ...], msgspec.Meta(max_length=SHARES_MAX)]
    own: tuple[Secret, Secret] | None = None

    def __repr__(self) -> str:
        return "SealedSecrets(hidden)"


@dataclass(frozen=True, slots=True)
class KeptShare:
    """One share. ``public_share``: 48 bytes."""

    public_share: bytes
    secret: SecretKey


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """The enclave's own keys: what it signs evidence with, and what others seal to."""

    signing_secret: bytes = field(repr=False)
    opening_secret: bytes = field(repr=False)

    @property
    def public(self) -> OwnPublicKeys:
        """Both public halves."""
        signing, opening = SigningKey(self.signing_secret), OpeningKey(self.opening_secret)
        return OwnPublicKeys(signing.public, opening.public)


@dataclass(frozen=True, slots=True)
class KeptKeys:
    """All that one file holds. ``shares`` by root key."""

    edition: int = 0
    shares: Mapping[bytes, KeptShare] = field(default_factory=dict)
    own: OwnKeys | None = None

    @property
    def label(self) -> Label:
        """The public part, in the order of the secrets."""
        shares = tuple(PublicShare(root, kept.public_share) for root, kept in self._ordered)
        return Label(self.edition, shares, None if self.own is None else self.own.public)

    def is_like(self, other: "KeptKeys") -> bool:
        """Whether both hold the same keys, in the same edition."""
        return self.label == other.label and self.secrets == other.secrets

    @property
    def secrets(self) -> SealedSecrets:
        """The other part."""
        own = self.own
        return SealedSecrets(
            tuple(kept.secret.to_bytes() for _, kept in self._ordered),
            None if own is None else (own.signing_secret, own.opening_secret),
        )

    @classmethod
    def of(cls, label: Label, secrets: SealedSecrets) -> Self:
        """Both parts together.

        Raises:
            InputInvalid: they do not belong together.
        """
        if len(label.shares) != len(secrets.shares) or (label.own is None) != (secrets.own is None):
            raise InputInvalid("read sealed keys", reason="label and secrets differ in number")
        shares = {
            public.pubkey: KeptShare(public.public_share, SecretKey.from_bytes(secret))
            for public, secret in zip(label.shares, secrets.shares, strict=True)
        }
        return cls(label.edition, shares, None if secrets.own is None else OwnKeys(*secrets.own))

    @property
    def _ordered(self) -> list[tuple[bytes, KeptShare]]:
        return sorted(self.shares.items())


class SealedKeys:
    """An open file of sealed keys. The secrets are in memory, and the key to seal them again."""

    def __init__(
        self, path: Path, key: SealingKey, kept: KeptKeys, entropy: Entropy, read: SecretReader
    ) -> None:
        self.path = path
        self._key = key
        self._kept = kept
        self._entropy = entropy
        self._read = read

    @classmethod
    def open(cls, file: SealedFile, entropy: Entropy, read: SecretReader | None = None) -> Self:
        """The keys in ``file``; none, of edition 0, if it is not there.

        ``read``: with a TPM, if there is one.

        Raises:
            SealSecretMissing, SealSecretWrong, TpmMissing, TpmFailed: of its secret.
            SealInvalid: it is no such file, or was changed.

        Cost: 0.2 s with a passphrase, and 20 us for each share.
        """
        path, secret = Path(file.path), SealSecret.of(file.secret)
        read = read or SecretReader(entropy)
        content = read(secret)
        raw = _read(path)
        if raw is None:
            return cls(path, new_key(secret.kind, content, entropy), KeptKeys(), entropy, read)
        key, kept = _unsealed(path, raw, secret, content, entropy)
        return cls(path, key, kept, entropy, read)

    @property
    def kept(self) -> KeptKeys:
        """What is in the file."""
        return self._kept

    def change(
        self,
        *,
        shares: Mapping[bytes, KeptShare] | None = None,
        without: Iterable[bytes] = (),
        own: OwnKeys | None = None,
        secret: SealSecret | None = None,
        above: int = 0,
    ) -> None:
        """Write the next edition, durable on return: with more shares, without some, or rekeyed.

        ``above``: an edition that the new one must exceed, too.

        Raises:
            OperatorError: the disk refuses; the file is as it was, and so is this object.
        """
        key = self._key
        if secret is not None:
            key = new_key(secret.kind, self._read(secret), self._entropy)
        gone = frozenset(without)
        together = {**self._kept.shares, **(shares or {})}
        kept = replace(
            self._kept,
            edition=max(self._kept.edition, above) + 1,
            shares={root: share for root, share in together.items() if root not in gone},
            own=own or self._kept.own,
        )
        if len(kept.shares) > SHARES_MAX:
            raise SealInvalid("seal keys", path=self.path, shares=len(kept.shares))
        content = encode(kept, key)
        try:
            write_durably(self.path, content)
        except OSError as error:
            raise cannot_create("seal keys", self.path, error) from None
        self._key, self._kept = key, kept


def encode(kept: KeptKeys, key: SealingKey) -> bytes:
    """The file that holds ``kept``."""
    label = msgspec.msgpack.encode(kept.label)
    head = _HEADER.pack(_MAGIC, len(label)) + label
    return head + key.seal(msgspec.msgpack.encode(kept.secrets), bound_to=_place(head))


def read_label(path: Path) -> tuple[Label, Kind] | None:
    """What stands in the clear in the file ``path``, and what opens it; None: there is no file.

    Not authentic before the file was opened.

    Raises:
        SealInvalid: it is no such file, or cannot be read.
    """
    raw = _read(path)
    if raw is None:
        return None
    label, _, sealed = _parts(path, raw)
    return label, kind_of(sealed)


def _unsealed(
    path: Path, raw: bytes, secret: SealSecret, content: bytes, entropy: Entropy
) -> tuple[SealingKey, KeptKeys]:
    label, head, sealed = _parts(path, raw)
    try:
        key, text = unseal(sealed, content, secret.kind, bound_to=_place(head), entropy=entropy)
        return key, KeptKeys.of(label, msgspec.msgpack.decode(text, type=SealedSecrets))
    except (SealInvalid, SealSecretWrong) as error:
        raise type(error)("open sealed keys", path=path, **error.fields) from None
    except (*UNDECODABLE, InputInvalid):
        # Without the cause: it could quote a secret.
        raise SealInvalid("open sealed keys", path=path, reason="of another form") from None


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as stream:
            raw = stream.read(FILE_MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SealInvalid("read sealed keys", path=path, reason=error.strerror) from None
    if len(raw) > FILE_MAX_BYTES:
        raise SealInvalid("read sealed keys", path=path, reason="too large")
    return raw


def _parts(path: Path, raw: bytes) -> tuple[Label, bytes, bytes]:
    """The label, all bytes before the seal, and the seal."""
    if len(raw) < _HEADER.size:
        raise SealInvalid("read sealed keys", path=path, reason="too short")
    magic, size = _HEADER.unpack_from(raw)
    end = _HEADER.size + size
    if magic != _MAGIC or end > len(raw):
        raise SealInvalid("read sealed keys", path=path, reason="no sealed keys of a known version")
    try:
        label = msgspec.msgpack.decode(raw[_HEADER.size : end], type=Label)
    except UNDECODABLE:
        raise SealInvalid("read sealed keys", path=path, reason="no label") from None
    return label, raw[:end], raw[end:]


def _place(head: bytes) -> bytes:
    return _DOMAIN + hashlib.sha256(head).digest()
