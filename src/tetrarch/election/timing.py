"""How long a member waits for what. Pure."""

from dataclasses import dataclass

from tetrarch.errors import ConfigInvalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds, but for what is named otherwise. Safety depends on none of it."""

    heartbeat_s: float = 0.1
    slack_heartbeats: float = 1.0  # how irregular heartbeats may be without suspicion
    suspect_phi: float = 8.0
    settle_s: float = 0.2  # for so long a list stands before it is voted for
    echo_s: float = 1.0  # for so long a member may be unstable before all give it up
    term_s: float = 0.4  # the first term's time; each that fails doubles it
    term_max_s: float = 6.4
    retry_s: float = 0.2  # reservations are asked for again
    terms_ahead: int = 8  # of which so many are reserved

    def __post_init__(self) -> None:
        for name in ("heartbeat_s", "slack_heartbeats", "settle_s", "echo_s", "term_s", "retry_s"):
            if not 0 < getattr(self, name) <= 3600:
                raise ConfigInvalid("build election timing", field=name, expected="0 to 3600 s")
        if not 1 <= self.suspect_phi <= 300:
            raise ConfigInvalid("build election timing", field="suspect_phi", expected="1 to 300")
        if self.term_max_s < self.term_s or not 1 <= self.terms_ahead <= 512:
            raise ConfigInvalid("build election timing", field="term_max_s or terms_ahead")

    def term_length_s(self, failed: int) -> float:
        """How long the term after ``failed`` ones without a leader may take."""
        return min(self.term_s * 2.0 ** min(failed, 30), self.term_max_s)
