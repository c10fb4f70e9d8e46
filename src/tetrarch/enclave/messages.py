"""What all messages between a node and its enclave are made of: a base, and bounded fields."""

from typing import Annotated, TypeAlias

import msgspec

from tetrarch.enclave.sealing import Kind

PubKeyBytes: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=48, max_length=48)]
Root: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
# Without NUL, which no call of the system takes.
Path: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=4096, pattern="^[^\0]+$")]


class Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A value of the protocol: positional, immutable, with nothing extra."""


class ShareFile(Message, frozen=True):
    """Where one share lies, and which public share the cluster's lock says it must have."""

    pubkey: PubKeyBytes
    public_share: PubKeyBytes
    keystore: Path
    password: Path


class SecretFile(Message, frozen=True):
    """The file that opens a seal, which only the enclave reads, and what it holds.

    ``sealed_by``: opens the file itself, a key that the enclave makes at its first use.
    """

    path: Path
    kind: Kind
    sealed_by: "SecretFile | None" = None


class SealedFile(Message, frozen=True):
    """Where sealed keys lie, or will lie, and what opens them."""

    path: Path
    secret: SecretFile
