"""A node's shares, sealed or in keystores: what its enclave must open, and whose a misplaced one is.

The node knows the cluster and opens no keystore; the enclave opens keystores and knows no
cluster. What one of them needs of the other is here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tetrarch.cluster.files import CLUSTER_KEY_FOLDER, VALIDATOR_KEYS_FOLDER
from tetrarch.cluster.keystore_files import keystore_path
from tetrarch.cluster.load import share_keystores
from tetrarch.cluster.types import Cluster
from tetrarch.config import EnclaveConfig
from tetrarch.enclave.errors import SealSecretUnnamed, ShareSwapped
from tetrarch.enclave.messages import SealedFile, ShareFile
from tetrarch.enclave.seal_secret import SealSecret
from tetrarch.enclave.sealed_keys import read_label
from tetrarch.enclave.sealing import Kind
from tetrarch.storage.folders import make_folder

ENCLAVE_FOLDER = "enclave"
SEALED_KEYS_FILE = "keys.sealed"
# Of [enclave]: what names a secret of which kind.
SECRET_SETTINGS = {
    Kind.PASSPHRASE: "passphrase_file",
    Kind.KEY_FILE: "key_file",
    Kind.TPM: "tpm_key_file",
}


def share_files(
    folder: Path, cluster: Cluster, *, only_present: bool = False
) -> tuple[ShareFile, ...]:
    """The files of this node's shares, each with the public share it must hold; opens none.

    ``only_present``: leave out shares that are neither sealed nor in a keystore; a keymanager may
    bring them.

    Raises:
        SealInvalid: the sealed keys' file is none.
    """
    files = tuple(
        _share_file(validator.pubkey, validator.public_share(cluster.share_index), path)
        for validator, path in zip(
            cluster.validators, share_keystores(folder, cluster), strict=True
        )
    )
    present = _present(folder, files)
    return present if only_present else files


def cluster_share_file(folder: Path, cluster: Cluster) -> ShareFile:
    """The file of this node's share of the cluster's own key."""
    path = keystore_path(folder / CLUSTER_KEY_FOLDER, 0)
    key = cluster.cluster_key
    return _share_file(key.public_key, key.public_shares[cluster.peer_index], path)


def all_share_files(
    folder: Path, cluster: Cluster, *, only_present: bool = False
) -> tuple[ShareFile, ...]:
    """As ``share_files``, and that of the cluster's own key if it is there.

    Raises:
        SealInvalid: the sealed keys' file is none.
    """
    shares = share_files(folder, cluster, only_present=only_present)
    return (*shares, *_present(folder, (cluster_share_file(folder, cluster),)))


def _share_file(pubkey: bytes, public_share: bytes, keystore: Path) -> ShareFile:
    password = keystore.with_suffix(".txt")
    return ShareFile(pubkey, public_share, str(keystore), str(password))


def _present(folder: Path, files: tuple[ShareFile, ...]) -> tuple[ShareFile, ...]:
    """Those of ``files`` that are sealed or in a keystore."""
    labelled = read_label(sealed_keys_path(folder))
    sealed = set() if labelled is None else {public.pubkey for public in labelled[0].shares}
    return tuple(file for file in files if file.pubkey in sealed or Path(file.keystore).exists())


def sealed_keys_path(folder: Path) -> Path:
    """Where the sealed keys of a node's ``folder`` lie."""
    return folder / ENCLAVE_FOLDER / SEALED_KEYS_FILE


def seal_secret(folder: Path, config: EnclaveConfig) -> SealSecret | None:
    """What opens the seal, as ``config`` names it; None: it names nothing."""
    for kind, setting in SECRET_SETTINGS.items():
        if name := getattr(config, setting):
            return SealSecret(kind, folder / name)
    return None


def sealed_file(folder: Path, secret: SealSecret | None) -> SealedFile | None:
    """Where shares are sealed, or will be; None: they lie in keystores, and nothing is to be sealed.

    Raises:
        SealSecretUnnamed: they are sealed, and there is no ``secret``.
        OperatorError: the folder for the file cannot be made.
    """
    path = sealed_keys_path(folder)
    if secret is None:
        if path.exists():
            raise SealSecretUnnamed("open sealed keys", path=path)
        return None
    make_folder(path.parent)
    return SealedFile(str(path), secret.file)


def make_key_folder(folder: Path) -> Path:
    """The folder of this node's keystores, which is there afterwards.

    Raises:
        OperatorError: it cannot be made.
    """
    return make_folder(folder / VALIDATOR_KEYS_FOLDER)


@contextmanager
def naming_holders(cluster: Cluster) -> Iterator[None]:
    """Inside the block the enclave opens the files: its error then says whose share is there."""
    try:
        yield
    except ShareSwapped as error:
        holds = bytes.fromhex(str(error.fields["holds"]).removeprefix("0x"))
        whose = cluster.holder_of(holds) or "no share of this cluster"
        fields = {**error.fields, "holds": whose, "this_node": cluster.peer_index}
        raise ShareSwapped(error.action, **fields) from error
