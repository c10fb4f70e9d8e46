"""Partial selection proofs come in and are stored; the group's go out, as they were asked."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.validator_api.world import (
    IDLE_SLOT,
    JSON,
    OWN,
    SLOT,
    SLOTS_PER_EPOCH,
    SSZ,
    World,
    group_proof,
    hexed,
    root_key,
    run_world,
)

from tetrarch.duties.types import (
    Duty,
    DutyType,
    PartialSet,
    PubKey,
    SelectionPayload,
    SyncSelectionPayload,
)
from tetrarch.errors import PeerFault
from tetrarch.ethereum.spec.domains import DomainType
from tetrarch.ethereum.spec.selection import sync_selection_root
from tetrarch.ethereum.spec.values import uint64_root
from tetrarch.validator_api.api import Limits

BEACON = "/eth/v1/validator/beacon_committee_selections"
SYNC = "/eth/v1/validator/sync_committee_selections"
UNRESOLVED_SLOT = 4 * SLOTS_PER_EPOCH + 1
WITHIN = Limits(request_s=0.2)


def beacon(world: World, validator: int, *, slot: int = SLOT, **changes: Any) -> dict[str, str]:
    """A validator's selection by this node's share."""
    operator = changes.pop("operator", OWN)
    epoch = slot // SLOTS_PER_EPOCH
    root = world.chain.forks.signing_root(DomainType.SELECTION_PROOF, epoch, uint64_root(slot))
    return {
        "validator_index": str(100 + validator),
        "slot": str(slot),
        "selection_proof": hexed(world.sign_root(root, validator, operator=operator)),
        **changes,
    }


def sync(
    world: World, validator: int, subcommittee: int, *, slot: int = SLOT, **changes: Any
) -> dict[str, str]:
    operator = changes.pop("operator", OWN)
    domain, epoch = DomainType.SYNC_COMMITTEE_SELECTION_PROOF, slot // SLOTS_PER_EPOCH
    message = sync_selection_root(slot, min(subcommittee, 2**63))
    root = world.chain.forks.signing_root(domain, epoch, message)
    return {
        "validator_index": str(100 + validator),
        "slot": str(slot),
        "subcommittee_index": str(subcommittee),
        "selection_proof": hexed(world.sign_root(root, validator, operator=operator)),
        **changes,
    }


def in_ssz(items: list[dict[str, str]]) -> bytes:
    """As Lodestar sends them: the fields in their order, fixed size."""
    parts = []
    for item in items:
        for name, text in item.items():
            is_proof = name == "selection_proof"
            parts.append(bytes.fromhex(text[2:]) if is_proof else int(text).to_bytes(8, "little"))
    return b"".join(parts)


def answered(items: list[dict[str, str]], *, keys: list[PubKey]) -> list[dict[str, str]]:
    """The items with the group's proofs."""
    return [
        {
            **item,
            "selection_proof": hexed(
                group_proof(int(item["slot"]), key, int(item.get("subcommittee_index", 0)))
            ),
        }
        for item, key in zip(items, keys, strict=True)
    ]


@pytest.mark.parametrize("ssz", [False, True])
def test_beacon_selections_are_stored_and_answered_in_order(*, ssz: bool) -> None:
    async def scenario(world: World) -> None:
        items = [beacon(world, 2), beacon(world, 1), beacon(world, 2)]
        asking = asyncio.create_task(world.post(BEACON, in_ssz(items) if ssz else items))
        await world.until(lambda: bool(world.aggregated.asked))
        (stored,) = world.submitted  # before anybody waits
        assert stored.duty == Duty(SLOT, DutyType.PREPARE_AGGREGATOR)
        assert [each.pubkey for each in stored.partials] == sorted([root_key(1), root_key(2)])
        assert {each.payload for each in stored.partials} == {SelectionPayload(slot=SLOT)}
        assert not asking.done()
        world.aggregated.is_complete.set()
        got = await asking
        assert got.status == 200
        keys = [root_key(2), root_key(1), root_key(2)]
        assert got.value == {"data": answered(items, keys=keys)}

    run_world(scenario)


