"""Voluntary exits and builder registrations."""

import json

import pytest
from tests.ethereum.beacon_node.fake_node import FakeBeaconNode, Reply, refusal
from tests.ethereum.beacon_node.on_devchain import Served, run_on_devchain
from tests.ethereum.beacon_node.support import run_with_client

from tetrarch.ethereum.beacon_node.client import BeaconNodeClient
from tetrarch.ethereum.beacon_node.errors import BeaconNodeRefused
from tetrarch.ethereum.devchain.config import FORKS
from tetrarch.ethereum.devchain.keys import interop_key, interop_public_key
from tetrarch.ethereum.devchain.transition.exits import exit_domain
from tetrarch.ethereum.spec.domains import compute_signing_root
from tetrarch.ethereum.spec.messages import (
    SignedValidatorRegistration,
    SignedVoluntaryExit,
    ValidatorRegistration,
    VoluntaryExit,
)
from tetrarch.ethereum.spec.values import Fork

EXIT = "POST /eth/v1/beacon/pool/voluntary_exits"
REGISTER = "POST /eth/v1/validator/register_validator"
EXITS_ALLOWED_SLOT = 64 * 8  # validators must have been active for 64 epochs


def registration(index: int) -> SignedValidatorRegistration:
    message = ValidatorRegistration(
        fee_recipient=b"\x22" * 20,
        gas_limit=36_000_000,
        timestamp=1_700_000_000,
        pubkey=interop_public_key(index),
    )
    return SignedValidatorRegistration(message=message, signature=b"\x33" * 96)


def signed_exit(world: Served, index: int) -> SignedVoluntaryExit:
    message = VoluntaryExit(epoch=0, validator_index=index)
    domain = exit_domain(world.chain.head_state(world.chain.slot), message.epoch)
    root = compute_signing_root(message.hash_tree_root(), domain)
    return SignedVoluntaryExit(message=message, signature=interop_key(index).sign(root))


@pytest.mark.parametrize("fork", FORKS)
def test_real_chain_takes_exits_and_registrations(fork: Fork) -> None:
    async def scenario(world: Served) -> None:
        await world.client.register_validators((registration(1), registration(2)))
        with pytest.raises(BeaconNodeRefused) as early:
            await world.client.submit_exit(signed_exit(world, 3))
        assert early.value.blames_request
        assert early.value.failed_indices == ()
        world.go_to(EXITS_ALLOWED_SLOT)
        signed = signed_exit(world, 3)
        await world.client.submit_exit(signed)
        (pooled,) = world.chain.operations.all("voluntary_exits")
        assert pooled.encode() == signed.to_ssz()

    run_on_devchain(scenario, fork=fork)


def test_exit_is_one_object() -> None:
    message = VoluntaryExit(epoch=5, validator_index=7)
    signed = SignedVoluntaryExit(message=message, signature=b"\x44" * 96)

    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[EXIT] = [Reply(), refusal(400, "it will never pass validation")]
        await client.submit_exit(signed)
        assert json.loads(node.seen[-1].body) == signed.to_json()
        with pytest.raises(BeaconNodeRefused, match="never pass"):
            await client.submit_exit(signed)

    run_with_client(scenario)


def test_registrations_are_an_array() -> None:
    async def scenario(node: FakeBeaconNode, client: BeaconNodeClient) -> None:
        node.answers[REGISTER] = [Reply(), refusal(500, "no relay")]
        await client.register_validators((registration(1),))
        assert json.loads(node.seen[-1].body) == [registration(1).to_json()]
        with pytest.raises(BeaconNodeRefused, match="no relay"):
            await client.register_validators((registration(1),))
        await client.register_validators(())
        assert len(node.seen) == 2

    run_with_client(scenario)
