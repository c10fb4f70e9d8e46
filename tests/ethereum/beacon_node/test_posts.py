"""Long submissions go out in batches, and a refusal tells which of their items were not taken."""

import json
from collections.abc import Awaitable, Callable

import pytest
from tests.ethereum.beacon_node.fake_node import FakeBeaconNode, Reply, Seen, refusal
from tests.ethereum.beacon_node.support import run_with_client
from tests.ethereum.beacon_node.test_aggregate_calls import signed_aggregate
from tests.ethereum.beacon_node.test_duty_calls import submission
from tests.ethereum.beacon_node.test_sync_calls import message, signed_contribution
from tests.ethereum.beacon_node.test_validator_calls import registration

from tetrarch.ethereum.beacon_node.client import BeaconNodeClient
from tetrarch.ethereum.beacon_node.errors import BeaconNodeRefused, BeaconNodeUnreachable
from tetrarch.ethereum.beacon_node.ports import SyncSubscription
from tetrarch.ethereum.beacon_node.posts import SUBMISSIONS_PER_POST
from tetrarch.ethereum.spec.values import Fork

POOL = "POST /eth/v1/beacon/pool/sync_committees"
COUNT = 2 * SUBMISSIONS_PER_POST + 3

Submit = Callable[[BeaconNodeClient, int], Awaitable[None]]


def some_failed(*failures: object, status: int = 400) -> Reply:
    listed = [
        {"index": each, "message": f"bad {each}"} if isinstance(each, int | str) else each
        for each in failures
    ]
    value = {"code": status, "message": "some failures", "failures": listed}
    return Reply(value, status=status)


async def attestations(client: BeaconNodeClient, count: int) -> None:
    await client.submit_attestations(Fork.ELECTRA, (submission(1),) * count)


async def attestations_before_electra(client: BeaconNodeClient, count: int) -> None:
    await client.submit_attestations(Fork.DENEB, (submission(1),) * count)


async def aggregates(client: BeaconNodeClient, count: int) -> None:
    await client.submit_aggregates(Fork.ELECTRA, (signed_aggregate(Fork.ELECTRA, 1),) * count)


async def aggregates_before_electra(client: BeaconNodeClient, count: int) -> None:
    await client.submit_aggregates(Fork.DENEB, (signed_aggregate(Fork.DENEB, 1),) * count)


async def sync_messages(client: BeaconNodeClient, count: int) -> None:
    await client.submit_sync_messages(tuple(message(index) for index in range(count)))


async def contributions(client: BeaconNodeClient, count: int) -> None:
    await client.submit_contributions((signed_contribution(1),) * count)


async def registrations(client: BeaconNodeClient, count: int) -> None:
    await client.register_validators((registration(1),) * count)


async def subscriptions(client: BeaconNodeClient, count: int) -> None:
    subscription = SyncSubscription(validator_index=1, positions=(2,), until_epoch=3)
    await client.subscribe_sync_committees((subscription,) * count)


def sizes(seen: list[Seen]) -> list[int]:
    return [len(json.loads(each.body)) for each in seen]


@pytest.mark.parametrize(
    ("submit", "path"),
    [
        (attestations, "/eth/v2/beacon/pool/attestations"),
        (attestations_before_electra, "/eth/v1/beacon/pool/attestations"),
        (aggregates, "/eth/v2/validator/aggregate_and_proofs"),
        (aggregates_before_electra, "/eth/v1/validator/aggregate_and_proofs"),
        (sync_messages, "/eth/v1/beacon/pool/sync_committees"),
        (contributions, "/eth/v1/validator/contribution_and_proofs"),
        (registrations, "/eth/v1/validator/register_validator"),
        (subscriptions, "/eth/v1/validator/sync_committee_subscriptions"),
    ],
)
def test_refused_items_are_counted_over_all_batches(submit: Submit, path: str) -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.judges = False  # 2000 items, and tests of their form are elsewhere
        node.answers["POST " + path] = [some_failed(1023, 0, "7"), Reply(), some_failed(2)]
        with pytest.raises(BeaconNodeRefused, match="failed=4") as refused:
            await submit(client, COUNT)
        seen = [each for each in node.seen if each.path == path]
        assert sizes(seen) == [SUBMISSIONS_PER_POST, SUBMISSIONS_PER_POST, 3]
        error = refused.value
        assert error.failed_indices == (0, 7, 1023, 2 * SUBMISSIONS_PER_POST + 2)
        assert error.message == "some failures: bad 1023; bad 0; bad 7"
        assert error.status == 400
        assert error.blames_request
        assert path in str(error)

    run_with_client(scenario)


@pytest.mark.parametrize(
    "second", [refusal(400, "no list"), refusal(503, "syncing"), some_failed(1024), "cut"]
)
def test_refusal_of_a_whole_batch_says_nothing_of_items(second: Reply | str) -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.judges = False
        last = second if isinstance(second, Reply) else Reply(body=b" " * 9, cut_after=1)
        node.answers[POOL] = [some_failed(1), last]
        with pytest.raises((BeaconNodeRefused, BeaconNodeUnreachable)) as refused:
            await sync_messages(client, COUNT)
        assert getattr(refused.value, "failed_indices", ()) == ()
        assert "failed=" not in str(refused.value)
        assert len(node.seen) == 2

    run_with_client(scenario)


@pytest.mark.parametrize(
    "failures",
    [
        (),
        (3,),
        (-1,),
        ("x",),
        (0, "3"),
        (0, 1, 2, 0),
        (0, {"message": "no index"}),
        (0, {"index": None, "message": "null"}),
        (0, {"index": True, "message": "truth"}),
        (0, {"index": 1.5, "message": "part"}),
        (0, {"index": 2**64, "message": "large"}),
        (0, ["list"]),
        (0, None),
    ],
)
def test_places_that_cannot_be_are_not_believed(failures: tuple[object, ...]) -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[POOL] = some_failed(*failures)
        with pytest.raises(BeaconNodeRefused, match="some failures") as refused:
            await sync_messages(client, 3)
        assert refused.value.failed_indices == ()

    run_with_client(scenario)


def test_only_status_400_is_about_items() -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        for status in (404, 422, 500, 503):
            node.answers[POOL] = some_failed(1, status=status)
            with pytest.raises(BeaconNodeRefused) as refused:
                await sync_messages(client, 3)
            assert (refused.value.status, refused.value.failed_indices) == (status, ())

    run_with_client(scenario)


def test_every_item_of_a_batch_may_fail_at_length() -> None:
    failures = [{"index": each, "message": "m" * 900} for each in range(SUBMISSIONS_PER_POST)]
    reply = Reply({"code": 400, "message": "all failed", "failures": failures}, status=400)

    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[POOL] = reply
        with pytest.raises(BeaconNodeRefused, match="all failed") as refused:
            await sync_messages(client, SUBMISSIONS_PER_POST)
        assert refused.value.failed_indices == tuple(range(SUBMISSIONS_PER_POST))
        assert len(str(refused.value)) < 1000

    run_with_client(scenario)
