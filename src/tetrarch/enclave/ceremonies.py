"""Holds an operator's ceremonies in an enclave's process that opened nothing else."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tetrarch.attestation.binding import Subject, report_data
from tetrarch.attestation.verifier import encode_evidence
from tetrarch.crypto.hpke import KEY_SIZE_BYTES
from tetrarch.election.keys import SigningKey
from tetrarch.election.values import BOOT_SIZE_BYTES
from tetrarch.enclave import editions, history, restored
from tetrarch.enclave.backups import restore_backup, write_backup
from tetrarch.enclave.ceremony_messages import (
    AskEvidence,
    CeremonyAnswer,
    CeremonyCall,
    EvidenceMade,
    MakeOwnKeys,
    MakeTpmKey,
    OwnKeysMade,
    RestoreBackup,
    SealShares,
    SharesSealed,
    TpmKeyMade,
    WriteBackup,
)
from tetrarch.enclave.errors import (
    OwnKeysAbsent,
    SealAbsent,
    SealInvalid,
    SealSecretWrong,
    TpmKeyExists,
)
from tetrarch.enclave.host import Host
from tetrarch.enclave.messages import SealedFile, ShareFile
from tetrarch.enclave.opening import delete_share, open_shares, sealed_shares
from tetrarch.enclave.seal_secret import SealSecret
from tetrarch.enclave.sealed_keys import KeptShare, OwnKeys, SealedKeys
from tetrarch.enclave.sealing import Kind
from tetrarch.enclave.secret_reading import SecretReader
from tetrarch.enclave.state_key import seal_state_key
from tetrarch.entropy import Entropy
from tetrarch.storage.durable_file import write_durably
from tetrarch.storage.errors import cannot_create
from tetrarch.storage.lock import OwnerLock
from tetrarch.storage.sqlite import commit_group, open_connection


def hold(call: CeremonyCall, host: Host) -> CeremonyAnswer:
    """Do what ``call`` asks.

    Raises:
        TetrarchError: it cannot be done; what was durable stays, and the same call goes on from it.
    """
    match call:
        case SealShares():
            return seal_shares(call, host.entropy, host.read)
        case MakeOwnKeys():
            return make_own_keys(call, host)
        case AskEvidence():
            return make_evidence(call, host)
        case MakeTpmKey():
            return make_tpm_key(call, host)
        case WriteBackup():
            return write_backup(call, host.entropy, host.read)
        case RestoreBackup():
            return restore_backup(call, host.entropy, host.read)


def seal_shares(
    call: SealShares, entropy: Entropy, read: SecretReader | None = None
) -> SharesSealed:
    """Bring shares from keystores into the sealed file, or that under another secret.

    In this order, each step durable: the sealed file; its edition in the database; the key of other
    state; and, after the file was opened anew and holds all that it should, the keystores' end.
    Broken off anywhere, all shares are in one of the two, and the same call does the rest.

    Raises:
        StorageInUse: the node runs.
        SealAbsent: nothing is sealed yet, so nothing can be sealed anew.
        SealOld, SealInvalid, SealSecretMissing, SealSecretWrong: of the sealed file.
        ShareFileMissing, ShareInvalid, PasswordWrong, ShareSwapped: of a keystore.
    """
    read = read or SecretReader(entropy)
    with _locked(Path(call.database)) as (database, path):
        sealed, is_sealed_anew = _opened(call, entropy, read)
        newest = editions.newest(database) if call.accepts_older else 0
        if not call.accepts_older:
            editions.check(database, sealed.kept.edition, path=sealed.path)
        in_keystores = [file for file in call.shares if Path(file.keystore).exists()]
        opened = open_shares(in_keystores)
        known = sealed_shares(call.shares, sealed)
        news = {
            file.pubkey: KeptShare(file.public_share, opened[file.pubkey])
            for file in in_keystores
            if file.pubkey not in known
        }
        secret = None
        if call.new_secret is not None and not is_sealed_anew:
            secret = SealSecret.of(call.new_secret)
        if news or secret is not None or not sealed.kept.edition or sealed.kept.edition < newest:
            sealed.change(shares=news, secret=secret, above=newest)
        current = SealedFile(call.sealed.path, call.new_secret or call.sealed.secret)
        _verify(sealed, current, entropy, read)
        _note(database, path, sealed)
        if call.state_key is not None:
            seal_state_key(
                Path(call.state_key),
                SealSecret.of(call.sealed.secret),
                SealSecret.of(current.secret),
                entropy=entropy,
                read=read,
            )
        removed = 0
        if call.removes_files:
            removed = _remove(call.shares, sealed)
        return SharesSealed(
            edition=sealed.kept.edition,
            newly_sealed=len(news),
            sealed=len(sealed.kept.shares),
            absent=sum(file.pubkey not in sealed.kept.shares for file in call.shares),
            files_left=0 if call.removes_files else len(in_keystores),
            files_removed=removed,
            is_sealed_anew=call.new_secret is not None,
        )


def make_own_keys(call: MakeOwnKeys, host: Host) -> OwnKeysMade:
    """Make the enclave's own keys, sealed beside its shares; once.

    Raises:
        OperatorError: as ``seal_shares``.
    """
    entropy = host.entropy
    with _locked(Path(call.database)) as (database, path):
        sealed = SealedKeys.open(call.sealed, entropy, host.read)
        editions.check(database, sealed.kept.edition, path=sealed.path)
        own = sealed.kept.own
        is_new = own is None
        if own is None:
            own = OwnKeys(entropy(KEY_SIZE_BYTES), entropy(KEY_SIZE_BYTES))
            sealed.change(own=own)
            _note(database, path, sealed)
        public = own.public
        return OwnKeysMade(public.signing_key, public.sealing_key, is_new)


def make_evidence(call: AskEvidence, host: Host) -> EvidenceMade:
    """Evidence by this enclave about its own keys, for who drew the nonce. Changes nothing.

    Raises:
        OwnKeysAbsent: it has none.
        SealInvalid, SealSecretMissing, SealSecretWrong: of the sealed file.
    """
    own = SealedKeys.open(call.sealed, host.entropy, host.read).kept.own
    if own is None:
        raise OwnKeysAbsent("make evidence", path=call.sealed.path)
    public, incarnation = own.public, host.entropy(BOOT_SIZE_BYTES)
    subject = Subject(
        signing_key=public.signing_key,
        sealing_key=public.sealing_key,
        node=call.node,
        configuration_hash=call.configuration_hash,
        incarnation=incarnation,
    )
    bound = report_data(subject, call.nonce)
    evidence = host.attester.evidence(bound, SigningKey(own.signing_secret).sign)
    return EvidenceMade(
        encode_evidence(evidence), public.signing_key, public.sealing_key, incarnation, bound
    )


def make_tpm_key(call: MakeTpmKey, host: Host) -> TpmKeyMade:
    """Make a file from which this machine's TPM alone derives a secret; try it.

    Raises:
        TpmMissing, TpmFailed: there is no TPM, or it does not.
        TpmKeyExists, FolderNotWritable: the file cannot be written.
    """
    path = Path(call.path)
    if path.exists():
        raise TpmKeyExists("make TPM key file", path=path)
    content = host.make_tpm_key(call.registers)
    try:
        write_durably(path, content)
    except OSError as error:
        raise cannot_create("make TPM key file", path, error) from None
    host.read(SealSecret(Kind.TPM, path))
    return TpmKeyMade()


@contextmanager
def _locked(path: Path) -> Iterator[tuple[sqlite3.Connection, Path]]:
    """The enclave's database, which no node has open meanwhile."""
    lock = OwnerLock.acquire(path.with_name(path.name + ".lock"))
    try:
        schemas = (history.SCHEMA, editions.SCHEMA, restored.SCHEMA)
        with closing(open_connection(path, schemas)) as database:
            yield database, path
    finally:
        lock.release()


