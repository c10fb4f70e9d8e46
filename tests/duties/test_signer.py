"""The node's own signer: what is asked of the keys, and what becomes of each answer."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from tests.duties.duty_world import (
    CHAIN,
    RecordingLog,
    Validators,
    attestation_data,
    block,
    proposal_set,
    recorded,
)

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
