"""By what rules a node is judged: whose profile is of use, who is put aside, and for how long. Pure.

Times are wall-clock seconds since 2020.
"""

from dataclasses import dataclass, field

from tetrarch.network.conduct import BAD_AT_POINTS, UNREACHABLE, Conduct, ScoreRules, score
from tetrarch.network.overlay.addresses import may_be_told
from tetrarch.network.overlay.profile import Profile, Topic


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRules:
    """When a node is put aside, and for how long. An operator may tune all of it."""

    score: ScoreRules = field(default_factory=ScoreRules)
    quarantine_at_points: float = BAD_AT_POINTS
    failures_max: int = 2  # in a row
    # The first; each one after that takes twice as long. No shorter than profiles are believed, for
    # else the last words of a dead node would bring it back.
    quarantine_s: float = 600.0
    quarantine_max_s: float = 86_400.0
    quarantined_max: int = 1024
    profile_age_max_s: int = 600
    profile_ahead_max_s: int = 60
    private_addresses: bool = False
    plain_nodes: bool = True  # without TLS
    alone_after_s: float = 60.0  # heard of nobody for so long: it is our own network

    def is_ahead(self, profile: Profile, now_s: float) -> bool:
        """Its node's clock, or its node, lies."""
        return profile.time_s > now_s + self.profile_ahead_max_s

    def is_stale(self, profile: Profile, now_s: float) -> bool:
        """So old that its node may be gone."""
        return profile.time_s <= now_s - self.profile_age_max_s

    def has_use(self, profile: Profile) -> bool:
        """Whether we, and those whom we tell, could dial its node."""
        if not profile.certificate and not self.plain_nodes:
            return False
        return may_be_told(profile.address, private_allowed=self.private_addresses)

    def verdict(
        self, conduct: Conduct[Topic], *, now_s: float, own_height: int | None
    ) -> str | None:
        """Why a node is to be put aside, if it is."""
        if len(conduct.failures_s) >= self.failures_max:
            return UNREACHABLE
        is_bad = self.is_bad(conduct, now_s=now_s, own_height=own_height)
        return "score" if is_bad else None

    def is_bad(
        self, conduct: Conduct[Topic], *, now_s: float, own_height: int | None = None
    ) -> bool:
        """Whether it has too few points."""
        points = score(conduct, self.score, now_s=now_s, own_height=own_height)
        return points <= self.quarantine_at_points

    def quarantine_for_s(self, times_before: int) -> float:
        """How long, if it was put aside so often before."""
        return min(self.quarantine_max_s, self.quarantine_s * 2.0 ** min(times_before, 32))
