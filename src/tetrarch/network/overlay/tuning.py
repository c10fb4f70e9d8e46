"""The policy's rules by name, as an operator sets them: one table, for files, options and what is shown. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tetrarch.errors import ConfigInvalid
from tetrarch.network.conduct import Fault, ScoreRules
from tetrarch.network.overlay.policy import PolicyRules


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a rule may be set to."""

    lowest: float
    highest: float
    whole: bool = False

    def __str__(self) -> str:
        return f"{'a whole number, ' if self.whole else ''}{self.lowest:g} to {self.highest:g}"


_OF_POLICY = {
    "quarantine_at_points": Bounds(-100_000, -1),
    "failures_max": Bounds(1, 32, whole=True),
    "quarantined_max": Bounds(16, 65_536, whole=True),
    "alone_after_s": Bounds(1, 86_400),
}
_OF_SCORE = {
    "fault_half_life_s": Bounds(1, 604_800),
    "failure_points": Bounds(0, 1_000),
    "failure_memory_s": Bounds(1, 604_800),
    "latency_free_s": Bounds(0, 60),
    "latency_points_per_s": Bounds(0, 1_000),
    "latency_points_max": Bounds(0, 1_000),
    "contribution_points_max": Bounds(0, 1_000),
    "behind_blocks": Bounds(0, 1_000_000, whole=True),
    "behind_points": Bounds(0, 1_000),
}
_FAULTS = {f"{fault.label}_points": fault for fault in Fault}
_OF_FAULT = Bounds(0, 100_000)
RULES: Mapping[str, Bounds] = {**_OF_POLICY, **_OF_SCORE, **dict.fromkeys(_FAULTS, _OF_FAULT)}


def tuned(policy: PolicyRules, changes: Mapping[str, float]) -> PolicyRules:
    """``policy`` with those rules set.

    Raises:
        ConfigInvalid: there is no such rule, or it cannot be that.
    """
    checked = {name: _checked(name, value) for name, value in changes.items()}
    faults = {_FAULTS[name]: value for name, value in checked.items() if name in _FAULTS}
    return replace(
        policy,
        score=replace(
            policy.score,
            fault_points={**policy.score.fault_points, **faults},
            **{name: value for name, value in checked.items() if name in _OF_SCORE},  # type: ignore[arg-type]
        ),
        **{name: value for name, value in checked.items() if name in _OF_POLICY},  # type: ignore[arg-type]
    )


def rules_of(policy: PolicyRules) -> dict[str, float]:
    """All of them as they are."""
    score: ScoreRules = policy.score
    return {
        **{name: getattr(policy, name) for name in _OF_POLICY},
        **{name: getattr(score, name) for name in _OF_SCORE},
        **{name: score.fault_points[fault] for name, fault in _FAULTS.items()},
    }


def read_rule(text: str) -> tuple[str, float]:
    """``NAME=VALUE``.

    Raises:
        ConfigInvalid: it is something else.
    """
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise ConfigInvalid("read rule", got=text[:100], expected="NAME=NUMBER") from None


def _checked(name: str, value: float) -> float:
    bounds = RULES.get(name)
    if bounds is None:
        raise ConfigInvalid("read rule", got=name[:100], expected=f"one of {', '.join(RULES)}")
    whole = not bounds.whole or float(value).is_integer()
    if not (bounds.lowest <= value <= bounds.highest and whole):
        raise ConfigInvalid("read rule", rule=name, got=value, expected=str(bounds))
    return int(value) if bounds.whole else float(value)
