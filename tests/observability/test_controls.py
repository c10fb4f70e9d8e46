"""Who may change a node over its monitoring listener, and that nobody else can."""

import asyncio
import io
import json
from collections.abc import Mapping
from typing import Annotated, Any

import aiohttp
import msgspec
import pytest

from tetrarch.clock import SystemClock
from tetrarch.errors import InputInvalid, Transient
from tetrarch.observability.controls import (
    BODY_MAX_BYTES,
    BYTES_MAX,
    Control,
    Controls,
    refusal,
)
from tetrarch.observability.logs import LogFormat, build_log
from tetrarch.observability.metrics import Metrics
from tetrarch.observability.monitoring import Monitoring

TOKEN = "5ec2e7" + "ab" * 29
HEADERS = {
    "Host": "127.0.0.1:3620",
    "Authorization": f"Bearer {TOKEN}",
    "Content-Type": "application/json",
}


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    number: Annotated[int, msgspec.Meta(ge=0)]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Host": "localhost"},
        {"Host": "[::1]:3620"},
        {"Host": "192.0.2.7:80"},
        {"Origin": "http://127.0.0.1:3620"},
        {"Authorization": f"bearer  {TOKEN} "},
        {"Content-Type": "application/json; charset=utf-8"},
    ],
)
def test_who_has_the_token_is_heard(changes: dict[str, str]) -> None:
    assert refusal(HEADERS | changes, token=TOKEN) is None


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (403, {"Host": ""}),
        (403, {"Host": "evil.example"}),
        (403, {"Host": "evil.example:3620"}),
        (403, {"Host": "127.0.0.1.evil.example"}),
        (403, {"Host": "127.0.0.1@evil.example"}),
        (403, {"Host": "[::1"}),
        (403, {"Origin": "null"}),
        (403, {"Origin": ""}),
        (403, {"Origin": "http://evil.example"}),
        (403, {"Origin": "https://127.0.0.1:3620"}),
        (403, {"Origin": "http://127.0.0.1:3621"}),
        (415, {"Content-Type": "text/plain"}),
        (415, {"Content-Type": ""}),
        (415, {"Content-Type": "application/x-www-form-urlencoded"}),
        (401, {"Authorization": ""}),
        (401, {"Authorization": "Bearer"}),
        (401, {"Authorization": TOKEN}),
        (401, {"Authorization": f"Basic {TOKEN}"}),
        (401, {"Authorization": f"Bearer {TOKEN[:-1]}"}),
        (401, {"Authorization": f"Bearer {TOKEN}0"}),
        (401, {"Authorization": f"Bearer {TOKEN.upper()}"}),
        (401, {"Authorization": "Bearer \udcff"}),
    ],
)
def test_anybody_else_is_refused(status: int, changes: dict[str, str]) -> None:
    refused = refusal(HEADERS | changes, token=TOKEN)
    assert refused is not None
    assert refused[0] == status
    assert TOKEN not in refused[1]


class Listener:
    """One control, that adds up numbers, behind a real listener."""

    def __init__(self) -> None:
        self.text = io.StringIO()
        self.total = 0
        log = build_log(self.text, clock=SystemClock(), log_format=LogFormat.JSON)
        self.monitoring = Monitoring(
            host="127.0.0.1",
            port=0,
            metrics=Metrics(),
            reasons=lambda: (),
            controls=Controls({"add": Control(Asked, self.add)}, token=TOKEN, log=log),
            log=log,
        )

    async def add(self, asked: Asked) -> object:
        if asked.number == 13:
            raise InputInvalid("add number", reason="unlucky")
        if asked.number == 17:
            raise Transient("write number", reason="no room")
        self.total += asked.number
        return {"total": self.total}

    async def post(self, body: bytes, **headers: str) -> tuple[int, Any, Mapping[str, str]]:
        url = f"http://127.0.0.1:{self.monitoring.bound_port}/add"
        sent = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"} | headers
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=body, headers=sent) as answer,
        ):
            return answer.status, await answer.json(), answer.headers


class Numbered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    number: Annotated[int, msgspec.Meta(ge=0, lt=100)]


