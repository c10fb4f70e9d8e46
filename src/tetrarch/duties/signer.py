"""Signer: has the enclave sign what was decided, where the node signs by itself.

Its place in the wire is after DutyDB: the decided value is durable before it gets here. The
enclave checks every request again by its own slashing history.
"""

from typing import Protocol

from tetrarch.duties.ports import GroupKeys
from tetrarch.duties.types import (
    AggregatePayload,
    AttestationPayload,
    ContributionPayload,
    DefinitionSet,
    Duty,
    DutyDefinition,
    DutyType,
    ExitDefinition,
    ExitPayload,
    PartialSet,
    PartialSignature,
    Payload,
    ProposalPayload,
    PubKey,
    RandaoPayload,
    RegistrationDefinition,
    RegistrationPayload,
    SelectionPayload,
    SyncCommitteeDefinition,
    SyncHead,
    SyncMessagePayload,
    SyncSelectionPayload,
    UnsignedAggregate,
    UnsignedAttestation,
    UnsignedContribution,
    UnsignedData,
    UnsignedDataSet,
    UnsignedProposal,
    refuse_deprecated,
)
from tetrarch.enclave.ports import Approved
from tetrarch.errors import Transient, invariant
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.messages import VoluntaryExit
from tetrarch.ethereum.spec.selection import subcommittees_of
from tetrarch.observability.logs import Log
from tetrarch.output import Output


class SigningFailed(Transient):
    """Whoever holds the share keys could not sign now; asking again later may succeed."""

    code = "signing_failed"


class NotNow(str):
    """A reason that may pass: asking again later can give a signature."""

    __slots__ = ()


class SigningService(Protocol):
    """Whoever holds the share keys: the enclave, later a remote signer."""

    async def sign(
        self, requests: tuple[tuple[PubKey, Payload], ...]
    ) -> tuple[Approved | str, ...]:
        """Per request a signature, or the reason why there is none (yet: ``NotNow``).

        The same request always gets the same signature.
        """
        ...


def payload_of(item: UnsignedData) -> Payload:
    """What is signed for a decided item."""
    match item:
        case UnsignedAttestation(data=data):
            return AttestationPayload(data=data)
        case UnsignedProposal(proposal=proposal):
            return ProposalPayload(
                fork=proposal.fork, blinded=proposal.blinded, header=proposal.header
            )
        case UnsignedAggregate(message=aggregate):
            return AggregatePayload(message=aggregate)
        case UnsignedContribution(message=contribution):
            return ContributionPayload(message=contribution)


def _scheduled(definition: DutyDefinition, duty: Duty, chain: ChainSpec) -> tuple[Payload, ...]:
    """What the schedule alone lets a validator sign for ``duty``."""
    match duty.type:
        case DutyType.RANDAO:
            return (RandaoPayload(epoch=chain.epoch_of(duty.slot)),)
        case DutyType.PREPARE_AGGREGATOR:
            return (SelectionPayload(slot=duty.slot),)
        case DutyType.PREPARE_SYNC_CONTRIBUTION:
            invariant(isinstance(definition, SyncCommitteeDefinition), "members have positions")
            positions = definition.positions  # type: ignore[union-attr]  # by the invariant
            subcommittees = subcommittees_of(positions, preset=chain.preset)
            return tuple(
                SyncSelectionPayload(slot=duty.slot, subcommittee_index=index)
                for index in subcommittees
            )
        case _:
            return _asked_for(definition)


def _asked_for(definition: DutyDefinition) -> tuple[Payload, ...]:
    """What this node's operator asked for, whole as it is."""
    match definition:
        case ExitDefinition(epoch=epoch, validator_index=index):
            return (ExitPayload(message=VoluntaryExit(epoch=epoch, validator_index=index)),)
        case RegistrationDefinition(message=message):
            return (RegistrationPayload(message=message),)
        case _:
            return ()


class Signer:
    """Inputs: ``sign`` (decided data), ``sign_scheduled``, ``sign_head``. Output: ``signed``."""

    def __init__(
        self,
        *,
        service: SigningService,
        keys: GroupKeys,
        chain: ChainSpec,
        log: Log,
    ) -> None:
        self.signed = Output[PartialSet]("signed")
        self._service = service
        self._keys = keys
        self._chain = chain
        self._log = log

    async def sign(self, data_set: UnsignedDataSet) -> None:
        """Sign every item of the decided set with our shares.

        Raises:
            Transient: some could not be signed now (the others went on); the edge's retry asks
                again for all of them, which repeats the same signatures.
        """
        refuse_deprecated(data_set.duty)
        wanted = tuple((item.pubkey, payload_of(item)) for item in data_set.items)
        await self._sign(data_set.duty, wanted)

    async def sign_scheduled(self, definition_set: DefinitionSet) -> None:
        """Sign what needs no data: randao reveals, selection proofs, what the operator asked for.

        Other duties pass by.
        """
        duty = definition_set.duty
        wanted = tuple(
            (each.pubkey, payload)
            for each in definition_set.definitions
            for payload in _scheduled(each, duty, self._chain)
        )
        if wanted:
            await self._sign(duty, wanted)

    async def sign_head(self, head: SyncHead) -> None:
        """Sign the slot's sync messages."""
        root = head.beacon_block_root
        payload = SyncMessagePayload(slot=head.duty.slot, beacon_block_root=root)
        await self._sign(head.duty, tuple((each.pubkey, payload) for each in head.definitions))

    async def _sign(self, duty: Duty, wanted: tuple[tuple[PubKey, Payload], ...]) -> None:
        answers = await self._service.sign(wanted)
        partials: list[PartialSignature] = []
        failed: SigningFailed | None = None
        for (pubkey, payload), answer in zip(wanted, answers, strict=True):
            if isinstance(answer, NotNow):
                failed = SigningFailed("sign", duty=duty, pubkey=pubkey.hex()[:14], reason=answer)
                continue
            if isinstance(answer, str):
                self._log.warning(
                    "signing_denied", duty=str(duty), pubkey=pubkey.hex()[:14], reason=answer
                )
                continue
            partials.append(
                PartialSignature(
                    pubkey=pubkey,
                    share_index=self._keys.own_share_index,
                    payload=payload,
                    signature=answer.signature,
                    ordinate=answer.ordinate,
                )
            )
        if partials:
            await self.signed.emit(PartialSet(duty=duty, partials=tuple(partials)))
        if failed is not None:
            raise failed
