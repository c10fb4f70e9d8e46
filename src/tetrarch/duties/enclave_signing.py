"""Signing through the enclave: payloads become its typed requests, its answers plain results."""

from tetrarch.duties.ports import Signed
from tetrarch.duties.signer import NotNow
from tetrarch.duties.types import (
    AggregatePayload,
    AttestationPayload,
    ContributionPayload,
    ExitPayload,
    Payload,
    ProposalPayload,
    PubKey,
    RandaoPayload,
    RegistrationPayload,
    SelectionPayload,
    SyncMessagePayload,
    SyncSelectionPayload,
)
from tetrarch.enclave.approval import REQUESTS_MAX
from tetrarch.enclave.ports import (
    Approved,
    Denied,
    Enclave,
    Failed,
    SignAggregate,
    SignAttestation,
    SignBlock,
    SignContribution,
    SignExit,
    SignRandao,
    SignRegistration,
    SignRequest,
    SignResult,
    SignSelection,
    SignSyncMessage,
    SignSyncSelection,
    Slashable,
)
from tetrarch.enclave.rules import Reason


class EnclaveSigning:
    """Satisfies ``duties.signer.SigningService``."""

    def __init__(self, enclave: Enclave) -> None:
        self._enclave = enclave

    async def sign(
        self, requests: tuple[tuple[PubKey, Payload], ...]
    ) -> tuple[Approved | str, ...]:
        """One batch for the enclave: one durable record, results in order."""
        results = await self._enclave.sign(tuple(request_of(*request) for request in requests))
        return tuple(plain(result) for result in results)

    async def forgotten(self, signed: tuple[Signed, ...]) -> tuple[int, ...]:
        """As ``safe_start.OwnHistory``."""
        return await self._teach(signed, record=False)

    async def learn(self, signed: tuple[Signed, ...]) -> None:
        """As ``safe_start.OwnHistory``."""
        await self._teach(signed, record=True)

    async def is_restored(self) -> bool:
        """As ``safe_start.OwnHistory``."""
        return (await self._enclave.status()).is_restored

    async def recover(self) -> None:
        """As ``safe_start.OwnHistory``."""
        await self._enclave.recover()

    async def _teach(self, signed: tuple[Signed, ...], *, record: bool) -> tuple[int, ...]:
        forgotten: list[int] = []
        for start in range(0, len(signed), REQUESTS_MAX):
            some = tuple(_slashable(*each) for each in signed[start : start + REQUESTS_MAX])
            found = await self._enclave.learn(some, record=record)
            forgotten += [start + position for position in found]
        return tuple(forgotten)


def _slashable(pubkey: PubKey, payload: AttestationPayload | ProposalPayload) -> Slashable:
    match payload:
        case AttestationPayload(data=data):
            return SignAttestation(pubkey, data)
        case ProposalPayload(header=header):
            return SignBlock(pubkey, header)


def request_of(pubkey: PubKey, payload: Payload) -> SignRequest:  # noqa: PLR0911 - one line each
    """What the enclave is asked, to sign ``payload`` with our share of ``pubkey``."""
    match payload:
        case AttestationPayload(data=data):
            return SignAttestation(pubkey, data)
        case ProposalPayload(header=header):
            return SignBlock(pubkey, header)
        case RandaoPayload(epoch=epoch):
            return SignRandao(pubkey, epoch)
        case SelectionPayload(slot=slot):
            return SignSelection(pubkey, slot)
        case AggregatePayload(message=aggregate):
            return SignAggregate(pubkey, aggregate)
        case SyncMessagePayload(slot=slot, beacon_block_root=root):
            return SignSyncMessage(pubkey, slot, root)
        case SyncSelectionPayload(slot=slot, subcommittee_index=index):
            return SignSyncSelection(pubkey, slot, index)
        case ContributionPayload(message=contribution):
            return SignContribution(pubkey, contribution)
        case ExitPayload(message=exit_):
            return SignExit(pubkey, exit_)
        case RegistrationPayload(message=registration):
            return SignRegistration(pubkey, registration)


def plain(result: SignResult) -> Approved | str:
    """The answer as ``SigningService`` has it."""
    match result:
        case Approved():
            return result
        case Denied(reason=Reason.TOO_FAR_AHEAD):  # the one denial that time heals
            return NotNow(Reason.TOO_FAR_AHEAD.value)
        case Denied(reason=reason):
            return f"denied: {reason.value}"
        case Failed(reason=reason):
            return NotNow(reason)
