"""The bytes between a node and its enclave: bounded frames of typed msgpack values.

A frame is a length (4 bytes, big endian) and that many bytes: one ``Call`` from the node or one
``Reply`` from the enclave with the same ``id``. The first call is ``Confine``, then comes ``Open``
or ``OpenElection``. There is no version: both ends are the same program.
"""

from collections.abc import Iterator
from typing import Annotated, TypeAlias

import msgspec

from tetrarch.decoding import UNDECODABLE
from tetrarch.enclave.approval import REQUESTS_MAX, Unslashable
from tetrarch.enclave.ceremony_messages import CeremonyAnswer, CeremonyCall
from tetrarch.enclave.election_messages import ElectionAnswer, ElectionCall
from tetrarch.enclave.errors import FrameInvalid
from tetrarch.enclave.key_messages import Exported, KeyCall
from tetrarch.enclave.ledger_messages import LedgerAnswer, LedgerCall
from tetrarch.enclave.messages import Message, Path, PubKeyBytes, Root, SealedFile, ShareFile
from tetrarch.enclave.ports import (
    Approved,
    Denied,
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
from tetrarch.enclave.protections import Confinement, Protection
from tetrarch.enclave.rules import Reason
from tetrarch.enclave.sealed_keys import SHARES_MAX
from tetrarch.enclave.tpm_messages import OpenTpm
from tetrarch.ethereum.spec.aggregates import AggregateAndProof, ContributionAndProof
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.domains import ForkActivation, ForkSchedule
from tetrarch.ethereum.spec.messages import ValidatorRegistration, VoluntaryExit
from tetrarch.ethereum.spec.values import (
    ATTESTATION_DATA_SIZE_BYTES,
    HEADER_SIZE_BYTES,
    AttestationData,
    BeaconBlockHeader,
    Fork,
)

FRAME_MAX_BYTES = 32 << 20  # a recovery among 256 members; 10,000 keys to open have 8 MB
MESSAGE_MAX_BYTES = 32 << 10  # an aggregate with a bit for every attester of a slot has 17 kB
PATHS_MAX = 64
_LENGTH_BYTES = 4
_FORKS_MAX = 32

Version: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=4, max_length=4)]
Signature: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=96, max_length=96)]
Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=4096)]
Uint: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Vote: TypeAlias = Annotated[
    bytes,
    msgspec.Meta(min_length=ATTESTATION_DATA_SIZE_BYTES, max_length=ATTESTATION_DATA_SIZE_BYTES),
]
Bounded: TypeAlias = Annotated[bytes, msgspec.Meta(max_length=MESSAGE_MAX_BYTES)]
Header: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=HEADER_SIZE_BYTES, max_length=HEADER_SIZE_BYTES)
]


class Confine(Message, frozen=True, tag="confine"):
    """``protections.Confinement``: lock the process, before anything is opened."""

    writable: Annotated[tuple[Path, ...], msgspec.Meta(max_length=PATHS_MAX)]
    readable: Annotated[tuple[Path, ...], msgspec.Meta(max_length=PATHS_MAX)]
    required: Annotated[tuple[Protection, ...], msgspec.Meta(max_length=len(Protection))]
    tpm: Annotated[str, msgspec.Meta(max_length=4096)] = ""


class Open(Message, frozen=True, tag="open"):
    """Read the shares and the database; the first call for duties.

    ``sealed``: where shares are sealed, or will be; those that are not there have keystores.
    """

    database: Path
    shares: Annotated[tuple[ShareFile, ...], msgspec.Meta(max_length=SHARES_MAX)]
    sealed: SealedFile | None = None


class Activation(Message, frozen=True):
    """One fork of the schedule."""

    fork: Fork
    version: Version
    epoch: Uint


class Configure(Message, frozen=True, tag="configure"):
    """The chain to sign for."""

    genesis_validators_root: Root
    genesis_fork_version: Version
    activations: Annotated[
        tuple[Activation, ...], msgspec.Meta(min_length=1, max_length=_FORKS_MAX)
    ]
    genesis_time_s: Uint
    slot_duration_ms: Annotated[int, msgspec.Meta(ge=1)]
    slots_per_epoch: Annotated[int, msgspec.Meta(ge=1)]
    preset: Text


class VoteItem(Message, frozen=True, tag="vote"):
    """``SignAttestation``; ``data`` is the SSZ of AttestationData."""

    pubkey: PubKeyBytes
    data: Vote


class BlockItem(Message, frozen=True, tag="block"):
    """``SignBlock``; ``header`` is the SSZ of BeaconBlockHeader."""

    pubkey: PubKeyBytes
    header: Header