def _opened(call: SealShares, entropy: Entropy, read: SecretReader) -> tuple[SealedKeys, bool]:
    """The sealed file, and whether it is under the new secret already."""
    if call.new_secret is None:
        return SealedKeys.open(call.sealed, entropy, read), False
    if not Path(call.sealed.path).exists():
        raise SealAbsent("seal keys anew", path=call.sealed.path)
    try:
        return SealedKeys.open(call.sealed, entropy, read), False
    except (SealInvalid, SealSecretWrong) as error:
        # A former call may have been broken off after this file was there.
        try:
            new = SealedFile(call.sealed.path, call.new_secret)
            return SealedKeys.open(new, entropy, read), True
        except (SealInvalid, SealSecretWrong):
            raise error from None


def _verify(sealed: SealedKeys, file: SealedFile, entropy: Entropy, read: SecretReader) -> None:
    """Open the file anew, from its secret on, and hold each share against its public key."""
    again = SealedKeys.open(file, entropy, read).kept
    right = again.is_like(sealed.kept) and all(
        share.secret.public_key() == share.public_share for share in again.shares.values()
    )
    if not right:
        raise SealInvalid("verify sealed keys", path=sealed.path, reason="not what was written")


def _note(database: sqlite3.Connection, path: Path, sealed: SealedKeys) -> None:
    edition = sealed.kept.edition
    (outcome,) = commit_group(database, (lambda c: editions.note(c, edition),), path=path)
    if outcome.error is not None:
        raise outcome.error


def _remove(files: tuple[ShareFile, ...], sealed: SealedKeys) -> int:
    """Remove keystores and passwords of what is sealed; how many keystores or passwords lay there."""
    removed = 0
    for file in files:
        lie = [path for path in (Path(file.keystore), Path(file.password)) if path.exists()]
        if lie and file.pubkey in sealed.kept.shares:
            delete_share(file)
            removed += len(lie)
    return removed
