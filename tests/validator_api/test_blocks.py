"""Asking for a block gives a verified reveal; publishing takes only the block that was agreed."""

import asyncio
import json
from io import BytesIO
from typing import Any

import pytest
from tests.ethereum.beacon_node.support import block
from tests.validator_api.world import (
    IDLE_SLOT,
    JSON,
    OWN,
    SLOT,
    SLOTS_PER_EPOCH,
    SSZ,
    Got,
    World,
    hexed,
    root_key,
    run_world,
    share,
)

from tetrarch.duties.types import Duty, DutyType, ProposalPayload, RandaoPayload
from tetrarch.ethereum.spec.domains import DomainType
from tetrarch.ethereum.spec.proposals import Proposal, SignedProposal, sign_proposal
from tetrarch.ethereum.spec.values import Fork
from tetrarch.validator_api.api import Limits

FORMS = [
    (fork, blinded)
    for fork in Fork
    for blinded in (False, True)
    if not blinded or fork.at_least(Fork.BELLATRIX)
]


def path_v3(world: World, slot: int = SLOT, **query: str) -> str:
    values = {"randao_reveal": hexed(world.reveal()), **query}
    return f"/eth/v3/validator/blocks/{slot}?" + "&".join(f"{k}={v}" for k, v in values.items())


@pytest.mark.parametrize(("fork", "blinded"), FORMS)
def test_agreed_block_is_served_in_every_form(fork: Fork, *, blinded: bool) -> None:
    async def scenario(world: World) -> None:
        agreed = block(fork, SLOT, blinded=blinded)
        world.decided.decide_block(agreed)
        path = path_v3(world, builder_boost_factor="90", graffiti=hexed(b"mine".ljust(32)))
        got = await world.get(path)
        assert got.status == 200
        assert Proposal.from_json(fork, blinded, got.value["data"], preset="minimal") == agreed
        assert got.value["execution_payload_blinded"] is blinded
        assert got.headers["Eth-Consensus-Version"] == fork.value
        assert got.headers["Eth-Execution-Payload-Blinded"] == str(blinded).lower()
        assert got.headers["Eth-Execution-Payload-Value"] == "1"
        assert got.headers["Eth-Consensus-Block-Value"] == "1"
        got = await world.get(path, accept=f"{SSZ};q=1,{JSON};q=0.9")
        assert got.body == agreed.ssz
        assert got.headers["Eth-Consensus-Version"] == fork.value

    run_world(scenario, fork=fork)


