"""``/peers``: what a node knows of its cluster's others, over real sockets; and as the command shows it."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

from tests.network.mesh_world import World, running, see_each_other, until
from tests.network.test_peer_info import OWN
from typer.testing import CliRunner

from tetrarch.api.views import peers_view
from tetrarch.cli.main import app
from tetrarch.duties.features import Agreed
from tetrarch.network.ports import Topic
from tetrarch.node import Node
from tetrarch.observability.metrics import Metrics
from tetrarch.observability.monitoring import Monitoring

NODE = cast(
    "Node",
    SimpleNamespace(
        peer_infos=SimpleNamespace(newest={1: OWN}, own=OWN),
        features=SimpleNamespace(agreed=Agreed()),
    ),
)


def test_peers_are_told_listed_and_explained() -> None:
    async def main() -> None:
        world = World(3)
        one, two = world.node(0, nickname="north"), world.node(1, nickname="süd")
        monitoring = Monitoring(
            host="127.0.0.1",
            port=0,
            metrics=Metrics(),
            reasons=lambda: (),
            views={"peers": peers_view(one.mesh, NODE)},
            log=cast("Any", one.log),
        )

        async def asked(*arguments: str, exit_code: int = 0) -> str:
            url = f"http://127.0.0.1:{monitoring.bound_port}"
            command = ["peer", *arguments, "--cluster", "--url", url]
            result = await asyncio.to_thread(CliRunner().invoke, app, command)
            assert result.exit_code == exit_code, result.output
            return result.stderr or result.stdout

        async with running(one, two):
            await see_each_other(one, two)
            serving = asyncio.create_task(monitoring.run())
            await monitoring.listening.wait()
            two.mesh.send(0, Topic.CONSENSUS, b"a vote")
            await until(lambda: one.mesh.conduct(1).last_message_s)
            await until(lambda: one.mesh.conduct(1).latency_s is not None)
            one.mesh.praise(1)
            one.mesh.blame(1, "two_prepares")
            own, first, second = (await asked("list")).splitlines()
            assert own == "node 0  this node"
            assert first.split()[:4] == ["node", "1", f"127.0.0.1:{world.ports[1]}", "connected"]
            assert first.endswith("süd 0.1.0")
            assert second.split()[3] == "away"
            listed = json.loads(await asked("list", "--json"))
            assert [each["index"] for each in listed["peers"]] == [1, 2]
            text = await asked("explain", "1")
            assert "its part in 1 duties" in text
            assert "last of consensus: " in text
            assert "equivocation: 1 times" in text
            told = json.loads(await asked("explain", "1", "--json"))
            assert [each["fault"] for each in told["faults"]] == ["equivocation"]
            assert told["points"][0]["points"] <= -99
            assert "one of 1, 2" in await asked("explain", "0", exit_code=65)
            command = ["peer", "list", "--url", f"http://127.0.0.1:{monitoring.bound_port}"]
            result = await asyncio.to_thread(CliRunner().invoke, app, command)
            assert result.exit_code == 65
            assert "it has nothing at /overlay/nodes" in result.stderr
            serving.cancel()

    asyncio.run(main())
