"""What ``tetrarch overlay node`` is told becomes settings, or one clear line; and what it serves."""

import asyncio
import contextlib
from pathlib import Path

import aiohttp
from tests.network.overlay.world import LOOPBACK
from tests.ports import free_ports
from typer.testing import CliRunner

from tetrarch.api.control_token import TOKEN_FILE
from tetrarch.cli.main import app
from tetrarch.cli.overlay_node import Trial, run_trial
from tetrarch.config import OverlayConfig
from tetrarch.observability.logs import SilentLog

HASH = "ab" * 32


def test_a_wrong_address_is_one_line(tmp_path) -> None:
    folder = str(tmp_path / "node")
    result = CliRunner().invoke(app, ["overlay", "node", "--listen", "here", "--folder", folder])
    assert result.exit_code == 78
    assert "IPV4:PORT" in result.stderr


def test_it_is_asked_looked_at_and_changed_at_its_monitoring_listener(tmp_path: Path) -> None:
    async def main() -> None:
        port, monitoring_port = free_ports(2)
        config = OverlayConfig(listen=(f"{LOOPBACK}:{port}",), private_addresses=True)
        told = Trial(config=config, monitoring_port=monitoring_port)
        url = f"http://{LOOPBACK}:{monitoring_port}/overlay"
        running = asyncio.create_task(run_trial(told, tmp_path / "node", SilentLog()))
        async with aiohttp.ClientSession() as session:
            token = await until_listening(session, f"{url}/tip", tmp_path / "node")
            async with session.get(f"{url}/") as answer:
                assert answer.content_type == "text/html"
                assert "script-src 'sha256-" in answer.headers["Content-Security-Policy"]
            async with session.get(f"{url}/graph") as answer:
                assert (await answer.json())["own"]["address"] == f"{LOOPBACK}:{port}"
            for headers, status in (({}, 401), ({"Authorization": f"Bearer {token}"}, 200)):
                body = {"node": HASH, "reason": "for a reason"}
                async with session.post(f"{url}/ban", json=body, headers=headers) as answer:
                    assert answer.status == status
            async with session.get(f"{url}/nodes") as answer:
                (banned,) = (await answer.json())["banned"]
                assert (banned["node"], banned["reason"]) == (HASH, "for a reason")
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    asyncio.run(main())


async def until_listening(session: aiohttp.ClientSession, url: str, folder: Path) -> str:
    """The node's token, once it answers."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return (folder / TOKEN_FILE).read_text().strip()
            await asyncio.sleep(0.02)
