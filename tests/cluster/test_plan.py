"""Plans that would lose money or cannot work are refused before any key is made."""

import pytest
from tests.cluster.cluster_world import plan

from tetrarch.cluster.networks import NETWORKS, network_for, network_named, network_of
from tetrarch.cluster.plan import default_threshold
from tetrarch.errors import ConfigInvalid


def test_thresholds_by_default():
    assert [default_threshold(n) for n in (3, 4, 5, 6, 7, 10)] == [2, 3, 4, 4, 5, 7]


@pytest.mark.parametrize(
    "changes",
    [
        {"node_count": 2, "threshold": 2},
        {"node_count": 257, "threshold": 172},
        {"threshold": 1},
        {"threshold": 5},
        {"validator_count": 0},
        {"validator_count": 65_537},
        {"fee_recipient": b""},
        {"name": "x" * 257},
        {"gas_limit": 0},
        {"addresses": ("a:1",)},
        {"addresses": ("a:1", "a:2", "a:3", "nonsense")},
        {"deposit_amounts": (1,)},
        {"network": network_named("hoodi"), "fee_recipient": bytes(20)},
        {"network": network_named("hoodi"), "withdrawal_address": bytes(20)},
        {"network": network_named("hoodi"), "public_keys_known": True},
        {"network": network_named("mainnet"), "insecure_keystores": True},
    ],
)
def test_is_refused(changes):
    with pytest.raises(ConfigInvalid):
        plan(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"network": network_named("mainnet"), "insecure_keystores": False},
        {"network": network_named("hoodi"), "insecure_keystores": True},
        {"fee_recipient": bytes(20), "withdrawal_address": bytes(20), "public_keys_known": True},
    ],
)
def test_is_accepted(changes):
    plan(**changes)


def test_networks_are_known_by_name_and_fork_version():
    for network in NETWORKS:
        assert network_named(network.name) is network
        assert network_of(network.genesis_fork_version) is network
        assert network_for(network.genesis_fork_version) is network
    assert len({network.genesis_fork_version for network in NETWORKS}) == len(NETWORKS)
    assert network_of(b"\x77" * 4) is None
    assert not network_for(b"\x77" * 4).public


@pytest.mark.parametrize("call", [lambda: network_named("holesky"), lambda: network_for(b"\0" * 3)])
def test_unknown_networks_are_refused(call):
    with pytest.raises(ConfigInvalid):
        call()
