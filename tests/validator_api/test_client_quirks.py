"""What each client does its own way: one test for each, named after it.

Sources: the recorded calls of Lodestar 1.23 and Vero 1.1.3, Lodestar 1.5.1 as it runs in
``make integration``, and the quirks that users of distributed validators have reported.
"""

import asyncio
import json

import aiohttp
import pytest
from tests.duties.duty_world import ScriptedBeaconNode
from tests.duties.test_preparation import Schedule, preparation, proofs
from tests.ethereum.beacon_node.fake_node import Reply, refusal
from tests.ethereum.beacon_node.support import attestation_data, block
from tests.validator_api.test_attestations import attest
from tests.validator_api.test_duty_lists import answer, attester_duty
from tests.validator_api.test_selections import BEACON, SYNC, answered, beacon, sync
from tests.validator_api.test_sync_committee import HEAD, decide, question
from tests.validator_api.world import (
    IDLE_SLOT,
    JSON,
    SLOT,
    SLOTS_PER_EPOCH,
    SSZ,
    World,
    hexed,
    root_key,
    run_world,
    share,
)

from tetrarch.duties.types import Duty, DutyType
from tetrarch.ethereum.beacon_node.errors import all_known
from tetrarch.ethereum.spec.attestations import submissions_to_json
from tetrarch.ethereum.spec.values import AttestationData, Fork
from tetrarch.validator_api.api import Limits

DATA = "/eth/v1/validator/attestation_data"
POOL_V1 = "/eth/v1/beacon/pool/attestations"
POOL_V2 = "/eth/v2/beacon/pool/attestations"
SSZ_FIRST = f"{SSZ};q=1,{JSON};q=0.9"
SUBSCRIPTIONS = "/eth/v1/validator/beacon_committee_subscriptions"


# --- Lodestar --------------------------------------------------------------------------------


def test_lodestar_asks_once_for_all_committees_of_a_slot() -> None:
    """It takes the answer for the first committee and puts the other indices in by itself."""

    async def scenario(world: World) -> None:
        world.agreed_attestation()
        got = await world.get(f"{DATA}?committee_index=0&slot={SLOT}")
        data = AttestationData.from_json(got.value["data"])
        other = AttestationData.from_json({**got.value["data"], "index": "1"})
        signed = attest(world, 1, data), attest(world, 2, other)
        assert (await world.post(POOL_V1, submissions_to_json(signed))).status == 200
        (stored,) = world.submitted
        assert len(stored.partials) == 2

    run_world(scenario, fork=Fork.ALTAIR)


def test_lodestar_goes_from_slot_to_slot_in_one_line() -> None:
    """A plain one asks for aggregates all the same; while it waits it starts no vote."""

    async def scenario(world: World) -> None:
        world.proofs.handed_in = False
        root = hexed(attestation_data(SLOT, 0).hash_tree_root())
        query = f"?attestation_data_root={root}&slot={SLOT}"
        async with asyncio.timeout(5):  # the request's own limit is a minute
            for path in (
                f"/eth/v1/validator/aggregate_attestation{query}",
                f"/eth/v2/validator/aggregate_attestation{query}&committee_index=0",
                question(0),
            ):
                got = await world.get(path)
                assert (got.status, "distributed mode" in got.message) == (404, True)

    run_world(scenario, limits=Limits(request_s=60))


def test_lodestar_sends_ssz_bodies_when_told_so() -> None:
    """``--http.requestWireFormat ssz``: duties, pools and both selections; no SSZ in the API."""

    async def scenario(world: World) -> None:
        world.aggregated.is_complete.set()
        path = "/eth/v1/validator/duties/attester/2"
        world.node.answers["POST " + path] = answer(attester_duty(hexed(root_key(1))))
        got = await world.post(path, (101).to_bytes(8, "little"), Accept=SSZ_FIRST)
        assert got.value["data"][0]["pubkey"] == hexed(share(1).public_key())
        for endpoint, item in ((BEACON, beacon(world, 1)), (SYNC, sync(world, 1, 3))):
            proof = bytes.fromhex(item["selection_proof"][2:])
            numbers = [text for name, text in item.items() if name != "selection_proof"]
            body = b"".join(int(text).to_bytes(8, "little") for text in numbers) + proof
            got = await world.post(endpoint, body, Accept=SSZ_FIRST)
            assert got.value == {"data": answered([item], keys=[root_key(1)])}

    run_world(scenario)


