"""Who voted in an epoch: the endpoint, its bad answers, and the development chain's own."""

import pytest
from tests.ethereum.beacon_node.fake_node import FakeBeaconNode, Reply
from tests.ethereum.beacon_node.on_devchain import Served, run_on_devchain
from tests.ethereum.beacon_node.support import run_with_client

from tetrarch.ethereum.beacon_node.client import BeaconNodeClient
from tetrarch.ethereum.beacon_node.errors import BeaconNodeAnswerInvalid, BeaconNodeUnreachable
from tetrarch.ethereum.beacon_node.liveness import live_validators

PATH = "POST /eth/v1/validator/liveness/5"
RIGHT = b'{"data": [{"index": "1", "is_live": true}, {"index": "7", "is_live": false}]}'


def test_live_validators_are_those_that_the_node_saw() -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[PATH] = Reply(body=RIGHT)
        assert await live_validators(client, 5, (1, 7)) == {1}
        assert node.seen[-1].body == b'["1","7"]'

    run_with_client(scenario)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(body=RIGHT, status=400), BeaconNodeUnreachable),
        (Reply(body=b'{"data": [{"index": "1", "is_live": true}]}'), BeaconNodeAnswerInvalid),
        (Reply(body=b'{"data": [{"index": "x", "is_live": true}]}'), BeaconNodeAnswerInvalid),
        (Reply(body=b"no json"), BeaconNodeAnswerInvalid),
        (Reply(body=b" " * (5 << 20)), BeaconNodeAnswerInvalid),
    ],
    ids=["refused", "incomplete", "no number", "no json", "endless"],
)
def test_an_answer_that_says_nothing_is_an_error(reply: Reply, error: type[Exception]) -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[PATH] = reply
        with pytest.raises(error):
            await live_validators(client, 5, (1, 7))

    run_with_client(scenario)


def test_the_development_chain_tells_that_nobody_voted_yet() -> None:
    async def scenario(served: Served) -> None:
        assert await live_validators(served.client, 0, (0, 1)) == frozenset()

    run_on_devchain(scenario)
