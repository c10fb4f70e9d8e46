"""Event streams and the pass-through."""

import gzip
from contextlib import aclosing

import pytest
from tests.ethereum.beacon_node.fake_node import FakeBeaconNode, Reply, Stream, refusal
from tests.ethereum.beacon_node.support import run_with_client

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.beacon_node.client import BeaconNodeClient
from tetrarch.ethereum.beacon_node.errors import (
    BeaconNodeAnswerInvalid,
    BeaconNodeRefused,
    BeaconNodeUnreachable,
)
from tetrarch.ethereum.beacon_node.ports import ProxyRequest
from tetrarch.ethereum.beacon_node.streams import end_to_end

EVENTS = "GET /eth/v1/events"


def test_events_are_decoded() -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        chunks = (b": hi\n\nevent: head\ndata: {", b'"slot":"4"}\n\nevent: block\ndata: {}\n\n')
        node.answers[EVENTS] = Stream(chunks)
        async with aclosing(client.events(("head", "block"))) as events:
            found = [(event.topic, dict(event.data)) async for event in events]
        assert found == [("head", {"slot": "4"}), ("block", {})]
        assert node.seen[-1].query_string == "topics=head&topics=block"

    run_with_client(scenario)


@pytest.mark.parametrize(
    "chunk", [b"event: head\ndata: nonsense\n\n", b"data: []\n\n", b"data: " + b"x" * (1 << 21)]
)
def test_rubbish_events_are_refused(chunk: bytes) -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[EVENTS] = Stream((chunk,))
        with pytest.raises(BeaconNodeAnswerInvalid, match="/eth/v1/events"):
            async with aclosing(client.events(("head",))) as events:
                await anext(events)

    run_with_client(scenario)


def test_refused_event_stream() -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[EVENTS] = refusal(400)
        with pytest.raises(BeaconNodeRefused):
            async with aclosing(client.events(("head",))) as events:
                await anext(events)

    run_with_client(scenario)


def request(path: str, **headers: str) -> ProxyRequest:
    return ProxyRequest(method="POST", path=path, headers=headers, body=b"[1]")


def test_pass_through_changes_nothing_that_matters() -> None:
    body = gzip.compress(b"x" * 1000)
    headers = {"Content-Encoding": "gzip", "X-Own": "1", "Connection": "x-hop", "X-Hop": "1"}

    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers["POST /a b"] = Reply(body=body, status=418, headers=headers)
        sent = request("/a%20b?c=%2F", Accept="x/y", Authorization="Basic mine", Cookie="a=b")
        async with client.proxy(sent) as answer:
            assert answer.status == 418
            got = dict(answer.headers)
            assert got["X-Own"] == "1"
            assert "X-Hop" not in got
            assert b"".join([chunk async for chunk in answer.chunks()]) == body
        seen = node.seen[-1]
        assert seen.query_string == "c=%2F"
        assert seen.body == b"[1]"
        assert seen.headers["Accept"] == "x/y"
        assert not {"Authorization", "Cookie", "User-Agent"} & set(seen.headers)

    run_with_client(scenario)


def test_cut_answer_is_noticed() -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers["POST /x"] = Reply(body=b"x" * 100, cut_after=10)
        with pytest.raises(BeaconNodeUnreachable):
            async with client.proxy(request("/x")) as answer:
                _ = [chunk async for chunk in answer.chunks()]

    run_with_client(scenario)


def test_callers_own_errors_stay_theirs() -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers["POST /x"] = Reply({})
        with pytest.raises(ConnectionResetError):
            async with client.proxy(request("/x")):
                raise ConnectionResetError
        with pytest.raises(InputInvalid):
            async with client.proxy(request("//evil.example\\@x")):
                pass

    run_with_client(scenario)


def test_hop_by_hop_headers_are_dropped() -> None:
    headers = {"Connection": "close, X-A", "X-A": "1", "X-B": "2", "Transfer-Encoding": "chunked"}
    assert end_to_end(headers) == {"X-B": "2"}
