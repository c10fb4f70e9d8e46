"""What the validator API asks of the node. Each Protocol is owned here, by its consumer."""

from dataclasses import dataclass
from typing import Protocol

from tetrarch.clock import Clock
from tetrarch.duties.ports import Compute
from tetrarch.duties.types import DefinitionSet, Duty, PubKey, ShareIndex
from tetrarch.entropy import Entropy
from tetrarch.ethereum.beacon_node.ports import BeaconNode
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.proposals import Proposal
from tetrarch.ethereum.spec.values import AttestationData


class Duties(Protocol):
    """Query: the scheduler's resolved duties."""

    async def get_duty_definition(self, duty: Duty) -> DefinitionSet:
        """What is to be done for ``duty``; raises one of ``duties.errors``."""
        ...


class DecidedData(Protocol):
    """Query: DutyDB. The awaits block until the data is there or the caller is cancelled."""

    async def await_beacon_block(self, slot: int) -> tuple[PubKey, Proposal]:
        """The agreed block of ``slot`` and its proposer's root key."""
        ...

    async def await_attestation(self, slot: int, committee_index: int) -> AttestationData:
        """The agreed data for any committee of a slot in which the cluster attests."""
        ...

    async def pub_key_by_attestation(
        self, slot: int, committee_index: int, validator_committee_index: int
    ) -> PubKey:
        """The root key of the validator at that place; raises ``DutyNotFound`` for another's."""
        ...


class Keys(Protocol):
    """Which key share stands for which validator. ``duties.keys.ClusterKeys``."""

    @property
    def share_index(self) -> ShareIndex:
        """The share that this node's validator client holds."""
        ...

    def share_of(self, root: PubKey) -> bytes | None:
        """Our public share of the validator ``root``, or None for a foreign one."""
        ...

    def root_of(self, share: bytes) -> PubKey | None:
        """The validator of which ``share`` is this node's public share, or None."""
        ...

    def owner_of(self, share: bytes) -> ShareIndex | None:
        """Which operator of the cluster holds the public share ``share``, or None."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """All that the validator API is built on."""

    duties: Duties
    decided: DecidedData
    keys: Keys
    beacon_node: BeaconNode
    chain: ChainSpec
    clock: Clock
    compute: Compute
    entropy: Entropy
