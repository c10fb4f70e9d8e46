"""A beacon node that lies, among honest ones: what its node must see through."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from enum import StrEnum
from random import Random

from tetrarch.clock import Clock
from tetrarch.duties.types import Duty, Payload, PubKey
from tetrarch.ethereum.beacon_node.errors import (
    BeaconNodeAnswerInvalid,
    BeaconNodeRefused,
    BeaconNodeUnreachable,
)
from tetrarch.ethereum.beacon_node.ports import (
    AttesterDuties,
    BeaconEvent,
    BlockRequest,
    BlockSummary,
    FinalityCheckpoints,
    Genesis,
    ProposerDuties,
    SyncDuties,
    ValidatorRecord,
)
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.domains import ForkActivation
from tetrarch.ethereum.spec.proposals import Proposal
from tetrarch.ethereum.spec.values import AttestationData, Checkpoint, Fork
from tetrarch.sim.beacon_node import SimBeaconNode
from tetrarch.sim.chain import SLOTS_PER_EPOCH, SimChain

SILENCE_S = 4.0  # then a real client gives up
SLOWNESS_S = 3.0
FLOOD_PAUSE_S = 0.7
RICHES_WEI = 10**30


class Lie(StrEnum):
    """What is wrong with it, for the whole run."""

    HEAD = "head"  # a root that nobody knows
    FUTURE = "future"  # data of a later slot or epoch
    FORK = "fork"  # all as on another branch, whose votes surround main's
    SOURCE = "source"  # a source that would be slashable, or keep honest votes from being signed
    DUTIES = "duties"  # other duties, or none
    BLOCK = "block"  # a rich block on a wrong parent
    CHAIN = "chain"  # another genesis, or another fork schedule
    EVENTS = "events"  # a flood of heads and reorgs
    SILENT = "silent"
    SLOW = "slow"
    ERRORS = "errors"  # status 500
    RUBBISH = "rubbish"  # answers that are none
    MIXED = "mixed"  # each answer another lie, or the truth


_MIXED = tuple(lie for lie in Lie if lie is not Lie.MIXED)


class LyingBeaconNode(SimBeaconNode):
    """Lies as ``lie`` says, and never heals.

    With ``drops`` it drops what is submitted to it, and says that it took it. That costs nothing
    as long as the others answer; while they are in trouble nobody could tell.
    """

    def __init__(
        self, chain: SimChain, *, node: int, label: str, clock: Clock, rng: Random, lie: Lie
    ) -> None:
        super().__init__(chain, node=node, label=label, clock=clock, rng=rng)
        self.drops = False
        self._kind = lie

    def _lie(self) -> Lie:
        return self._rng.choice(_MIXED) if self._kind is Lie.MIXED else self._kind

    def _root(self) -> bytes:
        return self._rng.randbytes(32)

    def _submit(self, duty: Duty, pubkey: PubKey, payload: Payload, signature: bytes) -> None:
        if not self.drops:
            super()._submit(duty, pubkey, payload, signature)

    async def _answer(self, *, error_rate: float = 0.0) -> None:
        await super()._answer(error_rate=error_rate)
        match self._lie():
            case Lie.SILENT:
                await asyncio.sleep(SILENCE_S)
                raise BeaconNodeUnreachable("ask beacon node", node=self._node)
            case Lie.SLOW:
                await asyncio.sleep(SLOWNESS_S)
            case Lie.ERRORS:
                raise BeaconNodeRefused("ask beacon node", status=500, message="by design")
            case Lie.RUBBISH:
                raise BeaconNodeAnswerInvalid("ask beacon node", node=self._node)
            case _:
                pass

    async def genesis(self) -> Genesis:
        """See ``BeaconNode``."""
        true = await super().genesis()
        other = self._lie() is Lie.CHAIN and self._node % 2
        return replace(true, validators_root=self._root()) if other else true

    async def chain_spec(self) -> ChainSpec:
        """See ``BeaconNode``."""
        true = await super().chain_spec()
        if self._lie() is not Lie.CHAIN:
            return true
        activation = ForkActivation(fork=Fork.ELECTRA, version=bytes(4), epoch=0)
        return replace(true, forks=replace(true.forks, activations=(activation,)))

    async def attestation_data(self, slot: int, committee_index: int) -> AttestationData:
        """See ``BeaconNode``."""
        true = await super().attestation_data(slot, committee_index)
        epoch = slot // SLOTS_PER_EPOCH
        match self._lie():
            case Lie.HEAD:
                return replace(true, beacon_block_root=self._root())
            case Lie.FUTURE if self._rng.random() < 0.5:
                return replace(true, slot=slot + self._rng.randrange(1, 20))
            case Lie.FUTURE:
                return replace(true, target=Checkpoint(epoch=epoch + 1, root=self._root()))
            case Lie.FORK:
                return self._chain.attestation_data(slot, lag=0, branch="fork")
            case Lie.SOURCE:
                source = epoch + self._rng.choice([-9, -2, -1, 0, 3])
                return replace(true, source=Checkpoint(epoch=max(source, 0), root=self._root()))
            case _:
                return true

    async def finality_checkpoints(self, state_id: str = "head") -> FinalityCheckpoints:
        """See ``BeaconNode``."""
        true = await super().finality_checkpoints(state_id)
        made_up = Checkpoint(epoch=true.current_justified.epoch, root=self._root())
        is_true = self._lie() not in (Lie.FORK, Lie.SOURCE)
        return true if is_true else replace(true, current_justified=made_up)

    async def head(self) -> BlockSummary:
        """See ``BeaconNode``."""
        true = await super().head()
        return replace(true, root=self._root()) if self._lie() in (Lie.HEAD, Lie.FORK) else true

    async def validators(
        self, pubkeys: tuple[bytes, ...], *, state_id: str = "head"
    ) -> tuple[ValidatorRecord, ...]:
        """See ``BeaconNode``."""
        true = await super().validators(pubkeys, state_id=state_id)
        return () if self._lie() is Lie.DUTIES else true

    async def attester_duties(self, epoch: int, indices: tuple[int, ...]) -> AttesterDuties:
        """See ``BeaconNode``."""
        true = await super().attester_duties(epoch, indices)
        if self._lie() is not Lie.DUTIES:
            return true
        first, shift = epoch * SLOTS_PER_EPOCH, self._rng.randrange(1, SLOTS_PER_EPOCH)
        moved = (
            replace(duty, slot=first + (duty.slot - first + shift) % SLOTS_PER_EPOCH)
            for duty in true.duties
        )
        return replace(true, dependent_root=self._root(), duties=tuple(moved))

    async def proposer_duties(self, epoch: int) -> ProposerDuties:
        """See ``BeaconNode``."""
        true = await super().proposer_duties(epoch)
        return replace(true, duties=()) if self._lie() is Lie.DUTIES else true

    async def sync_duties(self, epoch: int, indices: tuple[int, ...]) -> SyncDuties:
        """See ``BeaconNode``."""
        true = await super().sync_duties(epoch, indices)
        return replace(true, duties=()) if self._lie() is Lie.DUTIES else true

    async def produce_block(self, request: BlockRequest) -> Proposal:
        """See ``BeaconNode``."""
        self._parent_root = self._root() if self._lie() is Lie.BLOCK else None
        made = await super().produce_block(request)
        rich = self._parent_root is not None
        return replace(made, execution_value_wei=RICHES_WEI) if rich else made

    async def events(self, topics: tuple[str, ...]) -> AsyncGenerator[BeaconEvent, None]:
        """See ``BeaconNode``."""
        if self._kind is not Lie.EVENTS:
            async for event in super().events(topics):
                yield event
            return
        while True:
            await asyncio.sleep(FLOOD_PAUSE_S)
            slot = self._chain.spec.slot_at(self._clock.wall_s()) + self._rng.choice([-1, 0, 0, 1])
            made_up = ["0x" + self._root().hex() for _ in range(4)]
            yield BeaconEvent(topic="head", data=_head(slot, *made_up[:3]))
            depth = self._rng.randrange(1, 2 * SLOTS_PER_EPOCH)
            reorg = {"old_head_block": made_up[0], "new_head_block": made_up[3]}
            yield BeaconEvent(
                topic="chain_reorg", data={"slot": str(slot), "depth": str(depth), **reorg}
            )


def _head(slot: int, block: str, previous: str, current: str) -> dict[str, str]:
    return {
        "slot": str(slot),
        "block": block,
        "previous_duty_dependent_root": previous,
        "current_duty_dependent_root": current,
    }
