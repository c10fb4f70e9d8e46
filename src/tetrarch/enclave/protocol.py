"""The bytes between a node and its enclave: bounded frames of typed msgpack values.

A frame is a length (4 bytes, big endian) and that many bytes: one ``Call`` from the node or one
``Reply`` from the enclave with the same ``id``. The first call is ``Open``. There is no version:
both ends are the same program.
"""

from collections.abc import Iterator
from typing import Annotated, TypeAlias

import msgspec

from tetrarch.enclave.approval import REQUESTS_MAX
from tetrarch.enclave.errors import FrameInvalid
from tetrarch.enclave.ports import (
    Approved,
    Denied,
    Failed,
    SignAttestation,
    SignBlock,
    SignRandao,
    SignRequest,
    SignResult,
)
from tetrarch.enclave.rules import Reason
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.domains import ForkActivation, ForkSchedule
from tetrarch.ethereum.spec.values import (
    ATTESTATION_DATA_SIZE_BYTES,
    HEADER_SIZE_BYTES,
    AttestationData,
    BeaconBlockHeader,
    Fork,
)

FRAME_MAX_BYTES = 8 << 20  # some 10,000 keys to open, each with two paths
SHARES_MAX = 10_000
_LENGTH_BYTES = 4
_FORKS_MAX = 32

PubKeyBytes: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=48, max_length=48)]
Root: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Version: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=4, max_length=4)]
Signature: TypeAlias = Annotated[bytes, msgspec.Meta(min_length=96, max_length=96)]
Path: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=4096)]
Uint: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Vote: TypeAlias = Annotated[
    bytes,
    msgspec.Meta(min_length=ATTESTATION_DATA_SIZE_BYTES, max_length=ATTESTATION_DATA_SIZE_BYTES),
]
Header: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=HEADER_SIZE_BYTES, max_length=HEADER_SIZE_BYTES)
]


class Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A value of the protocol: positional, immutable, with nothing extra."""


class ShareFile(Message, frozen=True):
    """Where one share lies, and which public share the cluster's lock says it must have."""

    pubkey: PubKeyBytes
    public_share: PubKeyBytes
    keystore: Path
    password: Path


class Open(Message, frozen=True, tag="open"):
    """Read the shares and the database; the first call."""

    database: Path
    shares: Annotated[tuple[ShareFile, ...], msgspec.Meta(max_length=SHARES_MAX)]


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


class Sign(Message, frozen=True, tag="sign"):
    """A batch to sign."""

    items: Annotated[
        tuple[VoteItem | BlockItem | RandaoItem, ...], msgspec.Meta(max_length=REQUESTS_MAX)
    ]


class AskStatus(Message, frozen=True, tag="status"):
    """What do you hold?"""


class Call(Message, frozen=True):
    """From the node."""

    id: Uint
    body: Open | Configure | Sign | AskStatus


class Done(Message, frozen=True, tag="done"):
    """It is done; the answer to ``Open`` and ``Configure``."""


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


class Refusal(Message, frozen=True, tag="refused"):
    """It could not be done: the code, action and fields of a ``TetrarchError``."""

    code: Text
    action: Text
    fields: dict[Text, Text]


class Reply(Message, frozen=True):
    """From the enclave."""

    id: Uint
    body: Done | Signed | Status | Refusal


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
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FrameInvalid("decode call", reason=error) from error


def decode_reply(payload: bytes) -> Reply:
    """Raises FrameInvalid."""
    try:
        return _REPLIES.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
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
    items: list[VoteItem | BlockItem | RandaoItem] = []
    for request in requests:
        match request:
            case SignAttestation(pubkey=pubkey, data=data):
                ssz = encoded.get(data)
                if ssz is None:
                    ssz = encoded[data] = data.to_ssz()
                items.append(VoteItem(pubkey, ssz))
            case SignBlock(pubkey=pubkey, header=header):
                items.append(BlockItem(pubkey, header.to_ssz()))
            case SignRandao(pubkey=pubkey, epoch=epoch):
                items.append(RandaoItem(pubkey, epoch))
    return Sign(tuple(items))


def requests_of(call: Sign) -> tuple[SignRequest, ...]:
    """The requests of a call; equal data is decoded once. Raises InputInvalid."""
    decoded: dict[bytes, AttestationData] = {}
    requests: list[SignRequest] = []
    for item in call.items:
        match item:
            case VoteItem(pubkey=pubkey, data=ssz):
                data = decoded.get(ssz)
                if data is None:
                    data = decoded[ssz] = AttestationData.from_ssz(ssz)
                requests.append(SignAttestation(pubkey, data))
            case BlockItem(pubkey=pubkey, header=ssz):
                requests.append(SignBlock(pubkey, BeaconBlockHeader.from_ssz(ssz)))
            case RandaoItem(pubkey=pubkey, epoch=epoch):
                requests.append(SignRandao(pubkey, epoch))
    return tuple(requests)


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
