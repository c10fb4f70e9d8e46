"""A member that begins: its folder, its enclave, its machine. The same for every kind of sessions."""

from dataclasses import dataclass
from pathlib import Path

from tetrarch.clock import steady_ms
from tetrarch.election.configuration import Configuration
from tetrarch.election.documents import configuration_document
from tetrarch.election.hello import Hello
from tetrarch.election.keys import MemberKeys
from tetrarch.election.member import Member
from tetrarch.election.timing import Timing
from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.election_client import ElectionClient
from tetrarch.enclave.election_files import ElectionFiles
from tetrarch.enclave.reporting import tell_age
from tetrarch.enclave.seal_secret import SealSecret, make_key_file
from tetrarch.enclave.sealing import Kind
from tetrarch.enclave.state_key import state_secret
from tetrarch.entropy import Entropy, system_entropy
from tetrarch.observability.logs import Log
from tetrarch.storage.durable_file import write_durably
from tetrarch.storage.folders import make_folder

CONFIGURATION_FILE = "election.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Joining:
    """Who begins, from what. ``has_tpm``: the enclave was started with one, which vouches for it."""

    configuration: Configuration
    source: int
    files: ElectionFiles
    has_tpm: bool
    counts_by_tpm: bool
    accepts_cold_start: bool
    timing: Timing


@dataclass(frozen=True, slots=True)
class Joined:
    """A member that needs sessions yet."""

    client: ElectionClient
    member: Member
    _path: Path
    _configuration: Configuration
    _keys: MemberKeys

    def meet(self, hello: Hello) -> None:
        """The enclave took a member's hello: it is heard, and whoever checks certificates has its key."""
        self.member.meet(hello)
        _write_configuration(self._path, self._configuration, self._keys)


async def join(enclave: EnclaveClient, joining: Joining, *, entropy: Entropy, log: Log) -> Joined:
    """Open the election in ``enclave``, and build the member that it belongs to.

    Raises:
        OperatorError: seal, share, TPM or folder; says which, and how to mend it.
    """
    configuration, files = joining.configuration, joining.files
    if joining.has_tpm:
        counts = joining.counts_by_tpm
        entry = await enclave.open_tpm(files.folder, files.secret, counts=counts)
        log.info("enclave_attested", entry=str(entry))
    client = await ElectionClient.open(
        enclave,
        files,
        configuration=configuration,
        source=joining.source,
        entropy=entropy,
        accepts_cold_start=joining.accepts_cold_start,
    )
    tell_age(client, files.folder, log)
    keys = MemberKeys(client.pinned)
    member = Member(
        configuration,
        joining.source,
        keys=keys,
        enclave=client,
        log=log,
        now_s=lambda: steady_ms() / 1000,
        timing=joining.timing,
    )
    return Joined(client, member, files.folder / CONFIGURATION_FILE, configuration, keys)


def prepare_folder(
    folder: Path, passphrase_file: Path | None, entropy: Entropy = system_entropy
) -> SealSecret:
    """Make the folder, and what opens the seal: a key file in it where no passphrase is given.

    Raises:
        FolderNotWritable: it refuses.
    """
    if passphrase_file is None:
        return prepare_node_folder(folder, None, entropy)
    make_folder(folder, parents=True)
    return SealSecret(Kind.PASSPHRASE, passphrase_file)


def prepare_node_folder(
    folder: Path, secret: SealSecret | None, entropy: Entropy = system_entropy
) -> SealSecret:
    """As ``prepare_folder``, in a node's own folder, whose seal ``secret`` opens if there is one.

    Raises:
        FolderNotWritable: it refuses.
    """
    make_folder(folder, parents=True)
    state = state_secret(folder, secret)
    if state.sealed_by is None:  # else the enclave makes it
        make_key_file(state.path, entropy)
    return state


def _write_configuration(path: Path, configuration: Configuration, keys: MemberKeys) -> None:
    """For who checks certificates; it can be made again, so a full disk is no reason to stop."""
    document = configuration_document(configuration, keys)
    try:
        if not path.exists() or path.read_bytes() != document:
            write_durably(path, document)
    except OSError:
        return
