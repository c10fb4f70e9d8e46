"""Adds and removes a node's shares in its running enclave, with the history that belongs to them.

The process around the enclave sees a keystore as text and its password, hands both on and
keeps neither; only the enclave decrypts. Only this node's shares of the cluster's validators are
taken: a share of another node would give one operator two votes.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import msgspec

from tetrarch.cluster.load import share_keystores
from tetrarch.cluster.types import Cluster, ClusterValidator
from tetrarch.duties.types import PubKey
from tetrarch.enclave.interchange import Interchange
from tetrarch.enclave.key_messages import (
    DOCUMENT_MAX_BYTES,
    KEYSTORE_MAX_BYTES,
    PASSWORD_MAX_BYTES,
    AddShare,
    ExportHistory,
    ImportHistory,
    KeyCall,
    Named,
    RemoveShares,
)
from tetrarch.enclave.messages import ShareFile
from tetrarch.errors import InputInvalid, OperatorError, Transient
from tetrarch.keymanager.messages import Import, Outcome, Status, pubkey_of
from tetrarch.observability.logs import Log

EXPORTED_AT_ONCE = 50  # a key's history has some 50 kB
_NOT_OF_ONE_KEY = ("enclave_gone", "enclave_slow")


# Adds the records of an interchange file, by root key and the names that it has there.
AlsoImport: TypeAlias = Callable[[Interchange, Mapping[bytes, tuple[bytes, ...]]], Awaitable[None]]


class EnclaveKeys(Protocol):
    """The enclave, as far as keys come and go: ``enclave.client.EnclaveClient``."""

    async def keep(self, call: KeyCall) -> bytes:
        """Do what the call asks."""
        ...


class Held(Protocol):
    """The shares that can sign now: ``signer_api.api.HeldKeys``."""

    def root_of(self, share: bytes) -> bytes | None:
        """The root key of a share that is held."""
        ...

    def shares(self) -> tuple[bytes, ...]:
        """All that are held."""
        ...

    def add(self, share: bytes, root: bytes) -> None:
        """The enclave has it now."""
        ...

    def remove(self, share: bytes) -> None:
        """The enclave has it no longer."""
        ...


class KeyKeeper:
    """One node's keys."""

    def __init__(
        self,
        *,
        folder: Path,
        cluster: Cluster,
        enclave: EnclaveKeys,
        held: Held,
        log: Log,
        also_import: AlsoImport | None = None,
    ) -> None:
        """``also_import``: another history that learns what the enclave's learns: a node's own."""
        self._cluster = cluster
        self._also_import = also_import
        self._enclave = enclave
        self._held = held
        self._log = log
        self._own = dict(cluster.by_own_share)
        paths = share_keystores(folder, cluster)
        self._files = {
            validator.pubkey: ShareFile(
                validator.pubkey,
                validator.public_share(cluster.share_index),
                str(path),
                str(path.with_suffix(".txt")),
            )
            for validator, path in zip(cluster.validators, paths, strict=True)
        }

    def shares(self) -> tuple[bytes, ...]:
        """The public shares that are held."""
        return self._held.shares()

    def trouble(self) -> str | None:
        """Why this node cannot sign for all validators, or None."""
        lacking = len(self._own) - len(self._held.shares())
        return f"{lacking} of {len(self._own)} shares are not in the enclave" if lacking else None

    def validator_of(self, share: bytes) -> ClusterValidator | None:
        """The validator of which ``share`` is this node's, held or not."""
        return self._own.get(share)

    async def add(self, wanted: Import) -> tuple[Outcome, ...]:
        """Import the history first, then each key; one outcome for each keystore.

        Raises:
            OperatorError: the history is of another chain, or no such file: no key was added.
            Transient: the enclave is busy or its disk full: no key was added.
        """
        if wanted.slashing_protection is not None:
            await self._import(wanted.slashing_protection.encode())
        return tuple(
            [
                await self._add(keystore, password)
                for keystore, password in zip(wanted.keystores, wanted.passwords, strict=True)
            ]
        )

    async def remove(self, shares: Sequence[bytes]) -> tuple[tuple[Outcome, ...], bytes]:
        """Remove keys; one outcome for each, and the history of all that are this node's.

        The history is read after the keys sign no more: it is complete.
        """
        outcomes = [await self._remove(share) for share in shares]
        own = tuple(dict.fromkeys(share for share in shares if share in self._own))
        document = await self._export(own)
        recorded = {entry["pubkey"] for entry in document["data"]}
        for place, share in enumerate(shares):
            if outcomes[place].status is Status.NOT_FOUND and "0x" + share.hex() in recorded:
                outcomes[place] = Outcome(status=Status.NOT_ACTIVE)
        return tuple(outcomes), msgspec.json.encode(document)

    async def _add(self, keystore: str, password: str) -> Outcome:
        content, secret = keystore.encode(), password.encode()
        validator = self._wanted(content, secret)
        if isinstance(validator, str):
            return Outcome(status=Status.ERROR, message=validator)
        file = self._files[validator.pubkey]
        if self._held.root_of(file.public_share) is not None:
            return Outcome(status=Status.DUPLICATE)
        try:
            await self._enclave.keep(AddShare(file, content, secret))
        except (OperatorError, Transient) as error:
            if error.code in _NOT_OF_ONE_KEY:
                raise
            return Outcome(status=Status.ERROR, message=error.code)
        self._held.add(file.public_share, validator.pubkey)
        self._log.info("share_added", share="0x" + file.public_share.hex()[:14])
        return Outcome(status=Status.IMPORTED)

    def _wanted(self, keystore: bytes, password: bytes) -> ClusterValidator | str:
        """The validator whose share it is said to be, or why it cannot be taken."""
        if len(keystore) > KEYSTORE_MAX_BYTES or len(password) > PASSWORD_MAX_BYTES:
            return "keystore or password too long"
        if password != password.rstrip(b"\r\n"):
            return "the password ends with a line end, which its file would lose"
        try:
            share = pubkey_of(keystore.decode())
        except InputInvalid:
            return "no EIP-2335 keystore with its pubkey"
        validator = self._own.get(share)
        if validator is None:
            whose = self._cluster.holder_of(share) or "no share of this cluster"
            return f"not this node's share: {whose}"
        return validator

    async def _remove(self, share: bytes) -> Outcome:
        root = self._held.root_of(share)
        if root is None:
            return Outcome(status=Status.NOT_FOUND)
        self._held.remove(share)
        try:
            await self._enclave.keep(RemoveShares((root,)))
        except (OperatorError, Transient) as error:
            if error.code in _NOT_OF_ONE_KEY:
                raise
            message = f"signs no more, but its file could not be deleted: {error.code}"
            return Outcome(status=Status.ERROR, message=message)
        self._log.info("share_removed", share="0x" + share.hex()[:14])
        return Outcome(status=Status.DELETED)

    async def _import(self, document: bytes) -> None:
        """Records may stand under a validator's root key or under our share of it."""
        if len(document) > DOCUMENT_MAX_BYTES:
            raise InputInvalid(
                "import history", bytes=len(document), maximum_bytes=DOCUMENT_MAX_BYTES
            )
        names: dict[bytes, tuple[bytes, ...]] = {}
        parsed = Interchange.parse(document)
        for key in parsed.keys:
            validator = self._own.get(key) or self._cluster.by_pubkey.get(PubKey(key))
            if validator is not None:
                names[validator.pubkey] = (*names.get(validator.pubkey, ()), key)
        owners = tuple(Named(root, keys) for root, keys in sorted(names.items()))
        await self._enclave.keep(ImportHistory(document, owners))
        if self._also_import is not None:
            await self._also_import(parsed, names)

    async def _export(self, shares: Sequence[bytes]) -> dict[str, Any]:
        """The interchange of ``shares``, each under its public share; asked for in pieces."""
        whole: dict[str, Any] = {}
        for start in range(0, max(len(shares), 1), EXPORTED_AT_ONCE):
            some = shares[start : start + EXPORTED_AT_ONCE]
            keys = tuple(Named(self._own[share].pubkey, (share,)) for share in some)
            piece = msgspec.json.decode(await self._enclave.keep(ExportHistory(keys)))
            if whole:
                whole["data"] += piece["data"]
            else:
                whole = piece
        return whole
