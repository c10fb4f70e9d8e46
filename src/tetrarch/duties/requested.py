"""What its operator asks a node to sign: exits and builder registrations.

No schedule starts them and no peer can: a node signs one only when its own operator asked for
exactly that, and a threshold of operators must have asked for the same. Here a request becomes a
duty, once in a life of the node; signing it again after a restart gives the same signature.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from tetrarch.clock import Clock
from tetrarch.duties.group_crypto import GroupCrypto
from tetrarch.duties.ports import Compute, Spawner
from tetrarch.duties.types import (
    DefinitionSet,
    Duty,
    DutyDefinition,
    DutyType,
    ExitDefinition,
    PubKey,
    RegistrationDefinition,
)
from tetrarch.ethereum.beacon_node.ports import BeaconNode
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.messages import (
    SignedValidatorRegistration,
    SignedVoluntaryExit,
    ValidatorRegistration,
)
from tetrarch.observability.logs import Log
from tetrarch.output import Output

Count = Callable[[DutyType, str, int], None]  # kind, what became of them, how many


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRequest:
    """The operator wants the validator to leave from ``epoch`` on.

    With ``broadcast`` the node publishes the exit once it is signed; else it only keeps it.
    """

    pubkey: PubKey
    epoch: int
    broadcast: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationRequest:
    """The operator wants builders to pay somebody else; all operators ask with one timestamp."""

    message: ValidatorRegistration

    @property
    def pubkey(self) -> PubKey:
        """The validator's root key."""
        return PubKey(self.message.pubkey)


OperatorRequest: TypeAlias = ExitRequest | RegistrationRequest


class OperatorPort(Protocol):
    """The operator of this node: what he asks for, and where he finds what was made of it."""

    async def requests(self) -> tuple[OperatorRequest, ...]:
        """All requests that stand, in order. They stay until the operator takes them away."""
        ...

    async def overrides(self) -> tuple[SignedValidatorRegistration, ...]:
        """Registrations signed elsewhere that he gave to this node; not verified yet."""
        ...

    async def keep_exit(self, pubkey: PubKey, signed: SignedVoluntaryExit) -> None:
        """Keep the group's exit durably where he finds it; raises Transient without room."""
        ...


class NoOperator:
    """Nobody asks for anything. Satisfies ``OperatorPort``."""

    async def requests(self) -> tuple[OperatorRequest, ...]:
        """See ``OperatorPort``."""
        return ()

    async def overrides(self) -> tuple[SignedValidatorRegistration, ...]:
        """See ``OperatorPort``."""
        return ()

    async def keep_exit(self, pubkey: PubKey, signed: SignedVoluntaryExit) -> None:
        """See ``OperatorPort``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastingPorts:
    """What exits and registrations need of the world."""

    operator: OperatorPort
    beacon_node: BeaconNode
    chain: ChainSpec
    clock: Clock
    spawner: Spawner
    compute: Compute
    crypto: GroupCrypto
    count: Count
    log: Log


class Schedule(Protocol):
    """Query: what the scheduler has resolved."""

    @property
    def validators(self) -> Mapping[int, PubKey]:
        """The cluster's validators by their index on chain."""
        ...


class Requested:
    """Input: ``start_due``. Output: ``duties``, each request once, when its time has come."""

    def __init__(
        self, ports: LastingPorts, *, schedule: Schedule, pubkeys: tuple[PubKey, ...]
    ) -> None:
        self.duties = Output[DefinitionSet]("duties")
        self._operator = ports.operator
        self._chain = ports.chain
        self._log = ports.log
        self._schedule = schedule
        self._pubkeys = frozenset(pubkeys)
        self._started: set[OperatorRequest] = set()  # looked up only
        self._waiting: set[OperatorRequest] = set()  # looked up only: told to the operator once

    async def start_due(self, slot: int) -> None:
        """Every slot: start the duties asked for, one for each epoch or timestamp."""
        requests = await self._operator.requests()
        self._started &= set(requests)
        self._waiting &= set(requests)
        if not requests or not self._schedule.validators:
            return
        indices = {pubkey: index for index, pubkey in self._schedule.validators.items()}
        duties: dict[Duty, list[DutyDefinition]] = {}
        for request in requests:
            if request in self._started or request.pubkey not in self._pubkeys:
                continue
            definition = self._definition(request, indices)
            if definition is None:
                self._tell_waiting(request)
            elif definition.slot <= slot:
                self._started.add(request)
                kind = _KINDS[type(request)]
                duties.setdefault(Duty(definition.slot, kind), []).append(definition)
        for duty, group in sorted(duties.items()):
            definitions = tuple(sorted(group, key=lambda each: each.pubkey))
            await self.duties.emit(DefinitionSet(duty=duty, definitions=definitions))

    def _definition(
        self, request: OperatorRequest, indices: Mapping[PubKey, int]
    ) -> ExitDefinition | RegistrationDefinition | None:
        match request:
            case RegistrationRequest(message=message):
                slot = max(self._chain.slot_at(message.timestamp), 0)
                return RegistrationDefinition(slot=slot, message=message)
            case ExitRequest(pubkey=pubkey, epoch=epoch):
                index = indices.get(pubkey)
                if index is None:
                    return None
                slot = self._chain.first_slot(epoch)
                return ExitDefinition(pubkey=pubkey, slot=slot, validator_index=index, epoch=epoch)

    def _tell_waiting(self, request: OperatorRequest) -> None:
        if request not in self._waiting:
            self._waiting.add(request)
            pubkey = "0x" + request.pubkey.hex()
            self._log.warning(
                "request_waits", pubkey=pubkey, reason="the beacon node does not know the validator"
            )


_KINDS: dict[type[OperatorRequest], DutyType] = {
    ExitRequest: DutyType.EXIT,
    RegistrationRequest: DutyType.BUILDER_REGISTRATION,
}
