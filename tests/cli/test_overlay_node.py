"""What ``tetrarch overlay node`` is told becomes settings, or one clear line."""

from typer.testing import CliRunner

from tetrarch.cli.main import app
from tetrarch.cli.overlay_node import Trial, settings_of
from tetrarch.network.overlay.addresses import read_address


def trial(**changes: object) -> Trial:
    options: dict[str, object] = {
        "listen": ("127.0.0.1:3000", "[::1]:3000"),
        "private_addresses": True,
    }
    return Trial(**(options | changes))  # type: ignore[arg-type]


def test_the_first_address_is_told_unless_another_is() -> None:
    assert settings_of(trial()).public == read_address("127.0.0.1:3000")
    assert settings_of(trial(public="8.8.8.8:1")).public == read_address("8.8.8.8:1")


def test_a_wrong_address_is_one_line(tmp_path) -> None:
    folder = str(tmp_path / "node")
    result = CliRunner().invoke(app, ["overlay", "node", "--listen", "here", "--folder", folder])
    assert result.exit_code == 78
    assert "IPV4:PORT" in result.stderr
