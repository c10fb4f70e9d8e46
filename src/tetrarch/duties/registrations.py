"""Builder registrations: the newest of each validator, sent to builders each epoch.

Three sources: the cluster's lock file, the operator's overrides file, and what a threshold of
operators had the group sign while the node runs. Whatever comes from where: the newest timestamp
wins, and only the group's valid signature counts. A registration also says where blocks pay
their fees, so the fee recipient follows it.

Nodes learn of a new one at about the same time, not in the same moment: for two epochs after it
a node also votes for blocks that pay the address before it. It asks for the new one at once.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tetrarch.duties.aggsigdb import AggSigDB
from tetrarch.duties.plausible import signing_root
from tetrarch.duties.requested import LastingPorts
from tetrarch.duties.retry import backoff_s
from tetrarch.duties.timing import start_offset_ms
from tetrarch.duties.types import DutyType, PubKey, RegistrationPayload, SignedDataSet
from tetrarch.errors import Transient
from tetrarch.ethereum.beacon_node.ports import ValidatorStatus
from tetrarch.ethereum.spec.messages import SignedValidatorRegistration

FORMER_PAYEE_EPOCHS = 2
VERIFY_COST_MS = 2.0  # each
_SERVED = (
    ValidatorStatus.PENDING_INITIALIZED,
    ValidatorStatus.PENDING_QUEUED,
    ValidatorStatus.ACTIVE_ONGOING,
    ValidatorStatus.ACTIVE_EXITING,
)


@dataclass(frozen=True, slots=True)
class _Former:
    """The address before the newest, and until when blocks may pay it (Unix seconds)."""

    fee_recipient: bytes
    until_s: float


class Payees(Mapping[PubKey, bytes]):
    """A live view: each validator's fee recipient, 20 bytes. Never changed through this."""

    def __init__(self, recipients: Mapping[PubKey, bytes], *, with_unset: bool) -> None:
        self._recipients = recipients
        self._with_unset = with_unset

    def __getitem__(self, pubkey: PubKey) -> bytes:
        recipient = self._recipients[pubkey]
        if not self._with_unset and not any(recipient):
            raise KeyError(pubkey)
        return recipient

    def __iter__(self) -> Iterator[PubKey]:
        return (pubkey for pubkey in self._recipients if pubkey in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Registrations:
    """Input: ``adopt``. ``run`` it once the workers are started."""

    def __init__(
        self,
        ports: LastingPorts,
        *,
        base: Mapping[PubKey, SignedValidatorRegistration],
        fee_recipients: Mapping[PubKey, bytes],
        pubkeys: tuple[PubKey, ...],
        builder_api: bool,
    ) -> None:
        """``base`` are the lock's; ``fee_recipients`` the cluster's, zero where none is set."""
        self._newest = dict(base)
        self._recipients = dict(fee_recipients)
        self._former: dict[PubKey, _Former] = {}
        self._pubkeys = frozenset(pubkeys)
        self._builder_api = builder_api
        self._operator = ports.operator
        self._beacon_node = ports.beacon_node
        self._chain = ports.chain
        self._clock = ports.clock
        self._crypto = ports.crypto
        self._compute = ports.compute
        self._count = ports.count
        self._log = ports.log
        self._refused: frozenset[SignedValidatorRegistration] = frozenset()
        self.fee_recipients = Payees(self._recipients, with_unset=True)
        self.payees = Payees(self._recipients, with_unset=False)

    def former_payee(self, pubkey: PubKey) -> bytes | None:
        """An address that the validator's blocks may still pay, beside the newest."""
        former = self._former.get(pubkey)
        if former is None or self._clock.wall_s() > former.until_s:
            return None
        return former.fee_recipient

    def newest(self, pubkey: PubKey) -> SignedValidatorRegistration | None:
        """What is sent to builders for the validator."""
        return self._newest.get(pubkey)

    async def load(self, stored: AggSigDB) -> None:
        """After a (re)start: what the group has signed, then the operator's file."""
        for duty in await stored.duties_of((DutyType.BUILDER_REGISTRATION,)):
            of_duty = await stored.submissions(duty)
            for item in of_duty.taken + of_duty.left:
                if isinstance(item.payload, RegistrationPayload):
                    self._take(_whole(item.payload, item.signature), source="database")
        await self._read_overrides()

    async def adopt(self, signed_set: SignedDataSet) -> None:
        """The group has signed new ones, and they are durable."""
        for item in signed_set.items:
            if isinstance(item.payload, RegistrationPayload):
                self._take(_whole(item.payload, item.signature), source="operators")

    async def run(self) -> None:
        """Send them at the start, and late in the first slot of every epoch."""
        while True:
            next_s = self._next_s()
            await self._read_overrides()
            if self._builder_api:
                await self._send(give_up_s=next_s)
            while (left_s := next_s - self._clock.wall_s()) > 0:  # noqa: ASYNC110 - a clock may be set
                await asyncio.sleep(min(left_s, self._chain.slot_duration_ms / 1000))

    def _next_s(self) -> float:
        slot = max(self._chain.slot_at(self._clock.wall_s()), 0)
        duration_ms = self._chain.slot_duration_ms
        offset_ms = start_offset_ms(DutyType.BUILDER_REGISTRATION, slot_duration_ms=duration_ms)
        first = self._chain.first_slot(self._chain.epoch_of(slot))
        next_s = self._chain.slot_start_s(first) + offset_ms / 1000
        if next_s > self._clock.wall_s():
            return next_s
        first = self._chain.first_slot(self._chain.epoch_of(slot) + 1)
        return self._chain.slot_start_s(first) + offset_ms / 1000

    async def _send(self, *, give_up_s: float) -> None:
        attempt = 0
        while True:
            try:
                records = await self._beacon_node.validators(tuple(sorted(self._newest)))
                served = {PubKey(each.pubkey) for each in records if each.status in _SERVED}
                sent = tuple(self._newest[key] for key in sorted(served & set(self._newest)))
                if sent:
                    await self._beacon_node.register_validators(sent)
            except Transient as error:
                self._count(DutyType.BUILDER_REGISTRATION, "postponed", 1)
                self._log.warning("registrations_postponed", reason=str(error), code=error.code)
                pause_s = backoff_s(attempt, jitter=0)
                if self._clock.wall_s() + pause_s >= give_up_s:
                    return
                await asyncio.sleep(pause_s)
                attempt += 1
            else:
                self._count(DutyType.BUILDER_REGISTRATION, "submitted", len(sent))
                self._log.info("registrations_submitted", validators=len(sent))
                return

    async def _read_overrides(self) -> None:
        found = await self._operator.overrides()
        fresh = [each for each in found if each not in self._refused and self._is_newer(each)]
        refused = set(self._refused & set(found))
        if not fresh:
            self._refused = frozenset(refused)
            return
        problems = await self._compute.run(
            lambda: [self._problem(each) for each in fresh], cost_ms=VERIFY_COST_MS * len(fresh)
        )
        for each, problem in zip(fresh, problems, strict=True):
            if problem is None:
                self._take(each, source="overrides file")
                continue
            refused.add(each)
            self._count(DutyType.BUILDER_REGISTRATION, "refused", 1)
            pubkey = "0x" + each.message.pubkey.hex()
            self._log.error("override_refused", pubkey=pubkey, reason=problem)
        self._refused = frozenset(refused)

    def _is_newer(self, signed: SignedValidatorRegistration) -> bool:
        known = self._newest.get(PubKey(signed.message.pubkey))
        return known is None or signed.message.timestamp > known.message.timestamp

    def _problem(self, signed: SignedValidatorRegistration) -> str | None:
        pubkey = PubKey(signed.message.pubkey)
        if pubkey not in self._pubkeys:
            return "none of the cluster's validators"
        if not any(signed.message.fee_recipient):
            return "the fee recipient is zero"
        root = signing_root(RegistrationPayload(message=signed.message), self._chain)
        verifies = self._crypto.verifies(pubkey, root, signed.signature)
        return None if verifies else "the signature is not the validator's"

    def _take(self, signed: SignedValidatorRegistration, *, source: str) -> None:
        if not self._is_newer(signed):
            return
        message = signed.message
        pubkey = PubKey(message.pubkey)
        before = self._recipients.get(pubkey, b"")
        self._newest[pubkey] = signed
        self._recipients[pubkey] = message.fee_recipient
        if any(before) and before != message.fee_recipient:
            epoch_s = self._chain.slots_per_epoch * self._chain.slot_duration_ms / 1000
            # After a restart it counts from its timestamp, the only time that is known then.
            since_s = message.timestamp if source == "database" else self._clock.wall_s()
            self._former[pubkey] = _Former(before, since_s + FORMER_PAYEE_EPOCHS * epoch_s)
        self._count(DutyType.BUILDER_REGISTRATION, "adopted", 1)
        self._log.info(
            "registration_adopted",
            pubkey="0x" + pubkey.hex(),
            fee_recipient="0x" + message.fee_recipient.hex(),
            timestamp=message.timestamp,
            source=source,
        )


def _whole(payload: RegistrationPayload, signature: bytes) -> SignedValidatorRegistration:
    return SignedValidatorRegistration(message=payload.message, signature=signature)