class RandaoItem(Message, frozen=True, tag="randao"):
    """``SignRandao``."""

    pubkey: PubKeyBytes
    epoch: Uint


class SelectionItem(Message, frozen=True, tag="selection"):
    """``SignSelection``."""

    pubkey: PubKeyBytes
    slot: Uint


class AggregateItem(Message, frozen=True, tag="aggregate"):
    """``SignAggregate``; ``message`` is the SSZ of AggregateAndProof under fork and preset."""

    pubkey: PubKeyBytes
    fork: Fork
    preset: Text
    message: Bounded


class SyncMessageItem(Message, frozen=True, tag="sync_message"):
    """``SignSyncMessage``."""

    pubkey: PubKeyBytes
    slot: Uint
    beacon_block_root: Root


class SyncSelectionItem(Message, frozen=True, tag="sync_selection"):
    """``SignSyncSelection``."""

    pubkey: PubKeyBytes
    slot: Uint
    subcommittee_index: Uint


class ContributionItem(Message, frozen=True, tag="contribution"):
    """``SignContribution``; ``message`` is the SSZ of ContributionAndProof under the preset."""

    pubkey: PubKeyBytes
    preset: Text
    message: Bounded


class ExitItem(Message, frozen=True, tag="exit"):
    """``SignExit``; ``message`` is the SSZ of VoluntaryExit."""

    pubkey: PubKeyBytes
    message: Bounded


class RegistrationItem(Message, frozen=True, tag="registration"):
    """``SignRegistration``; ``message`` is the SSZ of ValidatorRegistration."""

    pubkey: PubKeyBytes
    message: Bounded


OtherItem: TypeAlias = (
    BlockItem
    | RandaoItem
    | SelectionItem
    | AggregateItem
    | SyncMessageItem
    | SyncSelectionItem
    | ContributionItem
    | ExitItem
    | RegistrationItem
)
Item: TypeAlias = VoteItem | OtherItem


class Sign(Message, frozen=True, tag="sign"):
    """A batch to sign."""

    items: Annotated[tuple[Item, ...], msgspec.Meta(max_length=REQUESTS_MAX)]


class Learn(Message, frozen=True, tag="learn"):
    """What the shares have signed, as others saw; ``record``: deny what clashes with it."""

    items: Annotated[tuple[VoteItem | BlockItem, ...], msgspec.Meta(max_length=REQUESTS_MAX)]
    record: bool


class Recover(Message, frozen=True, tag="recover"):
    """The folder was restored from a backup, and enough peers told what its keys signed since."""


class AskStatus(Message, frozen=True, tag="status"):
    """What do you hold?"""


class AskProtections(Message, frozen=True, tag="protections"):
    """What protects this process?"""


class AskMeasurement(Message, frozen=True, tag="measurement"):
    """Which program are you?"""


CallBody: TypeAlias = (
    Confine
    | Open
    | Configure
    | Sign
    | Learn
    | Recover
    | AskStatus
    | AskProtections
    | AskMeasurement
    | OpenTpm
    | KeyCall
    | CeremonyCall
    | ElectionCall
    | LedgerCall
)


class Call(Message, frozen=True):
    """From the node."""

    id: Uint
    body: CallBody


class Done(Message, frozen=True, tag="done"):
    """It is done; the answer to ``Confine``, ``Open`` and ``Configure``."""


class Granted(Message, frozen=True, tag="granted"):
    """``ports.Approved``."""

    signature: Signature
    ordinate: Annotated[bytes, msgspec.Meta(max_length=96)] = b""


class Forbidden(Message, frozen=True, tag="forbidden"):
    """``ports.Denied``."""

    reason: Reason


class Undone(Message, frozen=True, tag="undone"):
    """``ports.Failed``."""

    reason: Text


class Signed(Message, frozen=True, tag="signed"):
    """One result per item, in order."""

    results: Annotated[
        tuple[Granted | Forbidden | Undone, ...], msgspec.Meta(max_length=REQUESTS_MAX)
    ]


class Status(Message, frozen=True, tag="is"):
    """The fields of ``ports.EnclaveStatus``."""

    pubkeys: tuple[PubKeyBytes, ...]
    genesis_validators_root: Root | None
    blocks_recorded: Uint
    votes_recorded: Uint
    protections: tuple[Text, ...]
    is_restored: bool = False


class Protections(Message, frozen=True, tag="protected"):
    """``protections.Protection`` by name, some with a version."""

    active: tuple[Text, ...]


class Measured(Message, frozen=True, tag="measured"):
    """``measurement.measure``, and the security version."""

    measurement: Root
    security_version: Uint


