"""What an operator writes becomes settings, or one clear line."""

from ipaddress import ip_network
from typing import Any

import pytest

from tetrarch.errors import ConfigInvalid
from tetrarch.network.overlay.addresses import read_address
from tetrarch.network.overlay.layers.named import Name
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS, NodeId
from tetrarch.network.overlay.settings import OverlaySettings
from tetrarch.network.overlay.texts import OverlayTexts, read_settings

HASH = "ab" * 32


def read(**changes: Any) -> OverlaySettings:
    return read_settings(OverlayTexts(**({"listen": ("127.0.0.1:3000", "[::1]:3000")} | changes)))


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
        quarantine_s=5, nodes_max=100, nodes_of_network_max=3, nodes_of_introducer_max=7
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
