"""An operator sets the rules of the policy by their names, within bounds; what is set is what judges."""

from pathlib import Path

import pytest

from tetrarch.errors import ConfigInvalid
from tetrarch.network.conduct import Conduct, Fault, score
from tetrarch.network.overlay.policy import PolicyRules
from tetrarch.network.overlay.profile import Topic
from tetrarch.network.overlay.tuning import RULES, read_rule, rules_of, tuned

DOCS = Path(__file__).parents[3] / "docs/explanation/overlay.md"


@pytest.mark.parametrize("name", RULES)
def test_each_rule_can_be_set_to_its_bounds_and_no_further(name: str) -> None:
    bounds = RULES[name]
    assert bounds.lowest <= rules_of(PolicyRules())[name] <= bounds.highest
    for value in (bounds.lowest, bounds.highest):
        changed = rules_of(tuned(PolicyRules(), {name: value}))
        assert changed == {**rules_of(PolicyRules()), name: value}
    for value in (bounds.lowest - 1, bounds.highest + 1, float("nan"), float("inf")):
        with pytest.raises(ConfigInvalid, match=name):
            tuned(PolicyRules(), {name: value})


def test_what_is_counted_is_whole() -> None:
    policy = tuned(PolicyRules(), {"failures_max": 3.0})
    assert isinstance(policy.failures_max, int)
    with pytest.raises(ConfigInvalid, match="whole"):
        tuned(PolicyRules(), {"failures_max": 2.5})


def test_no_other_rule_can_be_set() -> None:
    with pytest.raises(ConfigInvalid, match="quarantine_at_points"):
        tuned(PolicyRules(), {"fault_points": 1.0})


def test_a_fault_costs_what_was_set() -> None:
    policy = tuned(PolicyRules(), {"flood_points": 7.0})
    conduct = Conduct[Topic](0.0)
    conduct.broke(Fault.FLOOD, 0.0)
    conduct.broke(Fault.WITHHELD, 0.0)
    assert score(conduct, policy.score, now_s=0.0) == -7.0 - Fault.WITHHELD.cost


def test_a_rule_is_read() -> None:
    assert read_rule("failures_max=3") == ("failures_max", 3.0)
    for text in ("failures_max", "failures_max=", "failures_max=x", ""):
        with pytest.raises(ConfigInvalid, match="NAME=NUMBER"):
            read_rule(text)


def test_the_documentation_names_all() -> None:
    text = DOCS.read_text()
    for name, value in rules_of(PolicyRules()).items():
        assert f"| `{name}` | {value:g} |" in text, name
