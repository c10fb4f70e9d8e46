"""What can be wrong with cluster files, by what a person must do about it."""

from tetrarch.errors import OperatorError

EXIT_DATA = 65  # sysexits.h EX_DATAERR
EXIT_NO_INPUT = 66  # EX_NOINPUT
EXIT_CANNOT_CREATE = 73  # EX_CANTCREAT


class ClusterFileMissing(OperatorError):
    """A file of the node folder is not there or cannot be read."""

    code = "cluster_file_missing"
    exit_code = EXIT_NO_INPUT
    mend = "give the folder that 'tetrarch cluster create' wrote, with all its files readable"


class ClusterFileInvalid(OperatorError):
    """A file does not have the form it must have; says where."""

    code = "cluster_file_invalid"
    exit_code = EXIT_DATA
    mend = "restore the file from its backup or from another operator"


class ClusterFilesWrong(OperatorError):
    """Lock or extension do not verify: a hash or signature in them is wrong."""

    code = "cluster_files_wrong"
    exit_code = EXIT_DATA
    mend = "restore both files from another operator; 'tetrarch cluster verify' lists every finding"


class IdentityUnknown(OperatorError):
    """The folder's identity key belongs to no operator of its lock."""

    code = "identity_unknown"
    exit_code = EXIT_DATA
    mend = "put the identity key and the lock of one and the same node into the folder"


class TlsKeyMismatch(OperatorError):
    """The TLS key or certificate is not the one that the extension pins for this node."""

    code = "tls_key_mismatch"
    exit_code = EXIT_DATA
    mend = "restore tls-key.pem and tls-certificate.pem of this node"


class PasswordWrong(OperatorError):
    """A keystore does not open with the password file beside it."""

    code = "password_wrong"
    exit_code = EXIT_DATA
    mend = "restore the .txt password file that belongs to the keystore"


class ClusterFolderExists(OperatorError):
    """The target folder already has content; nothing is overwritten."""

    code = "cluster_folder_exists"
    exit_code = EXIT_CANNOT_CREATE
    mend = "name a new folder"


class ClusterFolderUnwritable(OperatorError):
    """The target folder cannot be written."""

    code = "cluster_folder_unwritable"
    exit_code = EXIT_CANNOT_CREATE
    mend = "name a folder on a writable file system with free space"
