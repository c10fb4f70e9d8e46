"""What a node says in its log of what protects its enclave, once, at the start."""

from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.protections import Protection, missing
from tetrarch.observability.logs import Log

MEND = "see docs/explanation/enclave.md; with enclave.require a node refuses to run without them"


async def tell_protections(enclave: EnclaveClient, log: Log) -> None:
    """One line with what is active, and one more if this host does not offer everything."""
    active = await enclave.protections()
    log.info("enclave_open", protections=", ".join(active))
    absent = missing(Protection, active)
    if absent:
        log.warning("enclave_unprotected", missing=", ".join(absent), mend=MEND)