def test_bytes_and_numbers_in_paths_are_asked_for_as_they_are() -> None:
    async def main() -> None:
        given: list[Any] = []

        async def keep(asked: Any) -> object:
            given.append(asked)
            return None

        controls: dict[str, Control[Any]] = {
            "message": Control(bytes, keep),
            "leaders/{number}": Control(Numbered, keep, method="DELETE"),
        }
        text = io.StringIO()
        log = build_log(text, clock=SystemClock(), log_format=LogFormat.JSON)
        monitoring = Monitoring(
            host="127.0.0.1",
            port=0,
            metrics=Metrics(),
            reasons=lambda: (),
            controls=Controls(controls, token=TOKEN, log=log),
            log=log,
        )
        authorized = {"Authorization": f"Bearer {TOKEN}"}
        octets = authorized | {"Content-Type": "application/octet-stream"}

        async def ask(method: str, path: str, **how: Any) -> int:
            url = f"http://127.0.0.1:{monitoring.bound_port}/{path}"
            async with (
                aiohttp.ClientSession() as session,
                session.request(method, url, **how) as answer,
            ):
                return answer.status

        async with asyncio.TaskGroup() as group:
            task = group.create_task(monitoring.run())
            await monitoring.listening.wait()
            assert await ask("POST", "message", data=b"\x00\xff", headers=octets) == 200
            most = b"x" * BYTES_MAX
            assert await ask("POST", "message", data=most, headers=octets) == 200
            assert await ask("POST", "message", data=most + b"x", headers=octets) == 413
            json_type = authorized | {"Content-Type": "application/json"}
            assert await ask("POST", "message", data=b"{}", headers=json_type) == 415
            assert await ask("DELETE", "leaders/7", headers=authorized) == 200
            for wrong in ("leaders/x", "leaders/100", "leaders/-1"):
                assert await ask("DELETE", wrong, headers=authorized) == 400, wrong
            assert await ask("DELETE", "leaders/7") == 401
            assert await ask("POST", "leaders/7", headers=octets) == 405
            task.cancel()
        assert given == [b"\x00\xff", most, Numbered(7)]
        done = [json.loads(line) for line in text.getvalue().splitlines() if "control_done" in line]
        assert [each["asked"] for each in done] == ["2 bytes", f"{BYTES_MAX} bytes", {"number": 7}]

    asyncio.run(main())


def test_what_is_asked_is_done_and_logged_without_the_token() -> None:
    async def main() -> None:
        listener = Listener()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(listener.monitoring.run())
            await listener.monitoring.listening.wait()
            assert (await listener.post(b'{"number": 3}'))[:2] == (200, {"total": 3})
            for wrong in (
                b"",
                b"{}",
                b'{"number": -1}',
                b'{"number": 1, "more": 1}',
                b'{"number": 13}',
                b"\xff",
                b"[" * 4000,
            ):
                status, told, _ = await listener.post(wrong)
                assert (status, told["code"]) == (400, 400), wrong
            assert (await listener.post(b'{"number": 17}'))[0] == 503
            status, told, headers = await listener.post(
                b'{"number": 1}', Authorization="Bearer " + "00" * 32
            )
            assert (status, told["code"]) == (401, 401)
            assert headers["WWW-Authenticate"] == "Bearer"
            assert (await listener.post(b" " * (BODY_MAX_BYTES + 1)))[0] == 413
            assert (await listener.post(b'{"number": 1}', Origin="http://evil.example"))[0] == 403
            url = f"http://127.0.0.1:{listener.monitoring.bound_port}/add"
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                assert answer.status == 405
            assert listener.total == 3
            task.cancel()
        lines = [json.loads(line) for line in listener.text.getvalue().splitlines()]
        (done,) = [line for line in lines if line["event"] == "control_done"]
        assert (done["control"], done["caller"], done["asked"]) == (
            "add",
            "127.0.0.1",
            {"number": 3},
        )
        refused = [line["status"] for line in lines if line["event"] == "control_refused"]
        assert refused == [401, 403]
        assert TOKEN not in listener.text.getvalue()

    asyncio.run(main())
