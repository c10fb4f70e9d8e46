"""What can be wrong with the enclave, its files or what it is asked."""

from typing import ClassVar

from tetrarch.errors import InputInvalid, OperatorError, Transient

EX_DATAERR = 65
EX_NOINPUT = 66
EX_UNAVAILABLE = 69
EX_SOFTWARE = 70
EX_CANTCREAT = 73
EX_NOPERM = 77


class EnclaveGone(OperatorError):
    """The enclave process ended: nothing can be signed until a new one is started."""

    code = "enclave_gone"
    exit_code: ClassVar[int] = EX_SOFTWARE
    mend = "see its last lines above, then start the node again"


class EnclaveRefused(OperatorError):
    """The enclave did not do what it was told; ``reason`` is its own error."""

    code = "enclave_refused"
    mend = "mend what the reason names"


class ProtectionMissing(OperatorError):
    """The host does not let the enclave protect itself as the configuration demands."""

    code = "protection_missing"
    exit_code: ClassVar[int] = EX_NOPERM
    mend = "let the host (kernel, container, limits) allow it, or demand less in enclave.require"


class TpmMissing(OperatorError):
    """There is no TPM at this path, or the node's user may not use it."""

    code = "tpm_missing"
    exit_code: ClassVar[int] = EX_UNAVAILABLE
    mend = "name a TPM's resource manager, usually /dev/tpmrm0, that this user may read and write"


class TpmFailed(OperatorError):
    """The TPM did not do what it was asked for; ``response`` is its own code (TPM_RC)."""

    code = "tpm_failed"
    exit_code: ClassVar[int] = EX_UNAVAILABLE
    mend = "see docs/how-to/attest-by-a-tpm.md; without --tpm the enclave speaks for itself"


class BootChanged(TpmFailed):
    """The TPM keeps back what it derived before: its PCRs hold something else now."""

    code = "tpm_boot_changed"
    mend = (
        "boot the machine as it was when the TPM key file was made; after a wanted change of its "
        "firmware or boot loader, restore a backup and seal it with a new TPM key file"
    )


class TpmKeyExists(OperatorError):
    """There is a file of this name already, and keys may be sealed by it."""

    code = "tpm_key_exists"
    exit_code: ClassVar[int] = EX_CANTCREAT
    mend = "name another file"


class CounterMissing(OperatorError):
    """The member is counted by another TPM, or none, than the one that it is given."""

    code = "counter_missing"
    exit_code: ClassVar[int] = EX_UNAVAILABLE
    mend = "start it with or without --tpm-counter as at its first start, and on the same machine"


class EnclaveSlow(Transient):
    """No answer in time. The request may be approved and recorded; asking again is safe."""

    code = "enclave_slow"


class FrameInvalid(InputInvalid):
    """Bytes on the enclave's socket that are no message of its protocol."""

    code = "enclave_frame_invalid"


class NotConfigured(InputInvalid):
    """The enclave was asked for something before it was told its chain."""

    code = "enclave_not_configured"


class ShareFileMissing(OperatorError):
    """A keystore or its password file is not there or cannot be read."""

    code = "share_file_missing"
    exit_code: ClassVar[int] = EX_NOINPUT
    mend = "restore the file from the backup of this node's folder, or correct its permissions"


class ShareInvalid(OperatorError):
    """A keystore is not an EIP-2335 file, or holds no BLS key."""

    code = "share_invalid"
    exit_code: ClassVar[int] = EX_DATAERR
    mend = "restore the file from the backup of this node's folder"


class PasswordWrong(OperatorError):
    """The password file does not open its keystore."""

    code = "share_password_wrong"
    exit_code: ClassVar[int] = EX_DATAERR
    mend = "restore the password file that belongs to this keystore"


class ShareSwapped(OperatorError):
    """A keystore opens, but holds another share than the cluster's lock says; says whose."""

    code = "share_swapped"
    exit_code: ClassVar[int] = EX_DATAERR
    mend = "put each node's own keystores back, under the numbers they were created with"


class WrongChain(OperatorError):
    """The slashing history belongs to a chain with another genesis validators root."""

    code = "wrong_chain"
    mend = "connect the beacon node of the right network; never reuse a history on another chain"


class InterchangeInvalid(OperatorError):
    """The file is no EIP-3076 interchange of version 5."""

    code = "interchange_invalid"
    exit_code: ClassVar[int] = EX_DATAERR
    mend = "export it again from the validator client that signed before"


class SealInvalid(OperatorError):
    """Sealed state that does not open: it is none, was changed, or belongs to another node."""

    code = "seal_invalid"
    exit_code: ClassVar[int] = EX_DATAERR
    mend = "restore the file from the newest backup of this node's folder"


class SealSecretWrong(OperatorError):
    """The passphrase, key file or TPM is another one than the state was sealed with."""

    code = "seal_secret_wrong"
    exit_code: ClassVar[int] = EX_DATAERR
    mend = "give the passphrase, key file or TPM that this node was started with before"


class SealSecretMissing(OperatorError):
    """The file with the passphrase or key is not there, is empty, too long or readable by others."""

    code = "seal_secret_missing"
    exit_code: ClassVar[int] = EX_NOINPUT
    mend = "name a file that exists, with mode 0600"


class SealOld(OperatorError):
    """The sealed keys are older than those that this node had, or are gone."""

    code = "seal_old"
    exit_code: ClassVar[int] = EX_DATAERR
    mend = (
        "put the newest file back; if it is lost, `tetrarch enclave seal --accept-older-keys` takes "
        "this one, with keys that were removed since"
    )


class SealAbsent(OperatorError):
    """There are no sealed keys yet, so there is nothing to seal anew."""

    code = "seal_absent"
    exit_code: ClassVar[int] = EX_NOINPUT
    mend = "seal them first, without a new passphrase, key or TPM key file"


class SealSecretUnnamed(OperatorError):
    """The keys are sealed, and nothing names the file that opens them."""

    code = "seal_secret_unnamed"
    mend = "set enclave.passphrase_file, key_file or tpm_key_file, or give the option of that name"


class SharesSealed(OperatorError):
    """The shares are sealed, and no command takes keys out of a seal."""

    code = "shares_sealed"
    mend = "move them to another machine with `tetrarch enclave backup` and `restore`"


class OwnKeysAbsent(OperatorError):
    """The enclave has no keys of its own yet, so nobody could check what it says."""

    code = "own_keys_absent"
    exit_code: ClassVar[int] = EX_NOINPUT
    mend = "make them with `tetrarch enclave keygen`"


class BackupInvalid(OperatorError):
    """The file is no backup, or was changed or cut short."""

    code = "backup_invalid"
    exit_code: ClassVar[int] = EX_DATAERR
    mend = "take another copy of the backup"


class BackupExists(OperatorError):
    """The file to write the backup to exists; nothing is overwritten."""

    code = "backup_exists"
    exit_code: ClassVar[int] = EX_CANTCREAT
    mend = "name another file"


class BackupTooLarge(OperatorError):
    """A file of the folder is larger than a backup takes."""

    code = "backup_too_large"
    exit_code: ClassVar[int] = EX_DATAERR
    mend = "copy this file by hand"


class FolderRestored(OperatorError):
    """The folder comes from a backup, and no peer has said yet what its keys signed since."""

    code = "folder_restored"
    mend = (
        "let the node ask its peers; only where there are none to ask, and nobody signed with these "
        "keys since the backup, accept it by --accept-rollback-risk"
    )


class NotRecovered(Transient):
    """Nothing slashable is signed in a restored folder until the peers were asked."""

    code = "not_recovered"
