"""What the tests of exits and registrations share: an operator, ports, the group's signatures."""

from dataclasses import dataclass, field
from typing import Any

from tests.duties.duty_world import (
    CHAIN,
    GENESIS_S,
    FixedClock,
    InlineCompute,
    RecordingLog,
    ScriptedBeaconNode,
    TaskSpawner,
    Validators,
)

from tetrarch.duties.requested import LastingPorts, OperatorRequest
from tetrarch.duties.types import (
    Duty,
    DutyType,
    ExitPayload,
    PubKey,
    RegistrationPayload,
    SignedData,
    SignedDataSet,
)
from tetrarch.ethereum.spec.messages import (
    SignedValidatorRegistration,
    SignedVoluntaryExit,
    ValidatorRegistration,
    VoluntaryExit,
)

VALIDATORS = Validators(3)
FIRST, SECOND, THIRD = VALIDATORS.pubkeys
GOOD, BAD = b"\xaa" * 96, b"\xbb" * 96


@dataclass
class Operator:
    """One who asks for what the test says."""

    asked: list[OperatorRequest] = field(default_factory=list)
    given: list[SignedValidatorRegistration] = field(default_factory=list)
    kept: list[tuple[PubKey, SignedVoluntaryExit]] = field(default_factory=list)
    failing: Exception | None = None

    async def requests(self) -> tuple[OperatorRequest, ...]:
        return tuple(self.asked)

    async def overrides(self) -> tuple[SignedValidatorRegistration, ...]:
        return tuple(self.given)

    async def keep_exit(self, pubkey: PubKey, signed: SignedVoluntaryExit) -> None:
        if self.failing is not None:
            raise self.failing
        self.kept.append((pubkey, signed))


class Crypto:
    """Every signature but ``BAD`` is right."""

    def verifies(self, pubkey: PubKey, root: bytes, signature: bytes) -> bool:
        del pubkey, root
        return signature != BAD


class LastingWorld:
    """All ports of exits and registrations."""

    def __init__(self, *, epoch: int = 3) -> None:
        self.operator = Operator()
        self.node = ScriptedBeaconNode(VALIDATORS.pubkeys)
        self.clock = FixedClock()
        self.at_epoch(epoch)
        self.spawner = TaskSpawner()
        self.log = RecordingLog()
        self.counts: list[tuple[DutyType, str, int]] = []
        ports: Any = {"beacon_node": self.node, "crypto": Crypto()}
        self.ports = LastingPorts(
            operator=self.operator,
            chain=CHAIN,
            clock=self.clock,
            spawner=self.spawner,
            compute=InlineCompute(),
            count=lambda *counted: self.counts.append(counted),
            log=self.log,
            **ports,
        )

    def at_epoch(self, epoch: int) -> None:
        self.clock.now_s = CHAIN.slot_start_s(CHAIN.first_slot(epoch)) + 1

    @property
    def outcomes(self) -> list[str]:
        return [outcome for _, outcome, _ in self.counts]


def exit_set(pubkey: PubKey = FIRST, epoch: int = 1, *, index: int = 100) -> SignedDataSet:
    payload = ExitPayload(message=VoluntaryExit(epoch=epoch, validator_index=index))
    item = SignedData(pubkey=pubkey, payload=payload, signature=GOOD)
    return SignedDataSet(duty=Duty(CHAIN.first_slot(epoch), DutyType.EXIT), items=(item,))


def registration(
    pubkey: PubKey = FIRST, *, at_s: int = 20, pays: int = 1, signature: bytes = GOOD
) -> SignedValidatorRegistration:
    message = ValidatorRegistration(
        fee_recipient=bytes([pays]) * 20,
        gas_limit=30_000_000,
        timestamp=int(GENESIS_S) + at_s,
        pubkey=pubkey,
    )
    return SignedValidatorRegistration(message=message, signature=signature)


def registration_set(signed: SignedValidatorRegistration) -> SignedDataSet:
    payload = RegistrationPayload(message=signed.message)
    item = SignedData(
        pubkey=PubKey(signed.message.pubkey), payload=payload, signature=signed.signature
    )
    slot = CHAIN.slot_at(signed.message.timestamp)
    return SignedDataSet(duty=Duty(slot, DutyType.BUILDER_REGISTRATION), items=(item,))