def test_reveal_is_stored_before_the_block_is_there() -> None:
    async def scenario(world: World) -> None:
        asked = asyncio.create_task(world.get(path_v3(world)))
        await world.decided.asked.wait()
        (stored,) = world.submitted
        (partial,) = stored.partials
        assert stored.duty == Duty(SLOT, DutyType.RANDAO)
        assert (partial.pubkey, partial.share_index) == (root_key(3), OWN)
        assert partial.payload == RandaoPayload(epoch=SLOT // SLOTS_PER_EPOCH)
        assert partial.signature == world.reveal()
        world.decided.decide_block(block(Fork.DENEB, SLOT))
        assert (await asked).status == 200

    run_world(scenario)


@pytest.mark.parametrize(
    ("validator", "operator"),
    [(3, 1), (1, OWN)],  # another operator's share; another validator's
)
def test_wrong_reveal_is_refused(validator: int, operator: int) -> None:
    async def scenario(world: World) -> None:
        reveal = world.reveal(validator, operator=operator)
        got = await world.get(path_v3(world, randao_reveal=hexed(reveal)))
        assert got.status == 400
        assert hexed(share(3).public_key()) in got.message
        assert world.submitted == []

    run_world(scenario)


@pytest.mark.parametrize(
    ("slot", "query"),
    [
        (str(IDLE_SLOT), {}),  # nobody of the cluster proposes: told at once
        ("head", {}),
        (str(2**64), {}),
        (str(SLOT), {"randao_reveal": "0xaa"}),
        (str(SLOT), {"randao_reveal": ""}),
        (str(SLOT), {"randao_reveal": hexed(b"\xc0" + bytes(95))}),
        (str(SLOT), {"builder_boost_factor": "-1"}),
        (str(SLOT), {"builder_boost_factor": str(2**64)}),
    ],
)
def test_bad_questions_are_refused_at_once(slot: str, query: dict[str, str]) -> None:
    async def scenario(world: World) -> None:
        got = await world.get(path_v3(world, slot=slot, **query))  # type: ignore[arg-type]  # bad slots
        assert got.status == 400
        assert world.submitted == []

    run_world(scenario)


def test_large_block_goes_both_ways() -> None:
    async def scenario(world: World) -> None:
        transactions = tuple(bytes(100_000) for _ in range(30))
        agreed = block(Fork.CAPELLA, SLOT, transactions=transactions)
        world.decided.decide_block(agreed)
        for accept in (JSON, SSZ):
            assert len((await world.get(path_v3(world), accept=accept)).body) > 3_000_000
        signed = sign(world, agreed)
        headers = {"Content-Type": SSZ, "Eth-Consensus-Version": "capella"}
        url = world.url + "/eth/v2/beacon/blocks"
        async with world.session.post(url, headers=headers, data=BytesIO(signed.ssz)) as response:
            assert response.status == 200

    run_world(scenario, fork=Fork.CAPELLA)


def test_no_agreement_in_time_is_told() -> None:
    async def scenario(world: World) -> None:
        got = await world.get(path_v3(world))
        assert got.status == 408
        assert len(world.submitted) == 1

    run_world(scenario, limits=Limits(request_s=0.1))


def test_version_2_serves_full_blocks_before_electra() -> None:
    path = f"/eth/v2/validator/blocks/{SLOT}?randao_reveal="

    async def full(world: World) -> None:
        agreed = block(world.fork, SLOT)
        world.decided.decide_block(agreed)
        got = await world.ask("GET", path + hexed(world.reveal()), headers={})
        assert (got.status, got.value["version"]) == (200, world.fork.value)
        assert (got.value["block_value"], got.value["execution_payload_value"]) == ("1", "1")
        read = Proposal.from_json(world.fork, False, got.value["data"], preset="minimal")
        assert read == agreed

    async def blinded(world: World) -> None:
        world.decided.decide_block(block(world.fork, SLOT, blinded=True))
        got = await world.get(path + hexed(world.reveal()))
        assert (got.status, "version 3" in got.message) == (400, True)

    async def new_fork(world: World) -> None:
        got = await world.get(path + hexed(world.reveal()))
        assert (got.status, "version 3" in got.message) == (404, True)
        assert world.submitted == []

    for fork in (Fork.ALTAIR, Fork.DENEB):
        run_world(full, fork=fork)
    run_world(blinded, fork=Fork.CAPELLA)
    run_world(new_fork, fork=Fork.ELECTRA)


@pytest.mark.parametrize("path", ["v1/validator/blocks", "v4/validator/blocks"])
def test_no_block_leaves_that_nobody_agreed_on(path: str) -> None:
    async def scenario(world: World) -> None:
        got = await world.get(f"/eth/{path}/{SLOT}?randao_reveal={hexed(world.reveal())}")
        assert got.status == 404
        assert world.node.paths() == []

    run_world(scenario)


@pytest.mark.parametrize(
    ("endpoint", "fork", "blinded", "status"),
    [
        ("blinded_blocks", Fork.BELLATRIX, True, 200),
        ("blinded_blocks", Fork.DENEB, True, 200),
        ("blinded_blocks", Fork.CAPELLA, False, 400),  # the cluster agreed on a full one
        ("blinded_blocks", Fork.ALTAIR, False, 404),
        ("blinded_blocks", Fork.ELECTRA, True, 404),
        ("blocks", Fork.PHASE0, False, 200),
        ("blocks", Fork.ALTAIR, False, 404),
    ],
)
def test_old_versions_serve_the_forks_that_have_them(
    endpoint: str, fork: Fork, *, blinded: bool, status: int
) -> None:
    async def scenario(world: World) -> None:
        agreed = block(fork, SLOT, blinded=blinded)
        world.decided.decide_block(agreed)
        path = f"/eth/v1/validator/{endpoint}/{SLOT}?randao_reveal={hexed(world.reveal())}"
        got = await world.get(path)
        assert got.status == status
        assert len(world.submitted) == (0 if status == 404 else 1), "the reveal"
        if status != 200:
            assert "version 3" in got.message
            return
        assert got.value["version"] == got.headers["Eth-Consensus-Version"] == fork.value
        assert Proposal.from_json(fork, blinded, got.value["data"], preset="minimal") == agreed
        assert (await world.get(path, accept=SSZ)).body == agreed.ssz

    run_world(scenario, fork=fork)


def sign(world: World, proposal: Proposal, **by: int) -> SignedProposal:
    root = proposal.hash_tree_root()
    signature = world.signed(
        DomainType.BEACON_PROPOSER, root, by.get("validator", 3), operator=by.get("operator", OWN)
    )
    return sign_proposal(proposal, signature)


async def publish(world: World, signed: SignedProposal, *, version: int, ssz: bool) -> Got:
    name = "blinded_blocks" if signed.blinded else "blocks"
    value: Any = signed.ssz if ssz else signed.to_json()
    headers = {"Eth_Consensus_Version": signed.fork.value}
    return await world.post(f"/eth/v{version}/beacon/{name}", value, **headers)


@pytest.mark.parametrize(("fork", "blinded"), FORMS)
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("ssz", [False, True])
def test_agreed_block_is_taken_in_every_form(
    fork: Fork, version: int, *, blinded: bool, ssz: bool
) -> None:
    async def scenario(world: World) -> None:
        agreed = block(fork, SLOT, blinded=blinded)
        world.decided.decide_block(agreed)
        signed = sign(world, agreed)
        got = await publish(world, signed, version=version, ssz=ssz)
        assert (got.status, got.body) == (200, b"")
        (stored,) = world.submitted
        (partial,) = stored.partials
        assert stored.duty == Duty(SLOT, DutyType.PROPOSER)
        assert partial.payload == ProposalPayload(fork=fork, blinded=blinded, header=agreed.header)
        assert (partial.pubkey, partial.signature) == (root_key(3), signed.signature)
        assert world.node.paths() == []

    run_world(scenario, fork=fork)


@pytest.mark.parametrize("fork", [Fork.ALTAIR, Fork.DENEB])
def test_version_1_needs_no_header_in_json(fork: Fork) -> None:
    async def scenario(world: World) -> None:
        agreed = block(fork, SLOT)
        world.decided.decide_block(agreed)
        signed = sign(world, agreed)
        assert (await world.post("/eth/v1/beacon/blocks", signed.to_json())).status == 200
        assert (await world.post("/eth/v1/beacon/blocks", signed.ssz)).status == 400
        assert (await world.post("/eth/v2/beacon/blocks", signed.to_json())).status == 400
        assert len(world.submitted) == 1

    run_world(scenario, fork=fork)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"proposer_index": 4}, "proposer_index"),
        ({"parent_root": b"\x01" * 32}, "parent_root"),
        ({"state_root": b"\x01" * 32}, "state_root"),
        ({"reveal": b"\x01" * 96}, "body_root"),
    ],
)
def test_other_block_than_agreed_is_refused(changes: dict[str, Any], named: str) -> None:
    async def scenario(world: World) -> None:
        world.decided.decide_block(block(world.fork, SLOT))
        other = sign(world, block(world.fork, SLOT, **changes))
        got = await publish(world, other, version=2, ssz=True)
        assert got.status == 400
        assert f"{named} differs" in got.message
        assert world.submitted == []

    run_world(scenario)


