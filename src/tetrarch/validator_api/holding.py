"""While the node is held (see ``duties.safe_start``), votes and blocks are neither given nor taken."""

from tetrarch.validator_api.messages import ApiError
from tetrarch.validator_api.ports import Ports
from tetrarch.validator_api.routes import Route

# Only what can be slashed: randao reveals, selections and the sync committee's messages pass.
HELD_PATHS = frozenset(
    {
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
    """Raises 503 with the reason, for a route on which something slashable passes."""
    reason = ports.held_reason() if route.path in HELD_PATHS else None
    if reason is not None:
        raise ApiError(503, f"nothing is signed yet: {reason}")
