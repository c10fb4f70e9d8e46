"""What an operator may set about several beacon nodes. Times in milliseconds."""

from dataclasses import dataclass, field

from tetrarch.ethereum.beacon_nodes.health import HealthRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Defaults suit slots of any length: what is None is a share of the slot.

    ``vote_wait_ms``: after the first valid answer, how long late ones may still be heard.
    ``vote_limit_ms``: the same while no two of three or more nodes agree. Likewise for blocks (the
    same parent) and for all that is compared (``check``).
    """

    vote_wait_ms: float | None = None  # 1/24 slot
    vote_limit_ms: float | None = None  # 1/8 slot
    block_wait_ms: float | None = None  # 1/24 slot
    block_limit_ms: float | None = None  # 1/8 slot
    check_wait_ms: float = 1_000.0  # for the other nodes' duties
    check_limit_ms: float = 4_000.0
    hedge_ms: float = 300.0  # before a read goes to the next node, too
    poll_ms: float | None = None  # half a slot
    reconnect_ms: float = 1_000.0  # event streams
    event_idle_slots: int = 8  # a stream of head events that is silent so long is dead
    clock_disparity_ms: float = 500.0  # data may be asked for so early
    health: HealthRules = field(default_factory=HealthRules)
