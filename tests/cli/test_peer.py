"""``tetrarch peer``: what a running node of the overlay knows, for people and for programs."""

import asyncio
import json
from pathlib import Path

from tests.network.overlay.world import Node, nodes_of, until
from typer.testing import CliRunner

from tetrarch.api.overlay_views import overlay_views
from tetrarch.cli.main import app
from tetrarch.network.overlay.conduct import Fault
from tetrarch.observability.logs import Log
from tetrarch.observability.metrics import Metrics
from tetrarch.observability.monitoring import Monitoring


async def asked(node: Node, log: Log, *arguments: str, exit_code: int = 0) -> str:
    """What the command prints of a node that runs here."""
    monitoring = Monitoring(
        host="127.0.0.1",
        port=0,
        metrics=Metrics(),
        reasons=lambda: (),
        views=overlay_views(node.overlay),
        log=log,
    )
    serving = asyncio.create_task(monitoring.run())
    await monitoring.listening.wait()
    url = f"http://127.0.0.1:{monitoring.bound_port}"
    result = await asyncio.to_thread(CliRunner().invoke, app, ["peer", *arguments, "--url", url])
    serving.cancel()
    assert result.exit_code == exit_code, result.output
    return result.stdout if exit_code == 0 else result.stderr


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
