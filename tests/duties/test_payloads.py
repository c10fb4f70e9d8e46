"""What is signed, for all kinds of duty, against the specification's own functions."""

from typing import Any

import pytest
from tests.duties.duty_world import CHAIN, chain_of
from tests.duties.other_duties import duty_of, payloads, registration
from tests.ethereum.spec.oracle import oracle_type, spec

from tetrarch.duties.plausible import belongs, names_another, signing_root
from tetrarch.duties.types import Duty, DutyType, Payload, PubKey, RegistrationPayload
from tetrarch.ethereum.spec.values import Fork

SAMPLES = payloads()
SIGNED = sorted(SAMPLES)
ELECTRA_VERSION = bytes.fromhex("15000000")
SPEC: Any = spec(Fork.ELECTRA, "minimal")


def oracle_object(payload: Any) -> Any:  # noqa: PLR0911 - one line for each kind
    """The specification's object of what ``payload`` signs."""
    match payload.DUTY_TYPE:
        case DutyType.ATTESTER:
            return SPEC.AttestationData.decode_bytes(payload.data.to_ssz())
        case DutyType.PROPOSER:
            return SPEC.BeaconBlockHeader.decode_bytes(payload.header.to_ssz())
        case DutyType.RANDAO:
            return SPEC.Epoch(payload.epoch)
        case DutyType.PREPARE_AGGREGATOR:
            return SPEC.Slot(payload.slot)
        case DutyType.AGGREGATOR:
            return SPEC.AggregateAndProof.decode_bytes(payload.message.to_ssz())
        case DutyType.SYNC_MESSAGE:
            return SPEC.Root(payload.beacon_block_root)
        case DutyType.PREPARE_SYNC_CONTRIBUTION:
            return SPEC.SyncAggregatorSelectionData(
                slot=payload.slot, subcommittee_index=payload.subcommittee_index
            )
        case DutyType.SYNC_CONTRIBUTION:
            return SPEC.ContributionAndProof.decode_bytes(payload.message.to_ssz())
        case DutyType.EXIT:
            return SPEC.VoluntaryExit.decode_bytes(payload.message.to_ssz())
        case _:
            kind = oracle_type(Fork.ELECTRA, "minimal", "ValidatorRegistration")
            return kind.decode_bytes(payload.message.to_ssz())


DOMAINS = {
    DutyType.ATTESTER: SPEC.DOMAIN_BEACON_ATTESTER,
    DutyType.PROPOSER: SPEC.DOMAIN_BEACON_PROPOSER,
    DutyType.RANDAO: SPEC.DOMAIN_RANDAO,
    DutyType.PREPARE_AGGREGATOR: SPEC.DOMAIN_SELECTION_PROOF,
    DutyType.AGGREGATOR: SPEC.DOMAIN_AGGREGATE_AND_PROOF,
    DutyType.SYNC_MESSAGE: SPEC.DOMAIN_SYNC_COMMITTEE,
    DutyType.PREPARE_SYNC_CONTRIBUTION: SPEC.DOMAIN_SYNC_COMMITTEE_SELECTION_PROOF,
    DutyType.SYNC_CONTRIBUTION: SPEC.DOMAIN_CONTRIBUTION_AND_PROOF,
    DutyType.EXIT: SPEC.DOMAIN_VOLUNTARY_EXIT,
    DutyType.BUILDER_REGISTRATION: SPEC.DomainType("0x00000001"),
}


@pytest.mark.parametrize("duty_type", SIGNED)
def test_signing_root_equals_oracle(duty_type: DutyType) -> None:
    payload = SAMPLES[duty_type]
    version, root = ELECTRA_VERSION, CHAIN.forks.genesis_validators_root
    if duty_type is DutyType.BUILDER_REGISTRATION:
        version, root = CHAIN.forks.genesis_fork_version, bytes(32)
    domain = SPEC.compute_domain(DOMAINS[duty_type], SPEC.Version(version), SPEC.Root(root))
    expected = SPEC.compute_signing_root(oracle_object(payload), domain)
    assert signing_root(payload, CHAIN) == bytes(expected)


def test_every_signed_duty_has_its_payload() -> None:
    unsigned = {DutyType.SIGNATURE, DutyType.BUILDER_PROPOSER, DutyType.INFO_SYNC}
    assert set(SAMPLES) == set(DutyType) - unsigned


@pytest.mark.parametrize("payload", SAMPLES.values(), ids=lambda p: p.DUTY_TYPE.name)
def test_payload_belongs_to_its_own_duty_alone(payload: Payload) -> None:
    own = duty_of(payload)
    assert belongs(payload, own, CHAIN)
    assert not any(belongs(payload, Duty(own.slot, t), CHAIN) for t in DutyType if t != own.type)
    far = own.slot + 2 * CHAIN.slots_per_epoch  # a reveal serves the slots of one epoch
    assert not belongs(payload, Duty(far, own.type), CHAIN)


@pytest.mark.parametrize("duty_type", [DutyType.PROPOSER, DutyType.AGGREGATOR])
def test_what_has_another_forks_shape_is_refused(duty_type: DutyType) -> None:
    payload = SAMPLES[duty_type]
    assert not belongs(payload, duty_of(payload), chain_of(Fork.DENEB))


def test_only_sync_subcommittees_have_a_sub_index() -> None:
    with_one = {duty_type: p.sub_index for duty_type, p in SAMPLES.items() if p.sub_index}
    assert with_one == {DutyType.PREPARE_SYNC_CONTRIBUTION: 2, DutyType.SYNC_CONTRIBUTION: 2}


def test_registration_of_another_validator_is_seen() -> None:
    payload = RegistrationPayload(message=registration())
    assert not names_another(payload, PubKey(payload.message.pubkey))
    assert names_another(payload, PubKey(b"\x01" * 48))
    assert not names_another(SAMPLES[DutyType.RANDAO], PubKey(b"\x01" * 48))
