"""What the beacon node said of the chain, kept in the folder: a signer need not reach one again."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tetrarch.decoding import UNDECODABLE
from tetrarch.enclave import protocol
from tetrarch.errors import InputInvalid, OperatorError, Transient
from tetrarch.ethereum.beacon_node.ports import BeaconNode
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.observability.logs import Log
from tetrarch.storage.errors import cannot_create

FILE_NAME = "database/chain.json"
RETRY_S = 1.0


class ChainUnknown(OperatorError):
    """No beacon node answers, and none ever told this signer its chain."""

    code = "chain_unknown"
    exit_code = 69  # sysexits.h EX_UNAVAILABLE
    mend = "name a beacon node that can be reached at the first start, and after each fork's date"


class ChainMemoryInvalid(OperatorError):
    """The file with the remembered chain is damaged."""

    code = "chain_memory_invalid"
    exit_code = 65  # sysexits.h EX_DATAERR
    mend = "delete the file, and start once with a beacon node that can be reached"


async def learn_chain(
    folder: Path, beacon_nodes: Sequence[BeaconNode], *, wait_s: float, log: Log
) -> ChainSpec:
    """The chain as the first beacon node that answers tells it, or as it was told last.

    Without a memory a beacon node is waited for, ``wait_s`` at most.

    Raises:
        ChainUnknown: neither is there.
        ChainMemoryInvalid: the memory is damaged, and all beacon nodes are away.

    Effects: what the beacon node tells is remembered.
    """
    path = folder / FILE_NAME
    remembered = path.exists()
    loop = asyncio.get_running_loop()
    give_up_s = loop.time() + (0 if remembered else wait_s)
    while True:
        for beacon_node in beacon_nodes:
            try:
                chain = await beacon_node.chain_spec()
            except Transient as error:
                log.warning(
                    "beacon_node_away",
                    beacon_node=beacon_node.name,
                    reason=str(error),
                    code=error.code,
                )
            else:
                _write(path, chain)
                return chain
        if loop.time() >= give_up_s:
            break
        await asyncio.sleep(RETRY_S)
    if not remembered:
        raise ChainUnknown("learn chain", asked=",".join(each.name for each in beacon_nodes))
    log.warning("chain_remembered", file=str(path))
    return _read(path)


def _read(path: Path) -> ChainSpec:
    try:
        call = msgspec.json.decode(path.read_bytes(), type=protocol.Configure)
        return protocol.chain_of(call)
    except (*UNDECODABLE, OSError, InputInvalid) as error:
        raise ChainMemoryInvalid("read chain", file=path, reason=type(error).__name__) from None


def _write(path: Path, chain: ChainSpec) -> None:
    content = msgspec.json.encode(protocol.configure_call(chain))
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise cannot_create("remember chain", path, error) from error