class Forgotten(Message, frozen=True, tag="forgotten"):
    """Positions of what the history does not hold."""

    positions: tuple[Uint, ...]


class Refusal(Message, frozen=True, tag="refused"):
    """It could not be done: the code, action and fields of a ``TetrarchError``."""

    code: Text
    action: Text
    fields: dict[Text, Text]


AnswerBody: TypeAlias = (
    Done
    | Signed
    | Forgotten
    | Status
    | Protections
    | Measured
    | Exported
    | CeremonyAnswer
    | ElectionAnswer
    | LedgerAnswer
    | Refusal
)


class Reply(Message, frozen=True):
    """From the enclave."""

    id: Uint
    body: AnswerBody


_ENCODER = msgspec.msgpack.Encoder()
_CALLS = msgspec.msgpack.Decoder(Call)
_REPLIES = msgspec.msgpack.Decoder(Reply)


def encode(message: Call | Reply) -> bytes:
    """One frame.

    Raises:
        FrameInvalid: larger than a frame may be.
    """
    payload = _ENCODER.encode(message)
    if len(payload) > FRAME_MAX_BYTES:
        raise FrameInvalid("encode frame", bytes=len(payload), maximum=FRAME_MAX_BYTES)
    return len(payload).to_bytes(_LENGTH_BYTES, "big") + payload


def decode_call(payload: bytes) -> Call:
    """Raises FrameInvalid."""
    try:
        return _CALLS.decode(payload)
    except UNDECODABLE as error:
        raise FrameInvalid("decode call", reason=error) from error


def decode_reply(payload: bytes) -> Reply:
    """Raises FrameInvalid."""
    try:
        return _REPLIES.decode(payload)
    except UNDECODABLE as error:
        raise FrameInvalid("decode reply", reason=error) from error


class FrameBuffer:
    """Cuts a stream of bytes into the payloads of its frames; holds less than two frames."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Add ``chunk``; yield every payload that is complete.

        Raises:
            FrameInvalid: a frame is empty or too long; the stream is of no use any more.
        """
        self._bytes += chunk
        while len(self._bytes) >= _LENGTH_BYTES:
            size = int.from_bytes(self._bytes[:_LENGTH_BYTES], "big")
            if not 0 < size <= FRAME_MAX_BYTES:
                raise FrameInvalid("read frame", bytes=size, maximum=FRAME_MAX_BYTES)
            end = _LENGTH_BYTES + size
            if len(self._bytes) < end:
                return
            payload = bytes(self._bytes[_LENGTH_BYTES:end])
            del self._bytes[:end]
            yield payload


def sign_call(requests: tuple[SignRequest, ...]) -> Sign:
    """The call for ``requests``; equal data is encoded once."""
    encoded: dict[AttestationData, bytes] = {}
    items: list[Item] = []
    for request in requests:
        if isinstance(request, SignAttestation):
            ssz = encoded.get(request.data)
            if ssz is None:
                ssz = encoded[request.data] = request.data.to_ssz()
            items.append(VoteItem(request.pubkey, ssz))
        else:
            items.append(_item_of(request))
    return Sign(tuple(items))


def learn_call(signed: tuple[Slashable, ...], *, record: bool) -> Learn:
    """The call that teaches the enclave ``signed``."""
    encoded = sign_call(signed).items
    items = tuple(item for item in encoded if isinstance(item, VoteItem | BlockItem))
    return Learn(items, record)


def signed_of(call: Learn) -> tuple[Slashable, ...]:
    """What a call teaches. Raises InputInvalid."""
    decoded = requests_of(Sign(call.items))
    return tuple(each for each in decoded if isinstance(each, SignAttestation | SignBlock))


def _item_of(request: SignBlock | Unslashable) -> Item:  # noqa: PLR0911 - one line for each kind
    match request:
        case SignBlock(pubkey=pubkey, header=header):
            return BlockItem(pubkey, header.to_ssz())
        case SignRandao(pubkey=pubkey, epoch=epoch):
            return RandaoItem(pubkey, epoch)
        case SignSelection(pubkey=pubkey, slot=slot):
            return SelectionItem(pubkey, slot)
        case SignAggregate(pubkey=pubkey, message=aggregate):
            return AggregateItem(pubkey, aggregate.fork, aggregate.preset, aggregate.to_ssz())
        case SignSyncMessage(pubkey=pubkey, slot=slot, beacon_block_root=root):
            return SyncMessageItem(pubkey, slot, root)
        case SignSyncSelection(pubkey=pubkey, slot=slot, subcommittee_index=index):
            return SyncSelectionItem(pubkey, slot, index)
        case SignContribution(pubkey=pubkey, message=message):
            return ContributionItem(pubkey, message.contribution.preset, message.to_ssz())
        case SignExit(pubkey=pubkey, message=exit_):
            return ExitItem(pubkey, exit_.to_ssz())
        case SignRegistration(pubkey=pubkey, message=registration):
            return RegistrationItem(pubkey, registration.to_ssz())


