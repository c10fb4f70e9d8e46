"""While the node is held (see ``duties.safe_start``), nothing contradictable is given or taken."""

from tetrarch.validator_api.messages import ApiError
from tetrarch.validator_api.ports import Ports
from tetrarch.validator_api.routes import Route

# Votes, blocks and sync messages. Randao reveals and selections pass: two are always equal.
HELD_PATHS = frozenset(
    {
        "/eth/v1/beacon/pool/sync_committees",
        "/eth/v1/validator/attestation_data",
        "/eth/v1/beacon/pool/attestations",
        "/eth/v2/beacon/pool/attestations",
        "/eth/v1/validator/blocks/{slot}",
        "/eth/v2/validator/blocks/{slot}",
        "/eth/v3/validator/blocks/{slot}",
        "/eth/v1/validator/blinded_blocks/{slot}",
        "/eth/v1/beacon/blocks",
        "/eth/v2/beacon/blocks",
        "/eth/v1/beacon/blinded_blocks",
        "/eth/v2/beacon/blinded_blocks",
    }
)


def refuse_while_held(route: Route, ports: Ports) -> None:
    """Raises 503 with the reason, for a route on which something contradictable passes."""
    reason = ports.held_reason() if route.path in HELD_PATHS else None
    if reason is not None:
        raise ApiError(503, f"nothing is signed yet: {reason}")
