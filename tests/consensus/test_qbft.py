"""The machine keeps every rule of ``tests.consensus.rules``."""

from collections.abc import Callable

import pytest
from tests.consensus.building import DUTY
from tests.consensus.rules import RULES, Rule

from tetrarch.consensus.events import Started
from tetrarch.consensus.messages import NO_VALUE
from tetrarch.consensus.qbft import Qbft
from tetrarch.errors import InvariantBroken


def name_of(rule: Callable[..., object]) -> str:
    return rule.__name__


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_rule(rule: Rule) -> None:
    rule(Qbft)


def test_own_value_must_have_a_hash() -> None:
    with pytest.raises(InvariantBroken):
        Qbft(duty=DUTY, node_count=4, own_index=0).handle(Started(NO_VALUE))


def test_place_in_the_cluster_must_exist() -> None:
    with pytest.raises(InvariantBroken):
        Qbft(duty=DUTY, node_count=4, own_index=4)
