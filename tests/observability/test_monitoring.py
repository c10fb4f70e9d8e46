import asyncio

import aiohttp
import pytest

from tetrarch.errors import ListenFailed
from tetrarch.observability.logs import SilentLog
from tetrarch.observability.metrics import Metrics
from tetrarch.observability.monitoring import Monitoring


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