@pytest.mark.parametrize("ssz", [False, True])
def test_sync_selections_keep_their_order(*, ssz: bool) -> None:
    async def scenario(world: World) -> None:
        world.aggregated.is_complete.set()
        items = [sync(world, 1, 3), sync(world, 2, 0), sync(world, 1, 0), sync(world, 1, 1)]
        got = await world.post(SYNC, in_ssz(items) if ssz else items)
        assert got.status == 200
        one, two = root_key(1), root_key(2)
        assert got.value == {"data": answered(items, keys=[one, two, one, one])}
        (stored,) = world.submitted
        assert stored.duty == Duty(SLOT, DutyType.PREPARE_SYNC_CONTRIBUTION)
        places = [(each.pubkey, each.sub_index) for each in stored.partials]
        assert places == sorted([(one, 0), (one, 1), (one, 3), (two, 0)])
        assert stored.partials[places.index((one, 3))].payload == SyncSelectionPayload(
            slot=SLOT, subcommittee_index=3
        )

    run_world(scenario)


@pytest.mark.parametrize(
    ("path", "make", "numbers"), [(BEACON, beacon, (1,)), (SYNC, sync, (1, 3))]
)
def test_ssz_answers_are_for_those_who_take_no_json(
    path: str, make: Callable[..., dict[str, str]], numbers: tuple[int, ...]
) -> None:
    async def scenario(world: World) -> None:
        world.aggregated.is_complete.set()
        items = [make(world, *numbers)]
        body = json.dumps(items).encode()
        headers = {"Content-Type": JSON, "Accept": f"{SSZ};q=1,{JSON};q=0.9"}
        got = await world.ask("POST", path, headers=headers, body=body)
        assert got.headers["Content-Type"] == JSON, "of the beacon API's own, it has JSON alone"
        expected = answered(items, keys=[root_key(1)])
        assert got.value == {"data": expected}
        world.judges = False
        got = await world.ask("POST", path, headers={**headers, "Accept": SSZ}, body=body)
        assert (got.headers["Content-Type"], got.body) == (SSZ, in_ssz(expected))

    run_world(scenario)


def test_proofs_that_are_there_are_not_waited_for() -> None:
    async def scenario(world: World) -> None:
        for validator in (1, 2):
            world.aggregated.hold(SelectionPayload(slot=SLOT), root_key(validator))
        items = [beacon(world, 2), beacon(world, 1)]
        got = await world.post(BEACON, items)
        assert got.value == {"data": answered(items, keys=[root_key(2), root_key(1)])}
        assert world.aggregated.asked == []

    run_world(scenario)


def test_several_slots_are_several_duties() -> None:
    async def scenario(world: World) -> None:
        world.aggregated.is_complete.set()
        attesters = world.duties.known[Duty(SLOT, DutyType.PREPARE_AGGREGATOR)]
        world.duties.known[Duty(SLOT + 2, DutyType.PREPARE_AGGREGATOR)] = attesters
        items = [beacon(world, 1, slot=SLOT + 2), beacon(world, 1)]
        assert (await world.post(BEACON, items)).status == 200
        assert [each.duty.slot for each in world.submitted] == [SLOT, SLOT + 2]

    run_world(scenario)


def test_an_epoch_ahead_of_the_schedule_is_taken_by_index() -> None:
    async def scenario(world: World) -> None:
        world.aggregated.is_complete.set()
        items = [beacon(world, 3, slot=UNRESOLVED_SLOT)]
        assert (await world.post(BEACON, items)).status == 200
        items = [sync(world, 3, 2, slot=UNRESOLVED_SLOT)]
        assert (await world.post(SYNC, items)).status == 200
        assert [each.partials[0].pubkey for each in world.submitted] == [root_key(3)] * 2
        got = await world.post(BEACON, [beacon(world, 9, slot=UNRESOLVED_SLOT)])
        assert got.status == 400
        assert "not_resolved" in got.value["failures"][0]["message"]

    run_world(scenario)


def test_too_few_proofs_in_time_is_told() -> None:
    async def scenario(world: World) -> None:
        got = await world.post(BEACON, [beacon(world, 1)])
        assert got.status == 408
        assert "too few nodes" in got.message
        assert len(world.submitted) == 1  # ours is there for those who ask later

    run_world(scenario, limits=WITHIN)


