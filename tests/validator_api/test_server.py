"""The listener: hand-on, event streams, limits, and what becomes of every kind of error."""

import asyncio
import gzip
import io
from contextlib import suppress

import aiohttp
import pytest
from tests.ethereum.beacon_node.fake_node import Reply, Stream, refusal
from tests.ethereum.beacon_node.support import block
from tests.validator_api.world import IDLE_SLOT, SLOT, FixedClock, World, hexed, run_world

from tetrarch.duties.types import PartialSet
from tetrarch.errors import InvariantBroken, ListenFailed, OperatorError, TetrarchError
from tetrarch.ethereum.spec.values import Fork
from tetrarch.observability.logs import build_log
from tetrarch.validator_api.server import ValidatorApiServer

HEADERS = "/eth/v1/beacon/headers/head"


def test_unknown_endpoints_are_handed_on_unchanged() -> None:
    async def scenario(world: World) -> None:
        body = gzip.compress(b'{"data": []}')
        headers = {"Content-Encoding": "gzip", "X-Own": "yes"}
        world.node.answers["POST /any/thing"] = Reply(body=body, status=207, headers=headers)
        sent = {"Accept-Encoding": "gzip", "Content-Type": "application/octet-stream", "X-My": "1"}
        got = await world.ask("POST", "/any/thing?a=%20b", headers=sent, body=b"\x00\x01")
        assert (got.status, got.headers["X-Own"], got.body) == (207, "yes", b'{"data": []}')
        seen = world.node.seen[-1]
        assert (seen.body, seen.query_string, seen.headers["X-My"]) == (b"\x00\x01", "a=%20b", "1")

    run_world(scenario)


def test_a_newline_in_a_path_is_handed_on_like_any_other_byte() -> None:
    async def scenario(world: World) -> None:
        world.node.answers["GET /any/thi\nng"] = Reply(body=b"{}", status=200)
        assert (await world.get("/any/thi%0Ang")).status == 200

    run_world(scenario)


def test_own_version_and_no_ops() -> None:
    async def scenario(world: World) -> None:
        got = await world.get("/eth/v1/node/version")
        assert got.value == {"data": {"version": "tetrarch/1.2.3"}}
        for path in ("prepare_beacon_proposer", "register_validator"):
            assert (await world.post(f"/eth/v1/validator/{path}", [])).status == 200
        assert world.node.seen == []

    run_world(scenario)


def test_events_are_streamed_as_they_come() -> None:
    async def scenario(world: World) -> None:
        hold = asyncio.Event()
        event = b'event: head\ndata: {"slot":"1"}\n\n'
        world.node.answers["GET /eth/v1/events"] = Stream((event,), hold=hold)
        url = world.url + "/eth/v1/events?topics=head"
        async with world.session.get(url, headers={"Accept": "text/event-stream"}) as response:
            assert response.content_type == "text/event-stream"
            # The first event is here while the stream is open, and silence ends nothing.
            assert await response.content.readexactly(len(event)) == event
            await asyncio.sleep(0.7)  # longer than any other answer may be silent in this world
            assert not response.content.at_eof()
            hold.set()
            assert await response.content.read() == b""

    run_world(scenario)


def test_open_event_stream_does_not_hold_up_the_end() -> None:
    async def scenario(world: World) -> None:
        world.node.answers["GET /eth/v1/events"] = Stream((b": hi\n\n",), hold=asyncio.Event())
        url = world.url + "/eth/v1/events?topics=head"
        async with world.session.get(url) as response:
            await response.content.readany()
            assert world.serving is not None
            world.serving.cancel()
            with suppress(asyncio.CancelledError):
                await world.serving

    run_world(scenario)


def test_body_over_the_limit_is_not_read() -> None:
    async def scenario(world: World) -> None:
        path = "/eth/v1/validator/duties/attester/1"
        reader, writer = await asyncio.open_connection("127.0.0.1", world.server.bound_port)
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n".encode())
        assert b" 413 " in await reader.readline()  # no byte of the body was sent
        writer.close()
        await writer.wait_closed()

        async def endless() -> object:  # no Content-Length
            for _ in range(20):
                yield b"x" * 100_000

        async with world.session.post(world.url + path, data=endless()) as response:
            assert response.status == 413

    run_world(scenario)


@pytest.mark.parametrize(
    ("reply", "status"),
    [(refusal(500), 500), (refusal(503), 503), (Reply(body=b"<html>", status=502), 502)],
)
def test_beacon_nodes_errors_are_handed_on(reply: Reply, status: int) -> None:
    async def scenario(world: World) -> None:
        world.node.answers["GET " + HEADERS] = reply
        async with world.session.get(world.url + HEADERS) as response:
            assert response.status == status

    run_world(scenario)