def test_other_form_than_agreed_is_refused() -> None:
    async def scenario(world: World) -> None:
        world.decided.decide_block(block(world.fork, SLOT))
        blinded = sign(world, block(world.fork, SLOT, blinded=True))
        got = await publish(world, blinded, version=2, ssz=True)
        assert (got.status, "agreed block is full" in got.message) == (400, True)
        older = sign(world, block(Fork.CAPELLA, SLOT))
        got = await publish(world, older, version=2, ssz=True)
        assert (got.status, "capella" in got.message) == (400, True)

    run_world(scenario)


@pytest.mark.parametrize("by", [{"operator": 1}, {"validator": 2}])
def test_block_must_be_signed_by_our_share(by: dict[str, int]) -> None:
    async def scenario(world: World) -> None:
        agreed = block(world.fork, SLOT)
        world.decided.decide_block(agreed)
        got = await publish(world, sign(world, agreed, **by), version=2, ssz=False)
        assert (got.status, "not by key share" in got.message) == (400, True)
        assert world.submitted == []

    run_world(scenario)


def test_block_for_an_idle_slot_is_refused_at_once() -> None:
    async def scenario(world: World) -> None:
        got = await publish(world, sign(world, block(world.fork, IDLE_SLOT)), version=2, ssz=True)
        assert (got.status, "no validator of this cluster" in got.message) == (400, True)

    run_world(scenario)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", JSON, 400),
        (b"{", JSON, 400),
        (b"[]", JSON, 400),
        (b"7", JSON, 400),
        (json.dumps({"message": {"slot": "20"}, "signature": "0x"}).encode(), JSON, 400),
        (b"[" * 100_000, JSON, 400),
        (b"", SSZ, 400),
        (b"\xff" * 500, SSZ, 400),
        (b"{}", "text/plain", 415),
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_malformed_blocks(body: bytes, kind: str, status: int, version: int) -> None:
    async def scenario(world: World) -> None:
        headers = {"Content-Type": kind}
        if version == 2:
            headers["Eth-Consensus-Version"] = "deneb"
        path = f"/eth/v{version}/beacon/blocks"
        got = await world.ask("POST", path, headers=headers, body=body)
        assert got.status == status
        assert world.submitted == []

    run_world(scenario)