def test_lodestar_1_5_asks_for_version_2_blocks_without_an_accept_header() -> None:
    async def scenario(world: World) -> None:
        world.decided.decide_block(block(Fork.ALTAIR, SLOT))
        path = f"/eth/v2/validator/blocks/{SLOT}?randao_reveal={hexed(world.reveal())}&graffiti="
        async with world.session.get(world.url + path, skip_auto_headers=["Accept"]) as response:
            value = await response.json()
        assert value["block_value"] == value["execution_payload_value"] == "1", "it needs one"

    run_world(scenario, fork=Fork.ALTAIR)


def test_lodestar_as_beacon_node_refuses_what_another_node_of_the_cluster_sent() -> None:
    known = "ATTESTATION_ERROR_ATTESTATION_ALREADY_KNOWN"
    assert all_known([f"Multiple errors on submitPoolAttestations\n{known}\n{known}"])
    assert not all_known([f"Multiple errors on submitPoolAttestations\n{known}\nBAD_TARGET_EPOCH"])


# --- Vero ------------------------------------------------------------------------------------


def test_vero_sends_a_content_type_with_gets() -> None:
    async def scenario(world: World) -> None:
        world.agreed_attestation()
        headers = {"Content-Type": JSON, "Accept": JSON}
        got = await world.ask("GET", f"{DATA}?slot={SLOT}&committee_index=0", headers=headers)
        assert got.status == 200

    run_world(scenario)


def test_vero_uses_version_2_in_deneb_too() -> None:
    async def scenario(world: World) -> None:
        data = world.agreed_attestation()[0]
        value = submissions_to_json((attest(world, 1, data),))
        got = await world.post(POOL_V2, value, Eth_Consensus_Version="deneb")
        assert got.status == 200

    run_world(scenario, fork=Fork.DENEB)


def test_vero_never_asks_for_selections_and_votes_all_the_same() -> None:
    async def scenario(world: World) -> None:
        world.proofs.handed_in = False
        data = world.agreed_attestation()[0]
        value = submissions_to_json((attest(world, 1, data),))
        assert (await world.post(POOL_V2, value, Eth_Consensus_Version="electra")).status == 200
        assert len(world.submitted) == 1

    run_world(scenario, fork=Fork.ELECTRA)


# --- Nimbus ----------------------------------------------------------------------------------


def test_nimbus_asks_for_attestation_data_in_idle_slots() -> None:
    """Waiting made it time out and take the node for down, again and again."""

    async def scenario(world: World) -> None:
        plain = attestation_data(IDLE_SLOT).to_json()
        world.node.answers["GET " + DATA] = Reply({"data": plain})
        async with asyncio.timeout(5):  # the request's own limit is a minute
            got = await world.get(f"{DATA}?slot={IDLE_SLOT}&committee_index=0")
        assert got.value == {"data": plain}
        world.node.answers["GET " + DATA] = refusal(503, "syncing")
        got = await world.get(f"{DATA}?slot={IDLE_SLOT}&committee_index=0")
        assert (got.status, got.message) == (503, "syncing")
        assert not world.decided.asked.is_set()

    run_world(scenario, limits=Limits(request_s=60))


# --- Lighthouse ------------------------------------------------------------------------------


def test_lighthouse_subscribes_without_aggregators_in_distributed_mode() -> None:
    """The node knows who is drawn, and tells the beacon node by itself."""

    node = ScriptedBeaconNode()
    asyncio.run(preparation(node).selected(proofs(9, b"\1" * 96), Schedule()))
    ((subscriptions,),) = node.called("subscribe_committees")
    assert [each.is_aggregator for each in subscriptions] == [True]


def test_lighthouse_as_beacon_node_says_prior_attestation_known() -> None:
    assert all_known(["Verification: PriorAttestationKnown { validator_index: 3, epoch: 7 }"])


def test_lighthouse_subscriptions_are_handed_on_as_they_are() -> None:
    async def scenario(world: World) -> None:
        subscription = {
            "validator_index": "101",
            "committee_index": "0",
            "committees_at_slot": "2",
            "slot": str(SLOT),
            "is_aggregator": False,
        }
        world.node.answers["POST " + SUBSCRIPTIONS] = Reply()
        assert (await world.post(SUBSCRIPTIONS, [subscription])).status == 200
        assert json.loads(world.node.last(SUBSCRIPTIONS).body) == [subscription]

    run_world(scenario)


