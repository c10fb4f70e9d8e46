"""Payloads become the enclave's requests, its answers plain results, in order."""

import asyncio
from typing import Any

import pytest
from tests.duties.duty_world import CHAIN, Validators, attestation_data, block
from tests.duties.other_duties import payloads, registration

from tetrarch.duties.enclave_signing import EnclaveSigning
from tetrarch.duties.plausible import signing_root
from tetrarch.duties.signer import NotNow
from tetrarch.duties.types import (
    AttestationPayload,
    Payload,
    ProposalPayload,
    PubKey,
    RandaoPayload,
)
from tetrarch.enclave.approval import plan
from tetrarch.enclave.ports import (
    Approved,
    Denied,
    Failed,
    SignAttestation,
    SignBlock,
    SignRandao,
    SignRegistration,
)
from tetrarch.enclave.protocol import requests_of, sign_call
from tetrarch.enclave.rules import Reason

PUBKEY = Validators(1).pubkeys[0]


class ScriptedEnclave:
    def __init__(self, *results: Any) -> None:
        self.results = results
        self.requests: Any = None

    async def sign(self, requests: Any) -> Any:
        self.requests = requests
        return self.results


def test_each_payload_is_its_own_kind_of_request() -> None:
    enclave = ScriptedEnclave(*[Approved(b"\1" * 96)] * 3)
    proposal = block()
    header = ProposalPayload(fork=proposal.fork, blinded=True, header=proposal.header)
    wanted = (
        (PUBKEY, AttestationPayload(data=attestation_data())),
        (PUBKEY, header),
        (PUBKEY, RandaoPayload(epoch=3)),
    )
    signing = EnclaveSigning(enclave)  # type: ignore[arg-type]  # only ``sign`` is asked
    assert asyncio.run(signing.sign(wanted)) == (Approved(b"\1" * 96),) * 3
    assert enclave.requests == (
        SignAttestation(PUBKEY, attestation_data()),
        SignBlock(PUBKEY, proposal.header),
        SignRandao(PUBKEY, 3),
    )


def test_every_kind_of_payload_is_signed_over_its_own_root() -> None:
    """The enclave computes roots by itself: they must be the ones that the workflow verifies."""
    samples = tuple(payloads().values())

    class PlanningEnclave:
        async def sign(self, requests: Any) -> Any:
            call = sign_call(requests)
            assert requests_of(call) == requests, "and survive the way"
            held = frozenset(request.pubkey for request in requests)
            plans = plan(requests, chain=CHAIN, held=held, wall_s=CHAIN.slot_start_s(9))
            return tuple(Approved(each.signing_root.ljust(96)) for each in plans)

    signing = EnclaveSigning(PlanningEnclave())  # type: ignore[arg-type]  # only ``sign`` is asked
    pubkey = PubKey(registration().pubkey)
    answers = asyncio.run(signing.sign(tuple((pubkey, payload) for payload in samples)))
    expected = [signing_root(payload, CHAIN) for payload in samples]
    assert [a.signature[:32] for a in answers if isinstance(a, Approved)] == expected


@pytest.mark.parametrize("payload", payloads().values(), ids=lambda p: p.DUTY_TYPE.name)
def test_nothing_of_the_far_future_is_signed(payload: Payload) -> None:
    early_s = CHAIN.slot_start_s(9) - 3 * 8 * 12  # three epochs before
    pubkey = registration().pubkey
    (request,) = _requests(payload)
    (made,) = plan((request,), chain=CHAIN, held={pubkey}, wall_s=early_s)
    assert made.denied is Reason.TOO_FAR_AHEAD


def test_registration_of_another_validator_is_denied() -> None:
    request = SignRegistration(b"\x01" * 48, registration())
    (made,) = plan((request,), chain=CHAIN, held={b"\x01" * 48}, wall_s=CHAIN.slot_start_s(9))
    assert made.denied is Reason.ANOTHER_VALIDATOR


def _requests(payload: Payload) -> Any:
    enclave = ScriptedEnclave(Approved(b"\1" * 96))
    signing = EnclaveSigning(enclave)  # type: ignore[arg-type]  # only ``sign`` is asked
    asyncio.run(signing.sign(((PubKey(registration().pubkey), payload),)))
    return enclave.requests


def test_answers_say_whether_asking_again_can_help() -> None:
    enclave = ScriptedEnclave(
        Denied(Reason.DOUBLE_VOTE), Denied(Reason.TOO_FAR_AHEAD), Failed("storage_full")
    )
    signing = EnclaveSigning(enclave)  # type: ignore[arg-type]  # only ``sign`` is asked
    answers = asyncio.run(signing.sign(((PUBKEY, RandaoPayload(epoch=3)),) * 3))
    assert answers == ("denied: double_vote", "too_far_ahead", "storage_full")
    assert [isinstance(answer, NotNow) for answer in answers] == [False, True, True]