def test_beacon_node_down_is_told() -> None:
    async def scenario(world: World) -> None:
        world.node.answers["GET " + HEADERS] = Reply({}, delay_s=30)
        got = await world.get(HEADERS)
        assert got.status == 503
        assert "beacon_node_unreachable" in got.message
        path = "/eth/v1/validator/duties/proposer/2"
        world.node.answers["GET " + path] = Reply({}, delay_s=30)
        assert (await world.get(path)).status == 503

    run_world(scenario)


def test_answer_cut_half_way_is_cut_for_the_client_too() -> None:
    async def scenario(world: World) -> None:
        world.node.answers["GET /x"] = Reply(body=b"x" * 1000, cut_after=10)
        with pytest.raises(aiohttp.ClientError):
            async with world.session.get(world.url + "/x") as response:
                await response.read()

    run_world(scenario)


def path_of_block(world: World) -> str:
    return f"/eth/v3/validator/blocks/{SLOT}?randao_reveal={hexed(world.reveal())}"


def test_failing_store_is_told_and_logged() -> None:
    async def scenario(world: World) -> None:
        async def fail(_: PartialSet) -> None:
            raise TetrarchError("store partial", reason="disk full")

        world.api.submitted.subscribe(fail)
        got = await world.get(path_of_block(world))
        assert (got.status, "disk full" in got.message) == (500, True)

    assert "validator_api_failed" in run_world(scenario).log.getvalue()


def test_crash_tells_the_client_nothing() -> None:
    async def scenario(world: World) -> None:
        async def crash(_: PartialSet) -> None:
            raise KeyError("inner matter")

        world.api.submitted.subscribe(crash)
        got = await world.get(path_of_block(world))
        assert (got.status, got.message) == (500, "internal error, see the node's log")

    assert "inner matter" in run_world(scenario).log.getvalue()


@pytest.mark.parametrize(
    "error", [InvariantBroken("two blocks for one slot"), OperatorError("read row")]
)
def test_what_stops_the_node_stops_the_server(error: BaseException) -> None:
    async def scenario(world: World) -> None:
        async def break_it(_: PartialSet) -> None:
            raise error

        world.api.submitted.subscribe(break_it)
        with suppress(aiohttp.ClientError):
            await world.get(path_of_block(world))
        assert world.serving is not None
        await world.serving

    with pytest.raises(type(error), match=str(error)):
        run_world(scenario)


def test_taken_address_is_the_operators() -> None:
    async def scenario(world: World) -> None:
        port = world.server.bound_port
        log = build_log(io.StringIO(), clock=FixedClock())
        with pytest.raises(ListenFailed, match=str(port)):
            await ValidatorApiServer(world.api, host="127.0.0.1", port=port, log=log).run()

    run_world(scenario)


def test_every_answer_is_counted_by_route() -> None:
    counted: list[tuple[str, int, str]] = []

    def note(route: str, status: int, duration_s: float, user_agent: str, body: str) -> None:
        assert duration_s >= 0
        assert not body
        counted.append((route, status, user_agent))

    async def scenario(world: World) -> None:
        log = build_log(io.StringIO(), clock=FixedClock())
        server = ValidatorApiServer(world.api, host="127.0.0.1", port=0, log=log, answered=note)
        serving = asyncio.create_task(server.run())
        await server.listening.wait()
        world.server = server
        world.decided.decide_block(block(Fork.DENEB, SLOT))
        for path in (path_of_block(world), "/nothing"):
            await world.ask("GET", path, headers={"User-Agent": "client/1"})
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving

    run_world(scenario)
    assert counted == [
        ("/eth/v3/validator/blocks/{slot}", 200, "client/1"),
        ("proxy", 404, "client/1"),
    ]


def test_long_request_line_is_read() -> None:
    async def scenario(world: World) -> None:
        world.node.answers["GET /long"] = Reply({})
        assert (await world.get("/long?id=" + "x" * 20_000)).status == 200

    run_world(scenario)


def test_client_that_leaves_an_event_stream_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(world: World) -> None:
        hold = asyncio.Event()
        chunks = (b": one\n\n",)
        world.node.answers["GET /eth/v1/events"] = Stream(chunks, hold=hold, last=b"x" * 200_000)
        for _ in range(3):
            response = await world.session.get(world.url + "/eth/v1/events?topics=head")
            await response.content.readany()
            response.close()
        hold.set()
        assert (await world.get("/eth/v1/node/version")).status == 200
        await world.until(lambda: "validator_client_gone" in world.log.getvalue())

    assert "crashed" not in run_world(scenario).log.getvalue()
    assert [each for each in caplog.records if each.name.startswith("aiohttp")] == []


def test_idle_slots_use_no_workflow() -> None:
    async def scenario(world: World) -> None:
        path = f"/eth/v1/validator/attestation_data?slot={IDLE_SLOT}&committee_index=0"
        world.node.answers["GET /eth/v1/validator/attestation_data"] = refusal(503, "syncing")
        assert (await world.get(path)).status == 503
        assert not world.decided.asked.is_set()

    run_world(scenario)
