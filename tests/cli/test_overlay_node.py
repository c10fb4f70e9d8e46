"""What ``tetrarch overlay node`` is told becomes settings, or one clear line."""

import pytest
from typer.testing import CliRunner

from tetrarch.cli.main import app
from tetrarch.cli.overlay_node import Trial, read_trusted, settings_of
from tetrarch.errors import ConfigInvalid
from tetrarch.network.overlay.addresses import read_address

HASH = "ab" * 32


def trial(**changes: object) -> Trial:
    options: dict[str, object] = {
        "listen": ("127.0.0.1:3000", "[::1]:3000"),
        "private_addresses": True,
    }
    return Trial(**(options | changes))  # type: ignore[arg-type]


def test_the_first_address_is_told_unless_another_is() -> None:
    assert settings_of(trial()).public == read_address("127.0.0.1:3000")
    assert settings_of(trial(public="8.8.8.8:1")).public == read_address("8.8.8.8:1")


def test_a_trusted_peer_is_an_address_and_what_is_known_of_it() -> None:
    peer = read_trusted("8.8.8.8:3000")
    assert (peer.node, peer.certificate) == (None, None)
    peer = read_trusted(f"8.8.8.8:3000,{HASH}")
    assert (peer.node, peer.certificate) == (bytes.fromhex(HASH), None)
    peer = read_trusted(f"[2a00::1]:3000,{HASH},{'cd' * 32}")
    assert peer.certificate == bytes.fromhex("cd" * 32)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8.8.8.8",
        "8.8.8.8:1,",
        "8.8.8.8:1,zz",
        f"8.8.8.8:1,{HASH},12",
        f"8.8.8.8:1,{HASH},{HASH},x",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigInvalid):
        read_trusted(text)


def test_a_wrong_address_is_one_line(tmp_path) -> None:
    folder = str(tmp_path / "node")
    result = CliRunner().invoke(app, ["overlay", "node", "--listen", "here", "--folder", folder])
    assert result.exit_code == 78
    assert "IPV4:PORT" in result.stderr
