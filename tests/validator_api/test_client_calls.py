"""Replays what real validator clients ask, call by call, in the wire formats they use.

Lodestar asks for SSZ first everywhere ("sszA"), sends JSON by default, SSZ on request, and blocks
always in SSZ. Vero speaks JSON only and puts a Content-Type on GETs. Old Lodestar (1.5) knows
version 1 of submissions and version 2 of block production only.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tests.ethereum.beacon_node.fake_node import Reply, Stream
from tests.ethereum.beacon_node.support import block
from tests.validator_api.test_aggregates import decide as decide_aggregates
from tests.validator_api.test_aggregates import in_ssz as aggregates_in_ssz
from tests.validator_api.test_aggregates import sign as sign_aggregate
from tests.validator_api.test_attestations import attest
from tests.validator_api.test_blocks import sign
from tests.validator_api.test_selections import beacon as selection
from tests.validator_api.test_selections import in_ssz
from tests.validator_api.test_selections import sync as sync_selection
from tests.validator_api.test_sync_committee import decide as decide_contributions
from tests.validator_api.test_sync_committee import sign as sign_contribution
from tests.validator_api.test_sync_committee import vote
from tests.validator_api.test_validators import validator
from tests.validator_api.world import (
    JSON,
    SLOT,
    SSZ,
    Got,
    World,
    hexed,
    root_key,
    run_world,
    share,
)

from tetrarch.duties.types import DutyType
from tetrarch.ethereum.spec.attestations import submissions_to_json, submissions_to_ssz
from tetrarch.ethereum.spec.values import Fork

SSZ_FIRST = "application/octet-stream;q=1,application/json;q=0.9"
ROOT = "0x" + "11" * 32
EPOCH = SLOT // 8
STATE = "/eth/v1/beacon/states/head/validators"


@dataclass(frozen=True)
class Client:
    """How one client speaks."""

    name: str
    fork: Fork
    accept: str
    ssz_bodies: bool
    json_on_get: bool = False
    submit: str = "/eth/v2/beacon/pool/attestations"
    produce: str = "/eth/v3/validator/blocks"
    publish: str = "/eth/v2/beacon/blocks"
    publish_ssz: bool = True
    names_fork: bool = True
    version: str = "v2"  # of the endpoints around aggregates
    is_distributed: bool = False  # asks for selections


CLIENTS = [
    Client(
        "lodestar deneb",
        Fork.DENEB,
        SSZ_FIRST,
        ssz_bodies=False,
        version="v1",
        is_distributed=True,
    ),
    Client("lodestar electra", Fork.ELECTRA, SSZ_FIRST, ssz_bodies=False, is_distributed=True),
    Client(
        "lodestar fulu, SSZ requests",
        Fork.FULU,
        SSZ_FIRST,
        ssz_bodies=True,
        is_distributed=True,
    ),
    Client("vero deneb", Fork.DENEB, JSON, ssz_bodies=False, json_on_get=True, publish_ssz=False),
    Client(
        "vero electra", Fork.ELECTRA, JSON, ssz_bodies=False, json_on_get=True, publish_ssz=False
    ),
    Client(
        "lodestar 1.5 altair",
        Fork.ALTAIR,
        "",
        ssz_bodies=False,
        submit="/eth/v1/beacon/pool/attestations",
        produce="/eth/v2/validator/blocks",
        publish="/eth/v1/beacon/blocks",
        publish_ssz=False,
        names_fork=False,
        version="v1",
    ),
]


@dataclass(frozen=True)
class Asking:
    """A client before the API."""

    client: Client
    world: World

    async def get(self, path: str, *, accept: str | None = None) -> Got:
        headers = {"Accept": self.client.accept if accept is None else accept}
        if not headers["Accept"]:
            headers = {}
        if self.client.json_on_get:
            headers["Content-Type"] = JSON
        return await self.world.ask("GET", path, headers=headers)

    async def post(self, path: str, value: object) -> Got:
        headers = (
            {"Eth_Consensus_Version": self.client.fork.value} if self.client.names_fork else {}
        )
        return await self.world.post(path, value, **headers, Accept=self.client.accept or "*/*")

    def indices(self, *values: int) -> object:
        if self.client.ssz_bodies:
            return b"".join(value.to_bytes(8, "little") for value in values)
        return [str(value) for value in values]

    def is_ssz(self, got: Got) -> bool:
        """Whether the answer is SSZ; must be so exactly when the client prefers it."""
        ssz = got.headers["Content-Type"] == SSZ
        assert ssz == (self.client.accept == SSZ_FIRST)
        return ssz


def each_client(
    scenario: Callable[[Asking], Awaitable[None]],
) -> Callable[[Client], None]:
    @pytest.mark.parametrize("client", CLIENTS, ids=[client.name for client in CLIENTS])
    def test(client: Client) -> None:
        async def in_world(world: World) -> None:
            await scenario(Asking(client, world))

        run_world(in_world, fork=client.fork)

    return test


async def start(asking: Asking) -> None:
    """Once: genesis, config/spec, node version, events, validators."""
    node = asking.world.node
    got = await asking.get("/eth/v1/beacon/genesis")
    assert got.value["data"]["genesis_time"]
    assert (await asking.get("/eth/v1/config/spec", accept=JSON)).status == 200
    assert "tetrarch" in (await asking.get("/eth/v1/node/version")).value["data"]["version"]
    found = {"execution_optimistic": False, "finalized": False}
    mine = {**found, "data": [validator(101, hexed(root_key(1)))]}
    node.answers["POST " + STATE] = node.answers["GET " + STATE] = Reply(mine)
    key = hexed(share(1).public_key())
    for got in (
        await asking.world.post(STATE, {"ids": [key], "statuses": []}),
        await asking.get(f"{STATE}?id={key}"),
    ):
        assert got.value["data"][0]["validator"]["pubkey"] == key
    node.answers["GET /eth/v1/events"] = Stream((b"event: head\ndata: {}\n\n",))
    topics = "head,chain_reorg,attester_slashing,proposer_slashing"
    got = await asking.get(f"/eth/v1/events?topics={topics}", accept="text/event-stream")
    assert got.body.startswith(b"event: head")


async def duties(asking: Asking) -> None:
    """Each slot or epoch: syncing, the three lists of duties, subscriptions, preparations."""
    node = asking.world.node
    syncing: dict[str, Any] = {
        "head_slot": "19",
        "sync_distance": "0",
        "is_syncing": False,
        "is_optimistic": False,
        "el_offline": False,
    }
    node.answers["GET /eth/v1/node/syncing"] = Reply({"data": syncing})
    assert (await asking.get("/eth/v1/node/syncing")).value["data"] == syncing
    listed: dict[str, Any] = {"dependent_root": ROOT, "execution_optimistic": False}
    pubkey = hexed(root_key(1))
    proposer = {"pubkey": pubkey, "validator_index": "101", "slot": "20"}
    attester = {
        **proposer,
        "committee_index": "0",
        "committee_length": "5",
        "committees_at_slot": "2",
        "validator_committee_index": "1",
    }
    sync = {
        "pubkey": pubkey,
        "validator_index": "101",
        "validator_sync_committee_indices": ["1"],
    }
    for method, kind, duty in (
        ("GET", "proposer", proposer),
        ("POST", "attester", attester),
        ("POST", "sync", sync),
    ):
        path = f"/eth/v1/validator/duties/{kind}/{EPOCH}"
        node.answers[f"{method} {path}"] = Reply({**listed, "data": [duty]})
        if method == "GET":
            got = await asking.get(path)
        else:
            got = await asking.post(path, asking.indices(101))
        assert got.value["data"][0]["pubkey"] == hexed(share(1).public_key())
    subscription = {
        "validator_index": "101",
        "committee_index": "0",
        "committees_at_slot": "2",
        "slot": "20",
        "is_aggregator": False,
    }
    path = "/eth/v1/validator/beacon_committee_subscriptions"
    node.answers["POST " + path] = Reply()
    assert (await asking.post(path, [subscription])).status == 200
    assert node.last(path).body
    preparation = {"validator_index": "101", "fee_recipient": "0x" + "22" * 20}
    path = "/eth/v1/validator/prepare_beacon_proposer"
    assert (await asking.post(path, [preparation])).status == 200


async def attestation(asking: Asking) -> None:
    """A slot with an attestation."""
    world = asking.world
    agreed = world.agreed_attestation()
    path = f"/eth/v1/validator/attestation_data?committee_index=1&slot={SLOT}"
    got = await asking.get(path)
    if asking.is_ssz(got):
        assert got.body == agreed[1].to_ssz()
    else:
        assert got.value["data"] == agreed[1].to_json()
    signed = (attest(world, 1, agreed[0]), attest(world, 2, agreed[1]))
    value: object = submissions_to_json(signed)
    if asking.client.ssz_bodies:
        value = submissions_to_ssz(world.fork, signed)
    assert (await asking.post(asking.client.submit, value)).status == 200
    (stored,) = world.submitted
    assert len(stored.partials) == 2


async def proposal(asking: Asking) -> None:
    """A slot with a proposal: reveal, block, signed block."""
    world, client = asking.world, asking.client
    agreed = block(world.fork, SLOT)
    world.decided.decide_block(agreed)
    extras = "fee_recipient=0x" + "22" * 20 + "&builder_selection=maxprofit&builder_boost_factor=90"
    extras += "&strict_fee_recipient_check=false&blinded_local=false&graffiti=" + ROOT
    path = f"{client.produce}/{SLOT}?randao_reveal={hexed(world.reveal())}&{extras}"
    got = await asking.get(path)
    if asking.is_ssz(got):
        assert got.body == agreed.ssz
        assert got.headers["Eth-Consensus-Version"] == world.fork.value
    else:
        assert got.value["version"] == world.fork.value
        assert got.value["data"] == agreed.to_json()
    signed = sign(world, agreed)
    value: object = signed.ssz if client.publish_ssz else signed.to_json()
    got = await asking.post(f"{client.publish}?broadcast_validation=gossip", value)
    assert got.status == 200
    stored = [(each.duty.type, len(each.partials)) for each in world.submitted]
    assert stored == [(DutyType.RANDAO, 1), (DutyType.PROPOSER, 1)]
    # Nothing of the proposal went to the beacon node by this way.
    assert world.node.seen == []


async def selections(asking: Asking) -> None:
    """Only a distributed client asks: at each slot with a duty, and each slot of its committee."""
    world = asking.world
    world.aggregated.is_complete.set()
    beacons = [selection(world, 2), selection(world, 1)]
    syncs = [sync_selection(world, 1, 3), sync_selection(world, 1, 0), sync_selection(world, 2, 0)]
    for kind, items in (("beacon", beacons), ("sync", syncs)):
        value: object = in_ssz(items) if asking.client.ssz_bodies else items
        got = await asking.post(f"/eth/v1/validator/{kind}_committee_selections", value)
        assert got.status == 200
        data = got.value["data"]  # JSON, which every client takes
        told = [{**each, "selection_proof": ""} for each in data]
        assert told == [{**each, "selection_proof": ""} for each in items]
    assert [len(each.partials) for each in world.submitted] == [2, 3]


async def aggregation(asking: Asking) -> None:
    """An aggregate out, and signed back."""
    world, client = asking.world, asking.client
    (message,) = decide_aggregates(world, 2)
    path = f"/eth/{client.version}/validator/aggregate_attestation"
    root = hexed(message.aggregate.data.hash_tree_root())
    path += f"?attestation_data_root={root}&slot={SLOT}"
    if client.version == "v2":
        path += "&committee_index=1"
    got = await asking.get(path)
    if client.version == "v2":
        assert got.headers["Eth-Consensus-Version"] == world.fork.value
    if asking.is_ssz(got):
        assert got.body == message.aggregate.to_ssz()
    else:
        assert got.value["data"] == message.aggregate.to_json()
    signed = sign_aggregate(world, 2, message)
    value: object = [signed.to_json()]
    if client.ssz_bodies:
        value = aggregates_in_ssz([signed])
    got = await asking.post(f"/eth/{client.version}/validator/aggregate_and_proofs", value)
    assert got.status == 200
    (stored,) = world.submitted
    assert stored.duty.type is DutyType.AGGREGATOR


async def sync_committee(asking: Asking) -> None:
    """A vote for the head, then contributions of two subcommittees."""
    world, ssz = asking.world, asking.client.ssz_bodies
    votes = vote(world, 1), vote(world, 2)
    value: object = [each.to_json() for each in votes]
    if ssz:
        value = b"".join(each.to_ssz() for each in votes)
    assert (await asking.post("/eth/v1/beacon/pool/sync_committees", value)).status == 200
    signed = []
    for message in decide_contributions(world, (1, 0), (1, 3)):
        agreed = message.contribution
        path = "/eth/v1/validator/sync_committee_contribution"
        path += f"?slot={SLOT}&subcommittee_index={agreed.subcommittee_index}"
        got = await asking.get(f"{path}&beacon_block_root={hexed(agreed.beacon_block_root)}")
        assert got.value["data"] == agreed.to_json()
        signed.append(sign_contribution(world, 1, message))
    value = b"".join(each.to_ssz() for each in signed) if ssz else [s.to_json() for s in signed]
    assert (await asking.post("/eth/v1/validator/contribution_and_proofs", value)).status == 200
    stored = [(each.duty.type, len(each.partials)) for each in world.submitted]
    assert stored == [(DutyType.SYNC_MESSAGE, 2), (DutyType.SYNC_CONTRIBUTION, 2)]


async def handed_on(asking: Asking) -> None:
    """Subscriptions: handed on, byte by byte, and so is what comes back."""
    node = asking.world.node
    for path in (
        "/eth/v1/validator/beacon_committee_subscriptions",
        "/eth/v1/validator/sync_committee_subscriptions",
    ):
        node.answers["POST " + path] = Reply({"data": []})
        body = b"\x01\x02" if asking.client.ssz_bodies else b"[]"
        kind = SSZ if asking.client.ssz_bodies else JSON
        sent = {"Content-Type": kind, "Eth-Consensus-Version": asking.client.fork.value}
        async with asking.world.session.post(
            asking.world.url + path, headers=sent, data=body
        ) as response:
            assert (response.status, await response.read()) == (200, b'{"data": []}')
        seen = node.last(path)
        assert (seen.body, seen.headers["Content-Type"]) == (body, kind)
        assert seen.headers["Eth-Consensus-Version"] == asking.client.fork.value


test_start = each_client(start)
test_duties = each_client(duties)
test_attestation = each_client(attestation)
test_proposal = each_client(proposal)
test_aggregation = each_client(aggregation)
test_sync_committee = each_client(sync_committee)


@pytest.mark.parametrize(
    "client",
    [client for client in CLIENTS if client.is_distributed],
    ids=[client.name for client in CLIENTS if client.is_distributed],
)
def test_selections(client: Client) -> None:
    async def in_world(world: World) -> None:
        await selections(Asking(client, world))

    run_world(in_world, fork=client.fork)


@pytest.mark.parametrize("client", CLIENTS[:3], ids=[client.name for client in CLIENTS[:3]])
def test_handed_on(client: Client) -> None:
    # The fake node judges requests by the API; these bodies are only to be carried.
    async def in_world(world: World) -> None:
        world.node.judges = False
        await handed_on(Asking(client, world))

    run_world(in_world, fork=client.fork)
