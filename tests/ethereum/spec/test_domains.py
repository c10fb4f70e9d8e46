"""Domains and signing roots equal the specification's."""

from random import Random

import pytest
from tests.ethereum.spec.oracle import spec

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.domains import (
    DomainType,
    ForkActivation,
    ForkSchedule,
    compute_domain,
    compute_fork_data_root,
    compute_signing_root,
)
from tetrarch.ethereum.spec.values import AttestationData, Checkpoint, Fork

ROOT = bytes(range(32))
MODULE = spec(Fork.FULU, "mainnet")


def schedule() -> ForkSchedule:
    """Every fork, ten epochs apart; versions as on the main network."""
    return ForkSchedule(
        genesis_fork_version=bytes(4),
        genesis_validators_root=ROOT,
        activations=tuple(
            ForkActivation(fork=fork, version=bytes([fork.order, 0, 0, 0]), epoch=10 * fork.order)
            for fork in Fork
        ),
    )


@pytest.mark.parametrize("kind", list(DomainType))
def test_domain_type_has_the_specifications_bytes(kind):
    if kind is DomainType.APPLICATION_BUILDER:
        assert kind.value.hex() == "00000001"  # builder-specs
    else:
        assert kind.value == bytes(getattr(MODULE, f"DOMAIN_{kind.name}"))


@pytest.mark.parametrize("seed", range(10))
def test_domain_and_signing_root_equal_oracle(seed):
    rng = Random(seed)
    version, root, block_root = rng.randbytes(4), rng.randbytes(32), rng.randbytes(32)
    for kind in DomainType:
        theirs = MODULE.compute_domain(
            MODULE.DomainType(kind.value), MODULE.Version(version), MODULE.Root(root)
        )
        assert compute_domain(kind, version, root) == bytes(theirs)
        data = AttestationData(
            slot=seed,
            index=0,
            beacon_block_root=block_root,
            source=Checkpoint(epoch=1, root=root),
            target=Checkpoint(epoch=2, root=block_root),
        )
        signing_root = MODULE.compute_signing_root(
            MODULE.AttestationData.decode_bytes(data.to_ssz()), theirs
        )
        ours = compute_signing_root(data.hash_tree_root(), compute_domain(kind, version, root))
        assert ours == bytes(signing_root)
    assert compute_fork_data_root(version, root) == bytes(
        MODULE.compute_fork_data_root(MODULE.Version(version), MODULE.Root(root))
    )


def test_domain_without_chain_equals_oracle():
    theirs = MODULE.compute_domain(MODULE.DOMAIN_DEPOSIT)
    genesis = bytes(MODULE.config.GENESIS_FORK_VERSION)  # other tests may have set their own
    assert compute_domain(DomainType.DEPOSIT, genesis) == bytes(theirs)


@pytest.mark.parametrize("fork", list(Fork))
def test_state_domain_equals_oracle_before_and_after_each_fork(fork):
    chain = schedule()
    module = spec(fork, "mainnet")
    previous = max(fork.order - 1, 0)
    state = module.BeaconState(
        genesis_validators_root=ROOT,
        fork=module.Fork(
            previous_version=bytes([previous, 0, 0, 0]),
            current_version=bytes([fork.order, 0, 0, 0]),
            epoch=10 * fork.order,
        ),
    )
    epochs = [10 * fork.order, 10 * fork.order + 9]
    if fork is not Fork.PHASE0:
        epochs.append(10 * fork.order - 1)
    for epoch in epochs:
        for kind in (DomainType.BEACON_ATTESTER, DomainType.RANDAO, DomainType.BEACON_PROPOSER):
            theirs = module.get_domain(state, module.DomainType(kind.value), epoch)
            assert chain.domain(kind, epoch) == bytes(theirs)


def test_exits_are_pinned_to_capella_from_deneb_on():
    chain = schedule()
    capella = compute_domain(DomainType.VOLUNTARY_EXIT, b"\x03\0\0\0", ROOT)
    altair = compute_domain(DomainType.VOLUNTARY_EXIT, b"\x01\0\0\0", ROOT)
    assert chain.domain(DomainType.VOLUNTARY_EXIT, 15) == altair
    for epoch in (35, 45, 55, 10**6):
        assert chain.domain(DomainType.VOLUNTARY_EXIT, epoch) == capella


def test_chain_wide_domains_ignore_fork_and_chain():
    chain = schedule()
    for kind in (DomainType.DEPOSIT, DomainType.APPLICATION_BUILDER):
        assert chain.domain(kind, 55) == compute_domain(kind, bytes(4))


def test_schedule_finds_the_fork_in_force():
    chain = schedule()
    assert [chain.at(epoch).fork for epoch in (0, 9, 10, 59, 60, 10**9)] == [
        Fork.PHASE0,
        Fork.PHASE0,
        Fork.ALTAIR,
        Fork.ELECTRA,
        Fork.FULU,
        Fork.FULU,
    ]
    assert chain.version_of(Fork.DENEB) == b"\x04\0\0\0"
    with pytest.raises(InputInvalid):
        ForkSchedule(genesis_fork_version=bytes(4), genesis_validators_root=ROOT, activations=())
