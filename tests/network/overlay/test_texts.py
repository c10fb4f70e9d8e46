"""What an operator writes becomes settings, or one clear line."""

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from tetrarch.config import OverlayConfig, load_config
from tetrarch.errors import ConfigInvalid
from tetrarch.network.overlay.addresses import read_address
from tetrarch.network.overlay.layers.named import Name
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS, NodeId
from tetrarch.network.overlay.settings import OverlaySettings
from tetrarch.network.overlay.texts import read_settings

HASH = "ab" * 32


def read(**changes: Any) -> OverlaySettings:
    return read_settings(OverlayConfig(**({"listen": ("127.0.0.1:3000", "[::1]:3000")} | changes)))


def test_the_first_address_is_told_unless_another_is() -> None:
    assert read().public == read_address("127.0.0.1:3000")
    assert read(public="8.8.8.8:1").public == read_address("8.8.8.8:1")
    assert read(public="none").public is None
    assert not read(public="none").discovers


def test_the_address_may_be_found_out() -> None:
    for text, port in (("auto", None), ("auto:4000", 4000)):
        settings = read(public=text)
        assert (settings.public, settings.discovers, settings.discovered_port) == (None, True, port)


def test_interests_and_layers_are_chosen() -> None:
    assert read().rules.interests == ((FRAGMENTS, 3), (BLOCKS, 3))
    assert read(fragments_interest="none", blocks_interest="high").rules.interests == ((BLOCKS, 5),)
    assert read(layers=("cyclon", "rings", "cyclon")).rules.layers == ("cyclon", "rings")


def test_privileged_are_addresses_or_ids() -> None:
    settings = read(privileged=("8.8.8.8:3000", HASH))
    assert settings.privileged == (
        Name(address=read_address("8.8.8.8:3000")),
        Name(node=NodeId(bytes.fromhex(HASH))),
    )


def test_without_tls_peers_have_none_either_unless_a_proxy_gives_it() -> None:
    settings = read(plain=True, trusted=("8.8.8.8:1", "tls:8.8.8.8:2", "reference:8.8.8.8:3"))
    assert not settings.secured
    assert settings.rules.policy.plain_nodes
    assert [each.secured for each in settings.trusted] == [False, True, False]
    assert [each.is_extended for each in settings.trusted] == [True, True, False]
    behind = read(
        plain=True, proxy_certificates=(HASH,), proxies=("10.0.0.0/8",), trusted=("8.8.8.8:1",)
    )
    assert not behind.rules.policy.plain_nodes
    assert behind.trusted[0].secured
    assert behind.proxy_certificates == (bytes.fromhex(HASH),)
    assert behind.proxies == (ip_network("10.0.0.0/8"),)


def test_limits_and_times_are_set() -> None:
    settings = read(
        quarantine_ms=5000, nodes_max=100, nodes_of_network_max=3, nodes_of_introducer_max=7
    )
    limits = settings.rules.limits
    assert (limits.nodes_max, limits.of_group_max, limits.of_introducer_max) == (100, 3, 7)
    assert settings.rules.policy.quarantine_s == 5


@pytest.mark.parametrize(
    "changes",
    [
        {"listen": ()},
        {"listen": ("here",)},
        {"public": "there"},
        {"public": "auto:0"},
        {"public": "auto:x"},
        {"layers": ("moon",)},
        {"blocks_interest": "much"},
        {"privileged": ("somebody",)},
        {"trusted": ("8.8.8.8",)},
        {"proxies": ("10.0.0.1/8",)},
        {"proxy_certificates": ("12",)},
    ],
)
def test_anything_else_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigInvalid):
        read(**changes)


# -- as the file has it --------------------------------------------------------------------------

FILE = f"""
[overlay]
enabled = true
listen = ["127.0.0.1:3640"]
public = "8.8.8.8:3641"
trusted = ["8.8.4.4:3640"]
privileged = ["{HASH}"]
layers = ["rings"]
fragments_interest = "none"
blocks_interest = "high"
private_addresses = true
plain = true
plain_nodes = true
proxies = ["10.0.0.0/8"]
proxy_certificates = ["{HASH}"]
round_ms = 5_000
quarantine_ms = 2_000
quarantine_ms_max = 4_000
nodes_max = 99
nodes_of_network_max = 3
nodes_of_introducer_max = 5

[overlay.policy]
failures_max = 4
flood_points = 1.5
"""


def settings_of(folder: Path, text: str) -> OverlaySettings:
    (folder / "tetrarch.toml").write_text(text)
    return read_settings(load_config(folder).overlay)


def test_every_setting_reaches_the_node(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, FILE)
    rules = settings.rules
    assert settings.listen == (read_address("127.0.0.1:3640"),)
    assert settings.public == read_address("8.8.8.8:3641")
    assert settings.trusted[0].address == read_address("8.8.4.4:3640")
    assert settings.privileged[0].node == bytes.fromhex(HASH)
    assert settings.proxy_certificates == (bytes.fromhex(HASH),)
    assert [str(each) for each in settings.proxies] == ["10.0.0.0/8"]
    assert (settings.secured, settings.round_s) == (False, 5.0)
    assert (rules.layers, rules.interests) == (("rings",), ((BLOCKS, 5),))
    limits = rules.limits
    assert (limits.nodes_max, limits.of_group_max, limits.of_introducer_max) == (99, 3, 5)
    policy = rules.policy
    assert (policy.quarantine_s, policy.quarantine_max_s, policy.failures_max) == (2.0, 4.0, 4)
    assert policy.private_addresses
    assert policy.plain_nodes
    assert {fault.label: cost for fault, cost in policy.score.fault_points.items()}["flood"] == 1.5


def test_unless_set_they_are_those_of_a_node_alone(tmp_path: Path) -> None:
    listen = ("0.0.0.0:3640",)
    assert settings_of(tmp_path, "") == read_settings(OverlayConfig(listen=listen))


def test_a_rule_that_there_is_not_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="failure_max"):
        settings_of(tmp_path, "[overlay.policy]\nfailure_max = 3\n")
