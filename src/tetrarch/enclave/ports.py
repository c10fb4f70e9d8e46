"""What a node may ask of its enclave. There is no request to sign bytes or to show a key."""

from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from tetrarch.enclave.rules import Reason
from tetrarch.ethereum.spec.aggregates import AggregateAndProof, ContributionAndProof
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.messages import ValidatorRegistration, VoluntaryExit
from tetrarch.ethereum.spec.values import AttestationData, BeaconBlockHeader


@dataclass(frozen=True, slots=True)
class SignAttestation:
    """Sign ``data`` with this node's share of the root key ``pubkey`` (48 bytes)."""

    pubkey: bytes
    data: AttestationData


@dataclass(frozen=True, slots=True)
class SignBlock:
    """Sign the block of ``header``, full or blinded: their roots are the same."""

    pubkey: bytes
    header: BeaconBlockHeader


@dataclass(frozen=True, slots=True)
class SignRandao:
    """Sign the randao reveal of ``epoch``. Two of them cannot be slashed."""

    pubkey: bytes
    epoch: int


@dataclass(frozen=True, slots=True)
class SignSelection:
    """Sign the proof that may select the validator to aggregate votes of ``slot``."""

    pubkey: bytes
    slot: int


@dataclass(frozen=True, slots=True)
class SignAggregate:
    """Sign an aggregate of votes with its aggregator's proof."""

    pubkey: bytes
    message: AggregateAndProof


@dataclass(frozen=True, slots=True)
class SignSyncMessage:
    """Sign a sync committee member's vote for the head ``beacon_block_root`` (32 bytes)."""

    pubkey: bytes
    slot: int
    beacon_block_root: bytes


@dataclass(frozen=True, slots=True)
class SignSyncSelection:
    """Sign the proof that may select the validator to aggregate for a sync subcommittee."""

    pubkey: bytes
    slot: int
    subcommittee_index: int


@dataclass(frozen=True, slots=True)
class SignContribution:
    """Sign an aggregate of sync messages with its aggregator's proof."""

    pubkey: bytes
    message: ContributionAndProof


@dataclass(frozen=True, slots=True)
class SignExit:
    """Sign a voluntary exit: once published, it cannot be taken back."""

    pubkey: bytes
    message: VoluntaryExit


@dataclass(frozen=True, slots=True)
class SignRegistration:
    """Sign a builder registration of ``pubkey`` itself."""

    pubkey: bytes
    message: ValidatorRegistration


SignRequest: TypeAlias = (
    SignAttestation
    | SignBlock
    | SignRandao
    | SignSelection
    | SignAggregate
    | SignSyncMessage
    | SignSyncSelection
    | SignContribution
    | SignExit
    | SignRegistration
)


Slashable: TypeAlias = SignAttestation | SignBlock


@dataclass(frozen=True, slots=True)
class Approved:
    """The share's signature, 96 bytes. The same request always gives the same bytes.

    ``ordinate``: its point's other coordinate, 96 bytes or none; see
    ``crypto.points.read_signature``.
    """

    signature: bytes
    ordinate: bytes = field(default=b"", compare=False)


@dataclass(frozen=True, slots=True)
class Denied:
    """A rule forbids it, now and later, except ``TOO_FAR_AHEAD``, which may come due."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Failed:
    """It could not be done: nothing is signed. Asking again later may succeed."""

    reason: str


SignResult: TypeAlias = Approved | Denied | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclaveStatus:
    """What the enclave says of itself. ``protections``: what the host let it switch on.

    ``is_restored``: its folder comes from a backup, and it signs nothing slashable yet.
    """

    pubkeys: tuple[bytes, ...]
    genesis_validators_root: bytes | None
    blocks_recorded: int
    votes_recorded: int
    protections: tuple[str, ...]
    is_restored: bool = False


class Enclave(Protocol):
    """Holds the share keys and signs duties; ``EnclaveClient`` or ``InlineEnclave``."""

    async def configure(self, chain: ChainSpec) -> None:
        """Say which chain and forks to sign for; needed once before ``sign``.

        Raises:
            WrongChain: the history belongs to another chain.
        """
        ...

    async def sign(self, requests: tuple[SignRequest, ...]) -> tuple[SignResult, ...]:
        """Judge, record and sign a batch; results in the order of the requests.

        Raises:
            EnclaveGone: the process ended; stop, or start a new one.
            EnclaveSlow: no answer in time; asking again is safe.
        """
        ...

    async def learn(self, signed: tuple[Slashable, ...], *, record: bool) -> tuple[int, ...]:
        """Tell it what its shares have signed, as others saw; positions of what it had forgotten.

        With ``record``, all that could clash with those is denied from now on, and durably so
        before this returns. It only ever signs less for it: that the shares did sign is for the
        caller to verify.
        """
        ...

    async def recover(self) -> None:
        """Its folder was restored, and what its keys signed since is learned: it may sign again.

        Does nothing where no folder was restored.
        """
        ...

    async def status(self) -> EnclaveStatus:
        """What it holds and what it recorded; no secret."""
        ...

    async def close(self) -> None:
        """End it. Doing it twice does nothing."""
        ...
