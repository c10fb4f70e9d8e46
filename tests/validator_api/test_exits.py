"""Voluntary exits are stored when our share signed them; registrations are read and let go."""

from dataclasses import replace
from typing import Any

import pytest
from tests.validator_api.world import (
    OWN,
    SLOT,
    SLOTS_PER_EPOCH,
    World,
    hexed,
    root_key,
    run_world,
    share,
)

from tetrarch.duties.types import Duty, DutyType, ExitPayload
from tetrarch.ethereum.spec.domains import (
    DomainType,
    ForkActivation,
    compute_domain,
    compute_signing_root,
)
from tetrarch.ethereum.spec.messages import (
    SignedValidatorRegistration,
    SignedVoluntaryExit,
    ValidatorRegistration,
    VoluntaryExit,
)
from tetrarch.ethereum.spec.values import Fork

EXITS = "/eth/v1/beacon/pool/voluntary_exits"
REGISTER = "/eth/v1/validator/register_validator"
EPOCH = SLOT // SLOTS_PER_EPOCH


def leave(world: World, validator: int, **changes: Any) -> SignedVoluntaryExit:
    """A validator's exit by this node's share."""
    operator = changes.pop("operator", OWN)
    signature = changes.pop("signature", None)
    fields = {"epoch": EPOCH, "validator_index": 100 + validator, **changes}
    message = VoluntaryExit(**fields)
    epoch, root = message.epoch, message.hash_tree_root()
    root = world.chain.forks.signing_root(DomainType.VOLUNTARY_EXIT, epoch, root)
    signed = world.sign_root(root, validator, operator=operator)
    return SignedVoluntaryExit(message=message, signature=signature or signed)


@pytest.mark.parametrize("fork", [Fork.PHASE0, Fork.CAPELLA, Fork.DENEB, Fork.FULU])
@pytest.mark.parametrize("ssz", [False, True])
def test_exit_is_stored(fork: Fork, *, ssz: bool) -> None:
    async def scenario(world: World) -> None:
        signed = leave(world, 3)
        for _ in range(2):  # the same again does no harm
            got = await world.post(EXITS, signed.to_ssz() if ssz else signed.to_json())
            assert (got.status, got.body) == (200, b"")
        stored, again = world.submitted
        assert stored == again
        assert stored.duty == Duty(EPOCH * SLOTS_PER_EPOCH, DutyType.EXIT)
        (partial,) = stored.partials
        assert partial.pubkey == root_key(3)
        assert partial.payload == ExitPayload(message=signed.message)
        assert world.node.paths() == []

    run_world(scenario, fork=fork)


def test_old_epoch_is_taken() -> None:
    async def scenario(world: World) -> None:
        assert (await world.post(EXITS, leave(world, 1, epoch=0).to_json())).status == 200
        assert world.submitted[0].duty == Duty(0, DutyType.EXIT)

    run_world(scenario)


@pytest.mark.parametrize(
    ("epoch", "signed_in", "status"),
    [
        (0, Fork.BELLATRIX, 200),  # before Capella: the fork of its epoch
        (0, Fork.CAPELLA, 400),
        (1, Fork.CAPELLA, 200),
        (2, Fork.CAPELLA, 200),  # EIP-7044: Capella's for ever
        (2, Fork.DENEB, 400),
        (3, Fork.CAPELLA, 200),
        (3, Fork.ELECTRA, 400),
    ],
)
def test_exits_are_signed_in_the_domain_of_capella_from_deneb_on(
    epoch: int, signed_in: Fork, status: int
) -> None:
    starts = {Fork.BELLATRIX: 0, Fork.CAPELLA: 1, Fork.DENEB: 2, Fork.ELECTRA: 3}

    def version(fork: Fork) -> bytes:
        return bytes([fork.order, 0, 0, 1])

    async def scenario(world: World) -> None:
        activations = tuple(
            ForkActivation(fork=fork, version=version(fork), epoch=start)
            for fork, start in starts.items()
        )
        forks = replace(world.chain.forks, activations=activations)
        chain = replace(world.chain, forks=forks)
        world.api.ports = replace(world.api.ports, chain=chain)
        message = VoluntaryExit(epoch=epoch, validator_index=103)
        domain = compute_domain(
            DomainType.VOLUNTARY_EXIT, version(signed_in), forks.genesis_validators_root
        )
        root = compute_signing_root(message.hash_tree_root(), domain)
        signed = SignedVoluntaryExit(message=message, signature=world.sign_root(root, 3))
        assert (await world.post(EXITS, signed.to_json())).status == status

    run_world(scenario)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"validator_index": 7}, "validator 7 is not of this cluster"),
        ({"epoch": EPOCH + 3}, "too far ahead"),
        ({"epoch": 2**64 - 1}, "too far ahead"),
        ({"operator": 3}, "not by key share"),
        ({"validator_index": 102}, "not by key share"),
        ({"signature": bytes(96)}, "not by key share"),
    ],
)
def test_a_wrong_exit_is_refused(change: dict[str, Any], reason: str) -> None:
    async def scenario(world: World) -> None:
        got = await world.post(EXITS, leave(world, 3, **change).to_json())
        assert got.status == 400
        assert reason in got.message
        assert world.submitted == []

    run_world(scenario)


@pytest.mark.parametrize(
    ("value", "headers", "status"),
    [
        ([], {}, 400),
        ({}, {}, 400),
        (b"", {}, 400),
        (bytes(113), {}, 400),
        (bytes(112), {"Content_Type": "text/plain"}, 415),
        ("x" * 5000, {}, 413),
    ],
)
def test_malformed_exits(value: object, headers: dict[str, str], status: int) -> None:
    async def scenario(world: World) -> None:
        assert (await world.post(EXITS, value, **headers)).status == status
        assert world.submitted == []

    run_world(scenario)


def test_pool_of_exits_is_the_beacon_nodes() -> None:
    async def scenario(world: World) -> None:
        world.node.judges = False
        assert (await world.get(EXITS)).status == 404  # the fake node has none
        assert world.node.paths() == ["GET " + EXITS]

    run_world(scenario)


def registration(pubkey: bytes) -> SignedValidatorRegistration:
    message = ValidatorRegistration(
        fee_recipient=b"\x01" * 20, gas_limit=30_000_000, timestamp=1_000_300, pubkey=pubkey
    )
    return SignedValidatorRegistration(message=message, signature=b"\x02" * 96)


def test_registrations_are_read_and_let_go() -> None:
    async def scenario(world: World) -> None:
        ours = registration(share(1).public_key())
        foreign = registration(b"\x07" * 48)
        assert (await world.post(REGISTER, [ours.to_json(), foreign.to_json()])).status == 200
        assert (await world.post(REGISTER, ours.to_ssz() + foreign.to_ssz())).status == 200
        assert world.submitted == []
        assert world.node.paths() == []

    run_world(scenario)


@pytest.mark.parametrize(
    ("value", "headers", "status"),
    [
        ({}, {}, 400),
        ([{"message": {}, "signature": hexed(bytes(96))}], {}, 400),
        ([7], {}, 400),
        (bytes(179), {}, 400),
        (b"", {"Content_Type": "text/plain"}, 415),
        (bytes(16 * 1024 * 1024 + 1), {}, 413),
        ([], {}, 200),
    ],
)
def test_malformed_registrations(value: object, headers: dict[str, str], status: int) -> None:
    async def scenario(world: World) -> None:
        got = await world.post(REGISTER, value, **headers)
        assert got.status == status
        if value == [7]:
            assert "item 0" in got.message

    run_world(scenario)
