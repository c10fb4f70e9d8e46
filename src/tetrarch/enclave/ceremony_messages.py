"""Messages of the ceremonies that an operator holds with an enclave: `tetrarch enclave`.

Each names files and what opens them; keys stay in the enclave's process.
"""

from typing import Annotated, TypeAlias

import msgspec

from tetrarch.attestation.binding import REPORT_DATA_SIZE_BYTES
from tetrarch.attestation.tpm_structures import REGISTERS
from tetrarch.attestation.verifier import ENVELOPE_MAX_BYTES
from tetrarch.enclave.messages import Message, Path, Root, SealedFile, SecretFile, ShareFile
from tetrarch.enclave.sealed_keys import SHARES_MAX
from tetrarch.enclave.tpm_messages import OpenTpm

NAMES_MAX = 256
NODE_MAX = 256

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Shares: TypeAlias = Annotated[tuple[ShareFile, ...], msgspec.Meta(max_length=SHARES_MAX)]
# Of a file in a node's folder: nothing that leads out of it.
Name: TypeAlias = Annotated[
    str,
    msgspec.Meta(
        max_length=255,
        pattern=r"\A[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*){0,2}\Z",
    ),
]


class SealShares(Message, frozen=True, tag="seal_shares"):
    """Seal those of ``shares`` that lie in keystores, or all that is sealed under ``new_secret``.

    ``state_key``: sealed by the same secret, if it is there (``secret_reading``).
    """

    database: Path
    sealed: SealedFile
    shares: Shares
    new_secret: SecretFile | None = None
    removes_files: bool = False
    accepts_older: bool = False
    state_key: Path | None = None


class SharesSealed(Message, frozen=True, tag="shares_sealed"):
    """What was done; ``files_left``: keystores that still lie beside the seal.

    ``sealed``: all that the file holds; ``absent``: shares that are neither there nor in keystores.
    """

    edition: Count
    newly_sealed: Count
    sealed: Count
    absent: Count
    files_left: Count
    files_removed: Count
    is_sealed_anew: bool


class MakeOwnKeys(Message, frozen=True, tag="make_own_keys"):
    """Make keys of the enclave's own, if it has none."""

    database: Path
    sealed: SealedFile


class OwnKeysMade(Message, frozen=True, tag="own_keys_made"):
    """The public halves; ``is_new``: they were made now."""

    signing_key: Root
    sealing_key: Root
    is_new: bool


class AskEvidence(Message, frozen=True, tag="ask_evidence"):
    """Show to who drew ``nonce`` who you are; see ``attestation.binding``. ``tpm``: by it."""

    sealed: SealedFile
    node: Annotated[str, msgspec.Meta(max_length=NODE_MAX)]
    configuration_hash: Root
    nonce: Root
    tpm: OpenTpm | None = None


class EvidenceMade(Message, frozen=True, tag="evidence_made"):
    """``evidence``: an envelope of ``attestation.verifier``, about ``bound``."""

    evidence: Annotated[bytes, msgspec.Meta(max_length=ENVELOPE_MAX_BYTES)]
    signing_key: Root
    sealing_key: Root
    incarnation: Root
    bound: Annotated[
        bytes, msgspec.Meta(min_length=REPORT_DATA_SIZE_BYTES, max_length=REPORT_DATA_SIZE_BYTES)
    ]


class MakeTpmKey(Message, frozen=True, tag="make_tpm_key"):
    """Make the TPM key file ``path`` (``tpm_key_file``); ``registers``: that must hold what they do."""

    path: Path
    registers: Annotated[
        tuple[Annotated[int, msgspec.Meta(ge=0, lt=len(REGISTERS))], ...],
        msgspec.Meta(max_length=len(REGISTERS)),
    ]


class TpmKeyMade(Message, frozen=True, tag="tpm_key_made"):
    """It is there, and the TPM derives a secret from it."""


class WriteBackup(Message, frozen=True, tag="write_backup"):
    """Seal shares, own keys, histories and ``names`` of ``folder`` into ``output`` with ``secret``.

    ``databases``: those of the histories, whose locks are taken meanwhile. ``state_key``: in the
    folder too, copied as it is without a seal.
    """

    folder: Path
    names: Annotated[tuple[Name, ...], msgspec.Meta(max_length=NAMES_MAX)]
    databases: Annotated[tuple[Path, ...], msgspec.Meta(max_length=2)]
    sealed: SealedFile | None
    shares: Shares
    output: Path
    secret: SecretFile
    state_key: SecretFile | None = None


class BackupWritten(Message, frozen=True, tag="backup_written"):
    """What is in it."""

    shares: Count
    has_own_keys: bool
    history_keys: Count
    files: Annotated[tuple[Name, ...], msgspec.Meta(max_length=NAMES_MAX)]
    size_bytes: Count


class RestoreBackup(Message, frozen=True, tag="restore_backup"):
    """Make a node's folder in the empty ``folder``; ``sealed``: of its keys, there.

    ``databases``: the enclave's first; each gets the histories and the mark of ``restored``.
    """

    backup: Path
    secret: SecretFile
    folder: Path
    sealed: SealedFile
    databases: Annotated[tuple[Path, ...], msgspec.Meta(min_length=2, max_length=2)]


class BackupRestored(Message, frozen=True, tag="backup_restored"):
    """What was in it."""

    shares: Count
    has_own_keys: bool
    history_keys: Count
    files: Annotated[tuple[Name, ...], msgspec.Meta(max_length=NAMES_MAX)]


CeremonyCall: TypeAlias = (
    SealShares | MakeOwnKeys | AskEvidence | MakeTpmKey | WriteBackup | RestoreBackup
)
CeremonyAnswer: TypeAlias = (
    SharesSealed | OwnKeysMade | EvidenceMade | TpmKeyMade | BackupWritten | BackupRestored
)
