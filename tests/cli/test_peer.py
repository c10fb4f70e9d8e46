"""``tetrarch peer``: what a running node of the overlay knows, for people and for programs."""

import asyncio
import json
from pathlib import Path

from tests.network.overlay.world import Node, nodes_of, until
from typer.testing import CliRunner

from tetrarch.api.control_token import TOKEN_FILE
from tetrarch.api.overlay_controls import overlay_controls
from tetrarch.api.overlay_views import overlay_views
from tetrarch.cli.main import app
from tetrarch.network.conduct import Fault
from tetrarch.observability.controls import Controls
from tetrarch.observability.logs import Log
from tetrarch.observability.metrics import Metrics
from tetrarch.observability.monitoring import Monitoring

TOKEN = "ab" * 32


async def asked(node: Node, log: Log, *arguments: object, exit_code: int = 0) -> str:
    """What the command prints of a node that runs here."""
    monitoring = Monitoring(
        host="127.0.0.1",
        port=0,
        metrics=Metrics(),
        reasons=lambda: (),
        views=overlay_views(node.overlay),
        controls=Controls(overlay_controls(node.overlay), token=TOKEN, log=log),
        log=log,
    )
    serving = asyncio.create_task(monitoring.run())
    await monitoring.listening.wait()
    url = f"http://127.0.0.1:{monitoring.bound_port}"
    command = ["peer", *map(str, arguments), "--url", url]
    result = await asyncio.to_thread(CliRunner().invoke, app, command)
    serving.cancel()
    assert result.exit_code == exit_code, result.output
    return result.stderr or result.stdout


def test_nodes_are_listed_and_explained(tmp_path: Path) -> None:
    async def main() -> None:
        one, two, three = nodes_of(tmp_path, 3)
        log = one.overlay._log
        async with one.running(), two.running(), three.running():
            await until(lambda: all(len(node.links) == 2 for node in (one, two, three)))
            one.overlay.talking.blame(two.node, Fault.FLOOD, None)
            await one.overlay.ban(three.node, "for a reason")
            own, first, banned = (await asked(one, log, "list")).splitlines()
            assert own.startswith(one.node.hex()[:16])
            assert first.split()[:3] == [
                two.node.hex()[:16],
                str(two.overlay.addresses[0]),
                "available",
            ]
            assert banned.startswith(three.node.hex()[:16])
            assert banned.endswith("for a reason")
            listed = json.loads(await asked(one, log, "list", "--json"))
            assert [each["node"] for each in listed["nodes"]] == [two.node.hex()]
            explained = await asked(one, log, "explain", two.node.hex()[:8])
            assert "available, since" in explained
            assert "flood: 1 times" in explained
            told = json.loads(await asked(one, log, "explain", two.node.hex(), "--json"))
            assert told["faults"][0]["fault"] == "flood"
            unknown = await asked(one, log, "explain", "ffffffff", exit_code=65)
            assert "matches=0" in unknown

    asyncio.run(main())


def test_nobody_answers() -> None:
    result = CliRunner().invoke(app, ["peer", "list", "--url", "http://127.0.0.1:9"])
    assert result.exit_code == 69


def test_a_node_is_banned_let_in_again_and_dialled(tmp_path: Path) -> None:
    async def main() -> None:
        one, two, three = nodes_of(tmp_path, 3, trusted=())
        log = one.overlay._log
        (tmp_path / TOKEN_FILE).write_text(TOKEN + "\n")
        address = two.overlay.addresses[0]
        async with one.running(), two.running():

            async def order(*arguments: object, exit_code: int = 0) -> str:
                return await asked(one, log, *arguments, "--folder", tmp_path, exit_code=exit_code)

            linked = await order("connect", address)
            assert linked == f"linked with {two.node.hex()} at {address}\n"
            await until(lambda: two.node in one.nodes.known)
            banned = await order("ban", two.node.hex()[:8], "--reason", "for a reason")
            assert banned == f"{two.node.hex()} is banned\n"
            assert one.nodes.bans[two.node].reason == "for a reason"
            refused = await order("connect", f"{address},{two.node.hex()}", exit_code=1)
            assert refused.startswith(f"not linked with {two.node.hex()} at {address}: ")
            told = json.loads(await order("unban", two.node.hex(), "--json"))
            assert told == {"node": two.node.hex(), "was_banned": True}
            assert await order("unban", two.node.hex()) == f"{two.node.hex()} was not banned\n"
            absent = three.overlay.addresses[0]
            told = json.loads(await order("connect", absent, "--json", exit_code=1))
            assert (told["linked"], told["node"]) == (False, None)
            assert "connection_refused" in told["why_not"]
            assert "expected=a port" in await order("connect", "127.0.0.1:0", exit_code=65)
            assert "matches=0" in await order("ban", "ffffffff", exit_code=65)

    asyncio.run(main())


def test_without_the_token_nothing_is_done(tmp_path: Path) -> None:
    async def main() -> None:
        (one,) = nodes_of(tmp_path, 1)
        log = one.overlay._log
        other = tmp_path / "token"
        other.write_text("cd" * 32)
        denied = await asked(one, log, "ban", "ef" * 32, "--token-file", other, exit_code=77)
        assert "control_denied" in denied
        other.write_text("no token")
        unusable = await asked(one, log, "ban", "ef" * 32, "--token-file", other, exit_code=66)
        assert "control_token_unusable" in unusable
        assert "no token" not in unusable
        missing = await asked(one, log, "ban", "ef" * 32, "--folder", tmp_path, exit_code=66)
        assert str(tmp_path / TOKEN_FILE) in missing
        assert not one.nodes.bans
        assert "cd" * 32 not in one.text.getvalue()

    asyncio.run(main())
