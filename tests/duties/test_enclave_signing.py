"""Payloads become the enclave's requests, its answers plain results, in order."""

import asyncio
from typing import Any

from tests.duties.duty_world import Validators, attestation_data, block

from tetrarch.duties.enclave_signing import EnclaveSigning
from tetrarch.duties.signer import NotNow
from tetrarch.duties.types import AttestationPayload, ProposalPayload, RandaoPayload
from tetrarch.enclave.ports import (
    Approved,
    Denied,
    Failed,
    SignAttestation,
    SignBlock,
    SignRandao,
)
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


def test_answers_say_whether_asking_again_can_help() -> None:
    enclave = ScriptedEnclave(
        Denied(Reason.DOUBLE_VOTE), Denied(Reason.TOO_FAR_AHEAD), Failed("storage_full")
    )
    signing = EnclaveSigning(enclave)  # type: ignore[arg-type]  # only ``sign`` is asked
    answers = asyncio.run(signing.sign(((PUBKEY, RandaoPayload(epoch=3)),) * 3))
    assert answers == ("denied: double_vote", "too_far_ahead", "storage_full")
    assert [isinstance(answer, NotNow) for answer in answers] == [False, True, True]
