"""The node's own signer: what is asked of the keys, and what becomes of each answer."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.duties import other_duties
from tests.duties.duty_world import (
    CHAIN,
    RecordingLog,
    Validators,
    attestation_data,
    block,
    proposal_set,
    recorded,
)
from tests.duties.other_duties import aggregates, aggregator_definitions, sync_definitions

from tetrarch.duties.signer import NotNow, Signer, SigningFailed
from tetrarch.duties.types import (
    AttestationPayload,
    DefinitionSet,
    DeprecatedDutyBuilderProposer,
    Duty,
    DutyType,
    ProposalPayload,
    ProposerDefinition,
    RandaoPayload,
    SelectionPayload,
    SyncCommitteeDefinition,
    SyncHead,
    SyncMessagePayload,
)
from tetrarch.enclave.errors import EnclaveSlow
from tetrarch.enclave.ports import Approved
from tetrarch.errors import Transient

VALIDATORS = Validators(3)
PUBKEY = VALIDATORS.pubkeys[0]
SIGNATURES = tuple(bytes([number]) * 96 for number in range(3))


class Keys:
    """Answers as it is told; repeats itself for equal requests."""

    def __init__(self, *answers: Any) -> None:
        self.answers = answers
        self.requests: list[Any] = []

    async def sign(self, requests: Any) -> Any:
        self.requests.append(requests)
        if isinstance(self.answers[0], Exception):
            raise self.answers[0]
        return tuple(Approved(a) if isinstance(a, bytes) else a for a in self.answers)


def signer(keys: Keys, log: Any = None) -> Signer:
    return Signer(service=keys, keys=VALIDATORS.keys, chain=CHAIN, log=log or RecordingLog())


def test_decided_set_is_signed_as_one_batch_by_our_share() -> None:
    async def main() -> None:
        keys = Keys(*SIGNATURES)
        component = signer(keys)
        signed = recorded(component.signed)
        await component.sign(VALIDATORS.unsigned())
        payload = AttestationPayload(data=attestation_data(9))
        assert keys.requests == [tuple((pubkey, payload) for pubkey in VALIDATORS.pubkeys)]
        (partial_set,) = signed
        assert partial_set.duty == Duty(9, DutyType.ATTESTER)
        assert [p.signature for p in partial_set.partials] == list(SIGNATURES)
        assert {p.share_index for p in partial_set.partials} == {1}

    asyncio.run(main())


@pytest.mark.parametrize("blinded", [False, True])
def test_block_is_signed_by_its_header(blinded: bool) -> None:
    async def main() -> None:
        keys = Keys(SIGNATURES[0])
        proposal = block(blinded=blinded)
        await signer(keys).sign(proposal_set(PUBKEY, proposal))
        ((_, payload),) = keys.requests[0]
        assert payload == ProposalPayload(
            fork=proposal.fork, blinded=blinded, header=proposal.header
        )

    asyncio.run(main())


def test_randao_is_the_epoch_for_the_slots_proposer_and_other_duties_pass_by() -> None:
    async def main() -> None:
        keys = Keys(SIGNATURES[0])
        component = signer(keys)
        signed = recorded(component.signed)
        definition = ProposerDefinition(pubkey=PUBKEY, slot=17, validator_index=100)
        await component.sign_scheduled(
            DefinitionSet(duty=Duty(17, DutyType.RANDAO), definitions=(definition,))
        )
        assert keys.requests == [((PUBKEY, RandaoPayload(epoch=2)),)]
        assert signed[0].duty == Duty(17, DutyType.RANDAO)
        await component.sign_scheduled(VALIDATORS.definitions())
        assert len(keys.requests) == 1

    asyncio.run(main())


def test_denial_is_logged_and_the_others_are_signed() -> None:
    async def main() -> None:
        log = RecordingLog()
        component = signer(Keys(SIGNATURES[0], "denied: double_vote", SIGNATURES[2]), log)
        signed = recorded(component.signed)
        await component.sign(VALIDATORS.unsigned())
        assert [p.pubkey for p in signed[0].partials] == [
            VALIDATORS.pubkeys[0],
            VALIDATORS.pubkeys[2],
        ]
        (line,) = log.find("signing_denied")
        assert line["reason"] == "denied: double_vote"
        assert line["pubkey"] == VALIDATORS.pubkeys[1].hex()[:14]

    asyncio.run(main())


def test_nothing_is_emitted_when_all_is_denied() -> None:
    async def main() -> None:
        component = signer(Keys(*["denied: double_vote"] * 3))
        signed = recorded(component.signed)
        await component.sign(VALIDATORS.unsigned())
        assert signed == []

    asyncio.run(main())


def test_failure_that_may_pass_is_retried_after_the_others_went_on() -> None:
    async def main() -> None:
        keys = Keys(SIGNATURES[0], NotNow("storage_full"), "denied: double_vote")
        component = signer(keys)
        signed = recorded(component.signed)
        with pytest.raises(SigningFailed) as raised:
            await component.sign(VALIDATORS.unsigned())
        assert isinstance(raised.value, Transient)
        assert [p.signature for p in signed[0].partials] == [SIGNATURES[0]]
        keys.answers = (SIGNATURES[0], SIGNATURES[1], "denied: double_vote")
        await component.sign(VALIDATORS.unsigned())
        assert [p.signature for p in signed[1].partials] == list(SIGNATURES[:2])

    asyncio.run(main())


def test_slow_enclave_reaches_the_retry() -> None:
    async def main() -> None:
        component = signer(Keys(EnclaveSlow("ask enclave")))
        with pytest.raises(EnclaveSlow):
            await component.sign(VALIDATORS.unsigned())

    asyncio.run(main())


def test_deprecated_type_is_refused() -> None:
    async def main() -> None:
        data_set = replace(VALIDATORS.unsigned(), duty=Duty(9, DutyType.BUILDER_PROPOSER))
        with pytest.raises(DeprecatedDutyBuilderProposer):
            await signer(Keys(*SIGNATURES)).sign(data_set)

    asyncio.run(main())


def test_selection_proofs_are_signed_for_each_validator_and_subcommittee() -> None:
    async def main() -> None:
        keys = Keys(*SIGNATURES)
        component = signer(keys)
        signed = recorded(component.signed)
        duty = Duty(9, DutyType.PREPARE_AGGREGATOR)
        await component.sign_scheduled(replace(aggregator_definitions(), duty=duty))
        assert keys.requests[-1] == tuple(
            (pubkey, SelectionPayload(slot=9)) for pubkey in other_duties.VALIDATORS.pubkeys
        )
        keys.answers = (*SIGNATURES, SIGNATURES[0])
        duty = Duty(9, DutyType.PREPARE_SYNC_CONTRIBUTION)
        await component.sign_scheduled(replace(sync_definitions(), duty=duty))
        first, second, third = other_duties.VALIDATORS.pubkeys
        assert [(pubkey, payload.subcommittee_index) for pubkey, payload in keys.requests[-1]] == [
            (first, 0),
            (first, 2),
            (second, 0),
            (third, 3),
        ]
        assert [partial.sub_index for partial in signed[-1].partials] == [0, 2, 0, 3]

    asyncio.run(main())


def test_sync_messages_are_signed_over_the_head() -> None:
    async def main() -> None:
        keys = Keys(*SIGNATURES)
        component = signer(keys)
        signed = recorded(component.signed)
        duty = Duty(9, DutyType.SYNC_MESSAGE)
        definitions = tuple(
            each
            for each in sync_definitions().definitions
            if isinstance(each, SyncCommitteeDefinition)
        )
        head = SyncHead(duty=duty, definitions=definitions, beacon_block_root=b"h" * 32)
        await component.sign_head(head)
        payload = SyncMessagePayload(slot=9, beacon_block_root=b"h" * 32)
        assert [each for _, each in keys.requests[0]] == [payload] * 3
        assert signed[0].duty == duty

    asyncio.run(main())


def test_decided_aggregates_are_signed_with_their_proofs() -> None:
    async def main() -> None:
        keys = Keys(*SIGNATURES)
        component = signer(keys)
        await component.sign(aggregates())
        messages = [each.message for _, each in keys.requests[0]]
        assert messages == [item.message for item in aggregates().items]  # type: ignore[union-attr]  # aggregates

    asyncio.run(main())
