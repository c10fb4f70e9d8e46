import asyncio
from collections.abc import Mapping

import aiohttp
import pytest

from tetrarch.errors import ListenFailed
from tetrarch.observability.logs import SilentLog
from tetrarch.observability.metrics import Metrics
from tetrarch.observability.monitoring import Monitoring, NotHere


def make_monitoring(port: int, reasons: dict[str, str | None]) -> Monitoring:
    return Monitoring(
        host="127.0.0.1",
        port=port,
        metrics=Metrics(),
        reasons=lambda: tuple(f"{name}: {why}" for name, why in reasons.items() if why),
        log=SilentLog(),
    )


def test_health_and_metrics_are_served() -> None:
    async def main() -> None:
        reasons: dict[str, str | None] = {"beacon_node": "syncing", "mesh": None}
        monitoring = make_monitoring(0, reasons)

        async def get(path: str) -> tuple[int, str]:
            url = f"http://127.0.0.1:{monitoring.bound_port}{path}"
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                return answer.status, await answer.text()

        async with asyncio.TaskGroup() as group:
            task = group.create_task(monitoring.run())
            await monitoring.listening.wait()
            assert await get("/livez") == (200, "ok\n")
            assert await get("/readyz") == (503, "beacon_node: syncing\n")
            reasons["beacon_node"] = None
            assert await get("/readyz") == (200, "ready\n")
            status, text = await get("/metrics")
            assert status == 200
            assert "tetrarch_node_ready 1.0" in text
            assert (await get("/other"))[0] == 404
            task.cancel()

    asyncio.run(main())


def test_port_in_use_is_an_operators_error() -> None:
    async def main() -> None:
        first = make_monitoring(0, {})
        async with asyncio.TaskGroup() as group:
            task = group.create_task(first.run())
            await first.listening.wait()
            with pytest.raises(ListenFailed, match=f"127.0.0.1:{first.bound_port}"):
                await make_monitoring(first.bound_port, {}).run()
            task.cancel()

    asyncio.run(main())


def test_views_get_parts_of_their_paths_and_answer_bytes_as_they_are() -> None:
    def shown(query: Mapping[str, str]) -> object:
        if query["name"] == "nobody":
            raise NotHere("find", name="nobody")
        return query["name"].encode() if "raw" in query else dict(query)

    async def main() -> None:
        monitoring = Monitoring(
            host="127.0.0.1",
            port=0,
            metrics=Metrics(),
            reasons=lambda: (),
            views={"of/{name}": shown},
            log=SilentLog(),
        )

        async def get(path: str) -> tuple[int, str, bytes]:
            url = f"http://127.0.0.1:{monitoring.bound_port}{path}"
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                return answer.status, answer.content_type, await answer.read()

        async with asyncio.TaskGroup() as group:
            task = group.create_task(monitoring.run())
            await monitoring.listening.wait()
            told = await get("/of/me?count=2&name=another")
            assert told == (200, "application/json", b'{"count":"2","name":"me"}')
            assert await get("/of/me?raw=1") == (200, "application/octet-stream", b"me")
            status, _, body = await get("/of/nobody")
            assert (status, b'"code":404' in body) == (404, True)
            task.cancel()

    asyncio.run(main())