def requests_of(call: Sign) -> tuple[SignRequest, ...]:
    """The requests of a call; equal data is decoded once. Raises InputInvalid."""
    decoded: dict[bytes, AttestationData] = {}
    requests: list[SignRequest] = []
    for item in call.items:
        if isinstance(item, VoteItem):
            data = decoded.get(item.data)
            if data is None:
                data = decoded[item.data] = AttestationData.from_ssz(item.data)
            requests.append(SignAttestation(item.pubkey, data))
        else:
            requests.append(_request_of(item))
    return tuple(requests)


def _request_of(item: OtherItem) -> SignRequest:  # noqa: PLR0911 - one line for each kind
    match item:
        case BlockItem(pubkey=pubkey, header=ssz):
            return SignBlock(pubkey, BeaconBlockHeader.from_ssz(ssz))
        case RandaoItem(pubkey=pubkey, epoch=epoch):
            return SignRandao(pubkey, epoch)
        case SelectionItem(pubkey=pubkey, slot=slot):
            return SignSelection(pubkey, slot)
        case AggregateItem(pubkey=pubkey, fork=fork, preset=preset, message=ssz):
            return SignAggregate(pubkey, AggregateAndProof.from_ssz(fork, ssz, preset=preset))
        case SyncMessageItem(pubkey=pubkey, slot=slot, beacon_block_root=root):
            return SignSyncMessage(pubkey, slot, root)
        case SyncSelectionItem(pubkey=pubkey, slot=slot, subcommittee_index=index):
            return SignSyncSelection(pubkey, slot, index)
        case ContributionItem(pubkey=pubkey, preset=preset, message=ssz):
            return SignContribution(pubkey, ContributionAndProof.from_ssz(ssz, preset=preset))
        case ExitItem(pubkey=pubkey, message=ssz):
            return SignExit(pubkey, VoluntaryExit.from_ssz(ssz))
        case RegistrationItem(pubkey=pubkey, message=ssz):
            return SignRegistration(pubkey, ValidatorRegistration.from_ssz(ssz))


def signed(results: tuple[SignResult, ...]) -> Signed:
    """The reply that carries ``results``."""
    wire: list[Granted | Forbidden | Undone] = []
    for result in results:
        match result:
            case Approved(signature=signature, ordinate=ordinate):
                wire.append(Granted(signature, ordinate))
            case Denied(reason=reason):
                wire.append(Forbidden(reason))
            case Failed(reason=text):
                wire.append(Undone(text))
    return Signed(tuple(wire))


def results_of(reply: Signed) -> tuple[SignResult, ...]:
    """The results of a reply."""
    results: list[SignResult] = []
    for item in reply.results:
        match item:
            case Granted(signature=signature, ordinate=ordinate):
                results.append(Approved(signature, ordinate))
            case Forbidden(reason=reason):
                results.append(Denied(reason))
            case Undone(reason=text):
                results.append(Failed(text))
    return tuple(results)


def confine_call(confinement: Confinement) -> Confine:
    """The call that locks an enclave."""
    return Confine(
        tuple(str(path) for path in confinement.writable),
        tuple(str(path) for path in confinement.readable),
        confinement.required,
        "" if confinement.tpm is None else str(confinement.tpm),
    )


def configure_call(chain: ChainSpec) -> Configure:
    """The call for ``chain``."""
    forks = chain.forks
    return Configure(
        genesis_validators_root=forks.genesis_validators_root,
        genesis_fork_version=forks.genesis_fork_version,
        activations=tuple(Activation(a.fork, a.version, a.epoch) for a in forks.activations),
        genesis_time_s=chain.genesis_time_s,
        slot_duration_ms=chain.slot_duration_ms,
        slots_per_epoch=chain.slots_per_epoch,
        preset=chain.preset,
    )


def chain_of(call: Configure) -> ChainSpec:
    """The chain of a call."""
    return ChainSpec(
        preset=call.preset,
        genesis_time_s=call.genesis_time_s,
        slot_duration_ms=call.slot_duration_ms,
        slots_per_epoch=call.slots_per_epoch,
        forks=ForkSchedule(
            genesis_fork_version=call.genesis_fork_version,
            genesis_validators_root=call.genesis_validators_root,
            activations=tuple(
                ForkActivation(fork=a.fork, version=a.version, epoch=a.epoch)
                for a in call.activations
            ),
        ),
    )
