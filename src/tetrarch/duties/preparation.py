"""Preparation: tells the beacon node, each epoch, what it needs to know ahead of duties.

Fee recipients for blocks, and which subnets to join: a committee's when one of our validators
attests in it, with aggregators named as soon as their selection proofs are made; the sync
subcommittees' for their members. Where a validator client signs, it says the same through the
validator API; saying it twice is harmless.
"""

from collections.abc import Awaitable, Mapping
from typing import Protocol

from tetrarch.duties.errors import DutyUnavailable
from tetrarch.duties.types import (
    AttesterDefinition,
    DefinitionSet,
    Duty,
    DutyDefinition,
    PubKey,
    SignedDataSet,
)
from tetrarch.errors import Transient
from tetrarch.ethereum.beacon_node.ports import (
    BeaconNode,
    CommitteeSubscription,
    ProposerPreparation,
    SyncDuty,
    SyncSubscription,
)
from tetrarch.ethereum.spec import selection
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.presets import preset_named
from tetrarch.observability.logs import Log


class Schedule(Protocol):
    """Query: what the scheduler has resolved."""

    @property
    def validators(self) -> Mapping[int, PubKey]:
        """The cluster's validators by index."""
        ...

    def definitions_of(self, epoch: int) -> tuple[DutyDefinition, ...]:
        """All definitions of a resolved epoch."""
        ...

    def sync_members_of(self, epoch: int) -> tuple[SyncDuty, ...]:
        """The cluster's members of the sync committee of a resolved epoch."""
        ...

    async def get_duty_definition(self, duty: Duty) -> DefinitionSet:
        """The definitions of ``duty``."""
        ...


class Preparation:
    """Inputs: ``prepare``, ``prepare_sync``, ``selected``. A beacon node that is away is only logged."""

    def __init__(
        self,
        *,
        beacon_node: BeaconNode,
        fee_recipients: Mapping[PubKey, bytes],
        chain: ChainSpec,
        log: Log,
    ) -> None:
        """``fee_recipients`` is looked up each epoch: registrations change it."""
        self._beacon_node = beacon_node
        self._fee_recipients = fee_recipients
        self._chain = chain
        self._log = log

    async def prepare(self, epoch: int, schedule: Schedule) -> None:
        """Prepare ``epoch``, which is resolved."""
        preparations = tuple(
            ProposerPreparation(validator_index=index, fee_recipient=self._fee_recipients[pubkey])
            for index, pubkey in sorted(schedule.validators.items())
            if pubkey in self._fee_recipients
        )
        subscriptions = tuple(
            _subscription(definition)
            for definition in schedule.definitions_of(epoch)
            if isinstance(definition, AttesterDefinition)
        )
        if preparations:
            await self._tell(self._beacon_node.prepare_beacon_proposer(preparations))
        if subscriptions:
            await self._tell(self._beacon_node.subscribe_committees(subscriptions))

    async def prepare_sync(self, epoch: int, schedule: Schedule) -> None:
        """The sync committee of ``epoch`` is resolved."""
        members = tuple(
            SyncSubscription(
                validator_index=member.validator_index,
                positions=member.positions,
                until_epoch=self._period_end(epoch),
            )
            for member in schedule.sync_members_of(epoch)
        )
        if members:
            await self._tell(self._beacon_node.subscribe_sync_committees(members))

    async def selected(self, signed_set: SignedDataSet, schedule: Schedule) -> None:
        """The group's selection proofs of a slot: name those who will aggregate."""
        try:
            definitions = (await schedule.get_duty_definition(signed_set.duty)).definitions
        except DutyUnavailable:
            return
        proofs = {signed.pubkey: signed.signature for signed in signed_set.items}
        aggregators = tuple(
            _subscription(each, is_aggregator=True)
            for each in definitions
            if isinstance(each, AttesterDefinition)
            and each.pubkey in proofs
            and selection.is_aggregator(each.committee_length, proofs[each.pubkey])
        )
        if aggregators:
            await self._tell(self._beacon_node.subscribe_committees(aggregators))

    def _period_end(self, epoch: int) -> int:
        """The first epoch of the next sync committee's period."""
        epochs = preset_named(self._chain.preset).epochs_per_sync_committee_period
        return (epoch // epochs + 1) * epochs

    async def _tell(self, telling: Awaitable[None]) -> None:
        try:
            await telling
        except Transient as error:
            self._log.warning("preparation_failed", reason=str(error), code=error.code)


def _subscription(
    definition: AttesterDefinition, *, is_aggregator: bool = False
) -> CommitteeSubscription:
    return CommitteeSubscription(
        validator_index=definition.validator_index,
        slot=definition.slot,
        committee_index=definition.committee_index,
        committees_at_slot=definition.committees_at_slot,
        is_aggregator=is_aggregator,
    )
