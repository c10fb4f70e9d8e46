"""What fails between us and a beacon node fails with one of three errors, and tells no secret."""

import asyncio

import pytest
from tests.ethereum.beacon_node.fake_node import FakeBeaconNode, Reply, refusal
from tests.ethereum.beacon_node.support import run_with_client

from tetrarch.errors import ConfigInvalid, TetrarchError
from tetrarch.ethereum.beacon_node.client import BeaconNodeClient, connect_beacon_node
from tetrarch.ethereum.beacon_node.errors import (
    BeaconNodeAnswerInvalid,
    BeaconNodeRefused,
    BeaconNodeUnreachable,
)
from tetrarch.ethereum.beacon_node.http import Address, Timeouts

VERSION = "GET /eth/v1/node/version"


def failure_of(reply: Reply, *, timeouts: Timeouts | None = None) -> Exception:
    """What asking for the version raises when the node answers ``reply``."""
    raised: list[Exception] = []

    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[VERSION] = reply
        try:
            await client.node_version()
        except TetrarchError as error:
            raised.append(error)

    run_with_client(scenario, timeouts=timeouts)
    return raised[0]


def test_refusal_carries_status_and_message() -> None:
    error = failure_of(refusal(503, "syncing"))
    assert isinstance(error, BeaconNodeRefused)
    assert (error.status, error.message) == (503, "syncing")
    assert "/eth/v1/node/version" in str(error)


def test_refusal_repeats_the_first_failures() -> None:
    failures = [{"index": 0, "message": "already known"}, {"index": 1, "message": "bad\x1b[31m"}]
    value = {"code": 400, "message": "some failed", "failures": failures}
    error = failure_of(Reply(value, status=400))
    assert isinstance(error, BeaconNodeRefused)
    assert error.message == "some failed: already known; bad [31m"


LODESTAR = "ATTESTATION_ERROR_ATTESTATION_ALREADY_KNOWN"
LIGHTHOUSE = "Verification: PriorAttestationKnown { validator_index: 3, epoch: Epoch(7) }"


@pytest.mark.parametrize(
    ("message", "failures", "known"),
    [
        (LODESTAR, None, True),
        (f"Multiple errors on submitPoolAttestations\n{LODESTAR}\n{LODESTAR}", None, True),
        (f"Multiple errors on submitPoolAttestations\n{LODESTAR}\nBAD_TARGET", None, False),
        ("PublishError.Duplicate", None, True),
        ("error processing attestations", [LIGHTHOUSE, LIGHTHOUSE], True),
        ("error processing attestations", [LIGHTHOUSE, "InvalidSignature"], False),
        ("attestation already seen", [], True),
        ("attestation already known to be false", [""], False),
        ("Multiple errors on submitPoolAttestations", None, False),
        ("", None, False),
    ],
)
def test_refusal_of_what_the_node_has_already_is_told_apart(
    message: str, failures: list[str] | None, known: bool
) -> None:
    value: dict[str, object] = {"code": 400, "message": message}
    if failures is not None:
        value["failures"] = [
            {"index": index, "message": text} for index, text in enumerate(failures)
        ]
    error = failure_of(Reply(value, status=400))
    assert isinstance(error, BeaconNodeRefused)
    assert error.already_known is known


@pytest.mark.parametrize("body", [b"<html>", b"\xff\xfe", b"[" * 200_000, b"x" * 200_000])
def test_refusal_with_rubbish_is_a_refusal(body: bytes) -> None:
    error = failure_of(Reply(body=body, status=500, content_type="text/html"))
    assert isinstance(error, BeaconNodeRefused)
    assert error.status == 500
    assert len(str(error)) < 1000


def test_redirect_is_not_followed() -> None:
    error = failure_of(Reply(status=302, headers={"Location": "http://127.0.0.1:1/"}))
    assert isinstance(error, BeaconNodeRefused)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"[" * 100_000, b"\xff", b"[]", b"7"])
def test_rubbish_names_the_path(body: bytes) -> None:
    error = failure_of(Reply(body=body))
    assert isinstance(error, BeaconNodeAnswerInvalid)
    assert "/eth/v1/node/version" in str(error)


@pytest.mark.parametrize("value", [{"data": {}}, {"data": {"version": 7}}, {"data": []}, {}])
def test_wrong_field_is_named(value: object) -> None:
    error = failure_of(Reply(value))
    assert isinstance(error, BeaconNodeAnswerInvalid)
    assert "data" in str(error)


def test_too_long_answer_is_not_read_on() -> None:
    error = failure_of(Reply(body=b" " * (16 * 1024 * 1024 + 1)))
    assert isinstance(error, BeaconNodeAnswerInvalid)
    assert "too long" in str(error)


def test_silent_node_runs_into_the_time_limit() -> None:
    error = failure_of(Reply({}, delay_s=30), timeouts=Timeouts(read_s=0.1))
    assert isinstance(error, BeaconNodeUnreachable)
    assert "time out" in str(error)


def test_cut_answer_is_unreachable() -> None:
    error = failure_of(Reply(body=b" " * 1000, cut_after=10))
    assert isinstance(error, BeaconNodeUnreachable)


def test_nobody_listens() -> None:
    async def main() -> None:
        node = FakeBeaconNode()
        async with node.running():
            url = node.url
        async with connect_beacon_node(url) as client:
            with pytest.raises(BeaconNodeUnreachable, match=url):
                await client.genesis()

    asyncio.run(main())


@pytest.mark.parametrize(
    "text", ["", "node:5052", "ftp://node", "http://", "http://node/?a=b", "http://[::1", "//x"]
)
def test_bad_address_is_the_operators(text: str) -> None:
    with pytest.raises(ConfigInvalid):
        Address.parse(text)


def told_by(error: BaseException) -> str:
    """Everything that an error and its causes say."""
    text = ""
    current: BaseException | None = error
    while current is not None:
        text += f"{current} {current!r} {vars(current)}"
        current = current.__cause__
    return text


def test_credentials_are_sent_and_never_told() -> None:
    async def main() -> None:
        node = FakeBeaconNode()
        async with node.running():
            url = node.url.replace("//", "//joe:s3cr%3At@") + "/prefix/"
            async with connect_beacon_node(url) as client:
                assert "s3cr" not in client.name + repr(Address.parse(url))
                with pytest.raises(BeaconNodeRefused) as refused:
                    await client.node_version()
                seen = node.last("/prefix/eth/v1/node/version")
                assert seen.headers["Authorization"] == "Basic am9lOnMzY3I6dA=="
        with pytest.raises(ConfigInvalid) as invalid:
            Address.parse("ftp://joe:s3cret@node")
        async with connect_beacon_node("http://joe:s3cret@127.0.0.1:1") as client:
            with pytest.raises(BeaconNodeUnreachable) as away:
                await client.node_version()
        for error in (refused.value, invalid.value, away.value):
            assert "s3cr" not in told_by(error)

    asyncio.run(main())
