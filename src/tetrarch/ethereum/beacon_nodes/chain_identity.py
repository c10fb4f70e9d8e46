"""Which chain the nodes follow; one of another chain is left out by name, the others go on.

The chain must be the cluster's, where the caller knows which that is. Its constants, the fork
schedule with them, are what more than half of the nodes say: signing domains depend on them.
"""

from collections.abc import Hashable
from dataclasses import dataclass

from tetrarch.ethereum.beacon_node.errors import BeaconNodeAnswerInvalid, BeaconNodeUnreachable
from tetrarch.ethereum.beacon_node.ports import BeaconNode, Genesis
from tetrarch.ethereum.beacon_nodes.asking import ask_within, successes
from tetrarch.ethereum.beacon_nodes.checking import ask_checked
from tetrarch.ethereum.beacon_nodes.member import Call, Member
from tetrarch.ethereum.beacon_nodes.pool import Pool
from tetrarch.ethereum.spec.chain import ChainSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class OurChain:
    """What is known beforehand of the chain that nodes must follow. None: nothing."""

    fork_version: bytes | None = None  # of genesis
    validators_root: bytes | None = None  # of genesis

    def differs(self, genesis: Genesis) -> bool:
        """Whether ``genesis`` is another chain's."""
        return (self.fork_version or genesis.fork_version) != genesis.fork_version or (
            self.validators_root or genesis.validators_root
        ) != genesis.validators_root


@dataclass(frozen=True, slots=True)
class _Identity:
    genesis: Genesis
    spec: ChainSpec

    @property
    def chain(self) -> Hashable:
        """What makes it another chain. Nodes may know of different future forks."""
        genesis, spec = self.genesis, self.spec
        return genesis, spec.preset, spec.slot_duration_ms, spec.slots_per_epoch


class ChainIdentity:
    """Which chain this is. Asked until it is known; who says otherwise is left out from then on."""

    def __init__(self, pool: Pool, ours: OurChain) -> None:
        self._pool = pool
        self._ours = ours
        self._known: _Identity | None = None
        self._verified: set[int] = set()  # only tested for membership
        self._call = Call("chain_spec", self._ask)

    @property
    def known_spec(self) -> ChainSpec | None:
        """The constants, if they were asked for already."""
        return None if self._known is None else self._known.spec

    async def spec(self) -> ChainSpec:
        """The chain's constants; raises what ``BeaconNode`` does."""
        return (await self.find()).spec

    async def genesis(self) -> Genesis:
        """The chain's genesis; raises what ``BeaconNode`` does."""
        return (await self.find()).genesis

    async def find(self, *, agreeing: int = 1) -> _Identity:
        """Ask, unless it is known; at least ``agreeing`` nodes must say the same.

        Raises:
            BeaconNodeUnreachable, BeaconNodeRefused, BeaconNodeAnswerInvalid: too few do.
        """
        if self._known is not None:
            return self._known
        found, checked = await ask_checked(self._pool, self._call, lambda each: each)
        agreement = checked.agreement
        if len(agreement.supporters) < agreeing:
            raise BeaconNodeUnreachable(
                "ask beacon nodes",
                reason="too few agree on the chain",
                agree=len(agreement.supporters),
                needed=agreeing,
            )
        self._known = found
        self._verified.update(agreement.supporters)
        return found

    async def verify(self, *, limit_s: float) -> None:
        """Ask those who have not said yet which chain they follow, and those left out again."""
        if self._known is None:
            return
        unsure = [each for each in self._pool.members if each.place not in self._verified]
        replies = await ask_within(unsure, self._call, limit_s=limit_s)
        for reply in successes(replies):
            member = reply.member
            if reply.value.chain != self._known.chain:
                self._leave_out(member)
                continue
            self._verified.add(member.place)
            if member.foreign:
                member.foreign = False
                self._pool.log.info("beacon_node_on_our_chain", beacon_node=member.name)

    async def _ask(self, node: BeaconNode) -> _Identity:
        found = _Identity(await node.genesis(), await node.chain_spec())
        if self._ours.differs(found.genesis):
            for member in self._pool.members:
                if member.node is node:
                    self._leave_out(member)
            raise BeaconNodeAnswerInvalid(
                "check chain",
                node=node.name,
                reason="another chain",
                fork_version="0x" + found.genesis.fork_version.hex(),
                validators_root="0x" + found.genesis.validators_root.hex(),
            )
        return found

    def _leave_out(self, member: Member) -> None:
        if not member.foreign:
            member.foreign = True
            self._pool.log.error(
                "beacon_node_on_another_chain",
                beacon_node=member.name,
                mend="use a beacon node of the cluster's network",
            )
