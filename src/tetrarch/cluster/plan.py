"""What a new cluster shall be: checked before any key is made."""

from dataclasses import dataclass
from typing import Final

from tetrarch.cluster.addresses import ADDRESS_SIZE_BYTES, ZERO_ADDRESS
from tetrarch.cluster.definition import NAME_SIZE_MAX, OPERATORS_MAX, VALIDATORS_MAX
from tetrarch.cluster.deposits import GAS_LIMIT_DEFAULT, amounts_to_sign
from tetrarch.cluster.extension import check_address
from tetrarch.cluster.networks import Network
from tetrarch.cluster.verify_definition import OPERATORS_MIN, THRESHOLD_MIN
from tetrarch.errors import ConfigInvalid, InputInvalid

MAINNET: Final = "mainnet"


def default_threshold(node_count: int) -> int:
    """ceil(2n / 3): no two disjoint sets of so many nodes, and f of n may fail."""
    return -(-2 * node_count // 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPlan:
    """A checked wish. ``addresses`` are ``host:port`` hints by node, or empty for none.

    Raises ConfigInvalid when it is built from what cannot be.
    """

    node_count: int
    threshold: int
    validator_count: int
    network: Network
    fee_recipient: bytes
    withdrawal_address: bytes
    created_at_s: int  # Unix seconds; registrations carry it where the genesis time is unknown
    name: str = ""
    addresses: tuple[str, ...] = ()
    deposit_amounts: tuple[int, ...] = ()  # gwei; none: the defaults
    compounding: bool = False
    gas_limit: int = GAS_LIMIT_DEFAULT
    public_keys_known: bool = False  # the root keys are interop keys, which everybody has
    insecure_keystores: bool = False

    def __post_init__(self) -> None:
        self._check_counts()
        self._check_chain()
        if len(self.name.encode()) > NAME_SIZE_MAX:
            raise ConfigInvalid("plan cluster", name_size_max=NAME_SIZE_MAX)
        if not 0 < self.gas_limit < 2**63:
            raise ConfigInvalid("plan cluster", gas_limit=self.gas_limit)
        if self.addresses and len(self.addresses) != self.node_count:
            raise ConfigInvalid("plan cluster", addresses=len(self.addresses))
        try:
            amounts_to_sign(self.deposit_amounts, compounding=self.compounding)
            for index, address in enumerate(self.addresses):
                check_address(address, field=f"address of node {index}")
        except InputInvalid as error:
            raise ConfigInvalid(error.action, **error.fields) from error

    def _check_counts(self) -> None:
        if not OPERATORS_MIN <= self.node_count <= OPERATORS_MAX:
            raise ConfigInvalid(
                "plan cluster", nodes=self.node_count, allowed=f"{OPERATORS_MIN}..{OPERATORS_MAX}"
            )
        if not THRESHOLD_MIN <= self.threshold <= self.node_count:
            raise ConfigInvalid(
                "plan cluster",
                threshold=self.threshold,
                allowed=f"{THRESHOLD_MIN}..{self.node_count}",
            )
        if not 1 <= self.validator_count <= VALIDATORS_MAX:
            raise ConfigInvalid(
                "plan cluster", validators=self.validator_count, allowed=f"1..{VALIDATORS_MAX}"
            )

    def _check_chain(self) -> None:
        """On a chain where keys are worth something, nothing may be public, weak or unowned."""
        for what, address in (
            ("--fee-recipient", self.fee_recipient),
            ("--withdrawal-address", self.withdrawal_address),
        ):
            if len(address) != ADDRESS_SIZE_BYTES:
                raise ConfigInvalid("plan cluster", option=what, reason="not an address")
            if self.network.public and address == ZERO_ADDRESS:
                raise ConfigInvalid(
                    "plan cluster", option=what, reason=f"is required on {self.network.name}"
                )
        if self.network.public and self.public_keys_known:
            raise ConfigInvalid(
                "plan cluster",
                option="--interop",
                reason=f"interop keys are public and must not be used on {self.network.name}",
            )
        if self.network.name == MAINNET and self.insecure_keystores:
            raise ConfigInvalid(
                "plan cluster", option="--insecure-keystores", reason="refused on mainnet"
            )
