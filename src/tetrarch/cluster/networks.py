"""The chains that a cluster can be made for.

Source: reference section 1.4; genesis times of gnosis and chiado: their published genesis states.
"""

from dataclasses import dataclass

from tetrarch.errors import ConfigInvalid

FORK_VERSION_SIZE_BYTES = 4
DEVELOPMENT_FORK_VERSION = bytes.fromhex("00000001")  # the minimal preset's genesis


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One chain as lock files know it.

    ``genesis_fork_version`` is its name in a lock. ``chain_id`` (execution layer) and
    ``genesis_time_s`` (Unix seconds) are None where a custom chain did not state them.
    """

    name: str
    genesis_fork_version: bytes
    chain_id: int | None
    genesis_time_s: int | None
    public: bool  # whether keys on it are worth something to somebody


def _public(name: str, fork_version: str, chain_id: int, genesis_time_s: int) -> Network:
    return Network(
        name=name,
        genesis_fork_version=bytes.fromhex(fork_version),
        chain_id=chain_id,
        genesis_time_s=genesis_time_s,
        public=True,
    )


NETWORKS: tuple[Network, ...] = (
    _public("mainnet", "00000000", 1, 1606824023),
    _public("sepolia", "90000069", 11155111, 1655733600),
    _public("hoodi", "10000910", 560048, 1742213400),
    _public("gnosis", "00000064", 100, 1638993340),
    _public("chiado", "0000006f", 10200, 1665396300),
)


def network_named(name: str) -> Network:
    """The public network ``name``; raises ConfigInvalid listing the known ones."""
    for network in NETWORKS:
        if network.name == name:
            return network
    known = ",".join(network.name for network in NETWORKS)
    raise ConfigInvalid("choose network", network=name, known=known)


def network_of(fork_version: bytes) -> Network | None:
    """The public network whose genesis fork has ``fork_version``, or None."""
    for network in NETWORKS:
        if network.genesis_fork_version == fork_version:
            return network
    return None


def network_for(
    fork_version: bytes, *, chain_id: int | None = None, genesis_time_s: int | None = None
) -> Network:
    """The network of a genesis fork version: a public one where it is known, else a custom one.

    Raises:
        ConfigInvalid: not 4 bytes.
    """
    if len(fork_version) != FORK_VERSION_SIZE_BYTES:
        raise ConfigInvalid("choose network", fork_version=fork_version.hex(), expected_bytes=4)
    return network_of(fork_version) or Network(
        name="dev" if fork_version == DEVELOPMENT_FORK_VERSION else "custom",
        genesis_fork_version=fork_version,
        chain_id=chain_id,
        genesis_time_s=genesis_time_s,
        public=False,
    )
