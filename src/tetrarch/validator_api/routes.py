"""Every endpoint that this node answers itself. All others go to the beacon node as they are."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from tetrarch.validator_api import (
    aggregates,
    attestations,
    blocks,
    duty_lists,
    exits,
    node_facts,
    registrations,
    selections,
    sync_committee,
    validators,
)
from tetrarch.validator_api.api import ValidatorApi
from tetrarch.validator_api.messages import ApiAnswer, ApiRequest, PassThrough

KIB = 1024
MIB = 1024 * KIB
BLOCK_SIZE_MAX = 64 * MIB  # JSON of a block with all its blobs
PROXIED_SIZE_MAX = 16 * MIB

Handler: TypeAlias = Callable[[ValidatorApi, ApiRequest], Awaitable[ApiAnswer | PassThrough]]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint: ``{name}`` in the path is a parameter, ``body_max`` the largest body read."""

    method: str
    path: str
    handler: Handler
    body_max: int = 0


_STATES = "/eth/v1/beacon/states/{state_id}/validators"

# fmt: off
ROUTES: tuple[Route, ...] = (
    Route("GET", "/eth/v1/validator/attestation_data", attestations.produce_data),
    Route("POST", "/eth/v1/beacon/pool/attestations", attestations.submit_v1, 16 * MIB),
    Route("POST", "/eth/v2/beacon/pool/attestations", attestations.submit_v2, 16 * MIB),
    Route("POST", "/eth/v1/validator/beacon_committee_selections", selections.beacon_committee, 4 * MIB),
    Route("GET", "/eth/v1/validator/aggregate_attestation", aggregates.produce_v1),
    Route("GET", "/eth/v2/validator/aggregate_attestation", aggregates.produce_v2),
    Route("POST", "/eth/v1/validator/aggregate_and_proofs", aggregates.submit_v1, 16 * MIB),
    Route("POST", "/eth/v2/validator/aggregate_and_proofs", aggregates.submit_v2, 16 * MIB),
    Route("POST", "/eth/v1/beacon/pool/sync_committees", sync_committee.submit_messages, 4 * MIB),
    Route("POST", "/eth/v1/validator/sync_committee_selections", selections.sync_committee, 4 * MIB),
    Route("GET", "/eth/v1/validator/sync_committee_contribution", sync_committee.produce_contribution),
    Route("POST", "/eth/v1/validator/contribution_and_proofs", sync_committee.submit_contributions, 4 * MIB),
    Route("GET", "/eth/v3/validator/blocks/{slot}", blocks.produce_v3),
    Route("GET", "/eth/v2/validator/blocks/{slot}", blocks.produce_v2),
    Route("GET", "/eth/v1/validator/blocks/{slot}", blocks.produce_v1),
    Route("GET", "/eth/v4/validator/blocks/{slot}", blocks.gone),
    Route("GET", "/eth/v1/validator/blinded_blocks/{slot}", blocks.produce_blinded_v1),
    Route("POST", "/eth/v1/beacon/blocks", blocks.publish_v1, BLOCK_SIZE_MAX),
    Route("POST", "/eth/v2/beacon/blocks", blocks.publish_v2, BLOCK_SIZE_MAX),
    Route("POST", "/eth/v1/beacon/blinded_blocks", blocks.publish_blinded_v1, BLOCK_SIZE_MAX),
    Route("POST", "/eth/v2/beacon/blinded_blocks", blocks.publish_blinded_v2, BLOCK_SIZE_MAX),
    Route("POST", "/eth/v1/validator/duties/attester/{epoch}", duty_lists.attester, MIB),
    Route("POST", "/eth/v1/validator/duties/sync/{epoch}", duty_lists.sync, MIB),
    Route("GET", "/eth/v1/validator/duties/proposer/{epoch}", duty_lists.proposer_v1),
    Route("GET", "/eth/v2/validator/duties/proposer/{epoch}", duty_lists.proposer_v2),
    Route("GET", _STATES, validators.list_by_get),
    Route("POST", _STATES, validators.list_by_post, 8 * MIB),
    Route("GET", _STATES + "/{validator_id}", validators.one),
    Route("GET", "/eth/v1/node/version", node_facts.version),
    Route("GET", "/teku_proposer_config", node_facts.no_proposer_config),
    Route("GET", "/proposer_config", node_facts.no_proposer_config),
    Route("POST", "/eth/v1/validator/prepare_beacon_proposer", node_facts.prepare_proposer, 16 * MIB),
    Route("POST", "/eth/v1/validator/register_validator", registrations.submit, 16 * MIB),
    Route("POST", "/eth/v1/beacon/pool/voluntary_exits", exits.submit, 4 * KIB),
)
# fmt: on