# --- Prysm -----------------------------------------------------------------------------------


def test_prysm_matches_sync_selections_by_their_place_in_the_answer() -> None:
    async def scenario(world: World) -> None:
        world.aggregated.is_complete.set()
        items = [sync(world, 2, 0), sync(world, 1, 3), sync(world, 1, 0), sync(world, 1, 1)]
        got = await world.post(SYNC, items)
        keys = [root_key(number) for number in (2, 1, 1, 1)]
        assert got.value == {"data": answered(items, keys=keys)}

    run_world(scenario)


def test_prysm_asks_for_the_selections_of_a_whole_epoch_at_once() -> None:
    """Those of the next epoch too, before anybody has resolved its duties."""

    async def scenario(world: World) -> None:
        world.aggregated.is_complete.set()
        attesters = world.duties.known[Duty(SLOT, DutyType.PREPARE_AGGREGATOR)]
        first = (SLOT // SLOTS_PER_EPOCH + 1) * SLOTS_PER_EPOCH
        slots = list(range(first, first + SLOTS_PER_EPOCH))
        for slot in slots:
            world.duties.known[Duty(slot, DutyType.PREPARE_AGGREGATOR)] = attesters
        unresolved = 4 * SLOTS_PER_EPOCH
        items = [beacon(world, 1, slot=slot) for slot in [*reversed(slots), unresolved]]
        got = await world.post(BEACON, items)
        assert got.value == {"data": answered(items, keys=[root_key(1)] * len(items))}
        assert [each.duty.slot for each in world.submitted] == [*slots, unresolved]

    run_world(scenario)


# --- Teku ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/teku_proposer_config", "/proposer_config"])
def test_teku_polls_a_proposer_config_that_nobody_serves(path: str) -> None:
    async def scenario(world: World) -> None:
        got = await world.get(path)
        assert (got.status, "fee recipients" in got.message) == (404, True)
        assert world.node.paths() == [], "the beacon node has none either"

    run_world(scenario)


# --- Vouch -----------------------------------------------------------------------------------


def test_vouch_gives_up_earlier_than_the_cluster_and_leaves_nothing_behind() -> None:
    """Its requests end at the node's own limit: a store that has begun must not be torn."""

    async def scenario(world: World) -> None:
        impatient = aiohttp.ClientTimeout(total=0.1)
        url = f"{world.url}{DATA}?slot={SLOT}&committee_index=0"
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await world.session.get(url, timeout=impatient)
        assert world.decided.waiting
        await world.until(lambda: world.decided.waiting == 0)
        world.agreed_attestation()
        assert (await world.session.get(url)).status == 200, "and may ask again"

    text = run_world(scenario, limits=Limits(request_s=1)).log.getvalue()
    assert "crashed" not in text


def test_vouch_and_others_ask_per_committee_after_electra_too() -> None:
    """Some clients name a committee though the data is the same for all."""

    async def scenario(world: World) -> None:
        world.agreed_attestation()
        told = [
            (await world.get(f"{DATA}?slot={SLOT}&committee_index={index}")).value["data"]
            for index in (0, 1, 63)
        ]
        assert told[0] == told[1] == told[2]
        assert told[0]["index"] == "0"

    run_world(scenario, fork=Fork.ELECTRA)


def test_each_of_several_clients_is_seen_by_its_user_agent() -> None:
    async def scenario(world: World) -> None:
        for agent in ("vouch/1.9", "x" * 10_000):
            headers = {"User-Agent": agent, "Accept": JSON}
            assert (await world.ask("GET", "/eth/v1/node/version", headers=headers)).status == 200

    run_world(scenario)


# --- what the answers are built from ---------------------------------------------------------


def test_contribution_for_the_clients_own_head_alone() -> None:
    """A client whose beacon node saw another head is told that there is none, not given ours."""

    async def scenario(world: World) -> None:
        decide(world, (1, 3))
        assert (await world.get(question(3, head=HEAD))).status == 200
        assert (await world.get(question(3, head=b"\x22" * 32))).status == 404

    run_world(scenario)
