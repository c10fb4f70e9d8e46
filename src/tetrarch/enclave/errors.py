"""What can be wrong with the enclave, its files or what it is asked."""

from typing import ClassVar

from tetrarch.errors import InputInvalid, OperatorError, Transient

EX_DATAERR = 65
EX_NOINPUT = 66
EX_SOFTWARE = 70
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
    """The passphrase or key file is another one than the state was sealed with."""

    code = "seal_secret_wrong"
    exit_code: ClassVar[int] = EX_DATAERR
    mend = "give the passphrase or key file that this node was started with before"


class SealSecretMissing(OperatorError):
    """The file with the passphrase or key is not there, is empty, too long or readable by others."""

    code = "seal_secret_missing"
    exit_code: ClassVar[int] = EX_NOINPUT
    mend = "name a file that exists, with mode 0600"
