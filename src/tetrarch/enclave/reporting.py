"""What a node says in its log of what protects its enclave, once, at the start."""

from pathlib import Path

from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.election_client import ElectionClient
from tetrarch.enclave.protections import Protection, missing
from tetrarch.observability.logs import Log

MEND = "see docs/explanation/enclave.md; with enclave.require a node refuses to run without them"
OLDER_MEND = "the folder was restored from a backup; it asks the others before it takes part"


async def tell_protections(enclave: EnclaveClient, log: Log) -> None:
    """One line with what is active, and one more if this host does not offer everything."""
    active = await enclave.protections()
    log.info("enclave_open", protections=", ".join(active))
    absent = missing(Protection, active)
    if absent:
        log.warning("enclave_unprotected", missing=", ".join(absent), mend=MEND)


def tell_age(election: ElectionClient, folder: Path, log: Log) -> None:
    """One line if a counter shows that the state in ``folder`` is not the newest."""
    if election.is_older:
        log.warning("election_state_older", folder=str(folder), mend=OLDER_MEND)
