"""What an operator may set about several beacon nodes. Times in milliseconds."""

from dataclasses import dataclass, field

from tetrarch.ethereum.beacon_nodes.health import HealthRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Defaults suit slots of any length: what is None is a share of the slot.

    ``vote_wait_ms``: after the first valid answer, how long late ones may still be heard.
    ``vote_limit_ms``: how long to wait while the answers heard convince nobody, too.
    """

    vote_wait_ms: float | None = None  # 1/24 slot
    vote_limit_ms: float | None = None  # 1/8 slot
    block_wait_ms: float | None = None  # 1/24 slot
    check_wait_ms: float = 1_000.0  # for the other nodes' duties
    hedge_ms: float = 300.0  # before a read goes to the next node, too
    poll_ms: float | None = None  # half a slot
    reconnect_ms: float = 1_000.0  # event streams
    event_idle_slots: int = 8  # a stream of head events that is silent so long is dead
    clock_disparity_ms: float = 500.0  # data may be asked for so early
    health: HealthRules = field(default_factory=HealthRules)
