"""Preparation: tells the beacon node, each epoch, what it needs to know ahead of duties.

Fee recipients for blocks, and which attestation subnets to join. Where a validator client
signs, it says the same through the validator API; saying it twice is harmless.
"""

from collections.abc import Mapping

from tetrarch.duties.types import AttesterDefinition, DutyDefinition, PubKey
from tetrarch.errors import Transient
from tetrarch.ethereum.beacon_node.ports import (
    BeaconNode,
    CommitteeSubscription,
    ProposerPreparation,
)
from tetrarch.observability.logs import Log


class Preparation:
    """Input: ``prepare``, once an epoch is resolved. A beacon node that is away is only logged."""

    def __init__(
        self, *, beacon_node: BeaconNode, fee_recipients: Mapping[PubKey, bytes], log: Log
    ) -> None:
        self._beacon_node = beacon_node
        self._fee_recipients = dict(fee_recipients)
        self._log = log

    async def prepare(
        self, definitions: tuple[DutyDefinition, ...], indices: Mapping[int, PubKey]
    ) -> None:
        """Prepare the epoch with ``definitions``; ``indices`` are our validators on the chain."""
        preparations = tuple(
            ProposerPreparation(validator_index=index, fee_recipient=self._fee_recipients[pubkey])
            for index, pubkey in sorted(indices.items())
            if pubkey in self._fee_recipients
        )
        subscriptions = tuple(
            CommitteeSubscription(
                validator_index=definition.validator_index,
                slot=definition.slot,
                committee_index=definition.committee_index,
                committees_at_slot=definition.committees_at_slot,
            )
            for definition in definitions
            if isinstance(definition, AttesterDefinition)
        )
        try:
            if preparations:
                await self._beacon_node.prepare_beacon_proposer(preparations)
            if subscriptions:
                await self._beacon_node.subscribe_committees(subscriptions)
        except Transient as error:
            self._log.warning("preparation_failed", reason=str(error))
