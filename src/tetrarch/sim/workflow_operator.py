"""A node's operator in the simulator: what he asks for and when, and the exits that he finds."""

import asyncio

from tetrarch.duties.requested import ExitRequest, OperatorRequest, RegistrationRequest
from tetrarch.duties.types import ExitPayload, PubKey, RegistrationPayload
from tetrarch.ethereum.spec.messages import (
    SignedValidatorRegistration,
    SignedVoluntaryExit,
    ValidatorRegistration,
    VoluntaryExit,
)
from tetrarch.sim.chain import FIRST_INDEX
from tetrarch.sim.loop import EPOCH_S
from tetrarch.sim.workflow_profile import Ask, Profile

OLD_RECIPIENT = b"\xaa" * 20
NEW_RECIPIENT = b"\xbb" * 20


class SimOperator:
    """Satisfies ``duties.requested.OperatorPort``. His files outlive the node's crashes."""

    def __init__(self, asks: tuple[Ask, ...], pubkeys: tuple[PubKey, ...]) -> None:
        self.exits: dict[PubKey, SignedVoluntaryExit] = {}  # the earliest of each validator
        self._asks = asks
        self._pubkeys = pubkeys

    async def requests(self) -> tuple[OperatorRequest, ...]:
        """See ``OperatorPort``."""
        now_s = asyncio.get_running_loop().time()
        return tuple(request_of(ask, self._pubkeys) for ask in self._asks if ask.at_s <= now_s)

    async def overrides(self) -> tuple[SignedValidatorRegistration, ...]:
        """See ``OperatorPort``."""
        return ()

    async def keep_exit(self, pubkey: PubKey, signed: SignedVoluntaryExit) -> None:
        """See ``OperatorPort``."""
        known = self.exits.setdefault(pubkey, signed)
        if signed.message.epoch < known.message.epoch:
            self.exits[pubkey] = signed


def request_of(ask: Ask, pubkeys: tuple[PubKey, ...]) -> OperatorRequest:
    """What the node reads of ``ask``."""
    pubkey = pubkeys[ask.position]
    if ask.epoch is not None:
        return ExitRequest(pubkey=pubkey, epoch=ask.epoch, broadcast=ask.broadcast)
    message = ValidatorRegistration(
        fee_recipient=NEW_RECIPIENT,
        gas_limit=60_000_000,
        timestamp=int(EPOCH_S) + (ask.timestamp_s or 0),
        pubkey=pubkey,
    )
    return RegistrationRequest(message=message)


def was_asked(
    profile: Profile,
    node: int,
    pubkeys: tuple[PubKey, ...],
    pubkey: PubKey,
    payload: ExitPayload | RegistrationPayload,
) -> bool:
    """Whether the operator of ``node`` has asked for exactly ``payload`` by now."""
    now_s = asyncio.get_running_loop().time()
    for ask in profile.asks:
        if ask.node != node or ask.at_s > now_s:
            continue
        request = request_of(ask, pubkeys)
        if isinstance(payload, ExitPayload) and isinstance(request, ExitRequest):
            index = FIRST_INDEX + ask.position
            wanted = VoluntaryExit(epoch=request.epoch, validator_index=index)
            if (request.pubkey, wanted) == (pubkey, payload.message):
                return True
        elif isinstance(request, RegistrationRequest) and request.message == payload.message:
            return True
    return False