def test_replay_is_answered_again() -> None:
    async def scenario(world: World) -> None:
        world.aggregated.is_complete.set()
        items = [beacon(world, 1)]
        first, second = await world.post(BEACON, items), await world.post(BEACON, items)
        assert first.value == second.value
        assert world.submitted[0] == world.submitted[1]  # ParSigDB takes the same twice

    run_world(scenario)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"slot": IDLE_SLOT}, "has no duty 21"),
        ({"slot": 2}, "ended"),
        ({"slot": SLOT + 9 * SLOTS_PER_EPOCH}, "too far ahead"),
        ({"validator_index": "7"}, "validator 7 of this cluster has no duty"),
        ({"validator_index": "103"}, "validator 103 of this cluster has no duty"),
        ({"operator": 3}, "not by key share"),
        ({"selection_proof": hexed(bytes(96))}, "not by key share"),
        ({"selection_proof": "0x00"}, "selection_proof"),
        ({"slot": "x"}, "slot"),
    ],
)
def test_a_wrong_selection_is_told_and_the_others_are_stored(
    change: dict[str, Any], reason: str
) -> None:
    async def scenario(world: World) -> None:
        world.aggregated.is_complete.set()
        slot = change.pop("slot", SLOT)
        wrong = beacon(world, 1, slot=slot if isinstance(slot, int) else SLOT, **change)
        wrong["slot"] = str(slot)
        change["slot"] = slot
        got = await world.post(BEACON, [wrong, beacon(world, 2)])
        assert got.status == 400
        (failure,) = got.value["failures"]
        assert failure["index"] == 0
        assert reason in failure["message"]
        (stored,) = world.submitted
        assert [each.pubkey for each in stored.partials] == [root_key(2)]

    run_world(scenario)


@pytest.mark.parametrize("subcommittee", [2, 4, 256, 2**64 - 1])
@pytest.mark.parametrize("slot", [SLOT, UNRESOLVED_SLOT])
def test_a_foreign_subcommittee_is_refused(subcommittee: int, slot: int) -> None:
    if (subcommittee, slot) == (2, UNRESOLVED_SLOT):
        return  # nobody knows yet

    async def scenario(world: World) -> None:
        got = await world.post(SYNC, [sync(world, 1, subcommittee, slot=slot)])
        assert got.status == 400
        assert f"sync subcommittee {subcommittee}" in got.value["failures"][0]["message"]
        assert world.submitted == []

    run_world(scenario)


@pytest.mark.parametrize("path", [BEACON, SYNC])
@pytest.mark.parametrize(
    ("value", "headers", "status"),
    [
        ({}, {}, 400),
        ([7], {}, 400),
        (b"x", {}, 400),
        (b"", {"Content_Type": "text/plain"}, 415),
        ([], {"Accept": "text/html"}, 406),
        ([{}] * 65_537, {}, 400),
        (bytes(4 * 1024 * 1024 + 1), {}, 413),
        ([], {}, 200),
        (b"", {}, 200),
    ],
)
def test_malformed_requests(path: str, value: object, headers: dict[str, str], status: int) -> None:
    async def scenario(world: World) -> None:
        got = await world.post(path, value, **headers)
        assert got.status == status
        assert world.submitted == []

    run_world(scenario)


def test_what_contradicts_an_earlier_signature_is_told_alone() -> None:
    """ParSigDB refuses a whole set for one equivocation: the others go in by themselves."""

    async def scenario(world: World) -> None:
        world.aggregated.is_complete.set()
        taken: list[PubKey] = []

        async def store(partial_set: PartialSet) -> None:
            if root_key(1) in [each.pubkey for each in partial_set.partials]:
                raise PeerFault("store partial")
            taken.extend(each.pubkey for each in partial_set.partials)

        world.api.submitted.subscribe(store)
        got = await world.post(BEACON, [beacon(world, 1), beacon(world, 2)])
        assert got.status == 400
        (failure,) = got.value["failures"]
        assert failure["index"] == 0
        assert "signed something else" in failure["message"]
        assert taken == [root_key(2)]

    run_world(scenario)
