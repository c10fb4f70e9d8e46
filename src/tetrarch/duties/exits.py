"""Exits: keeps the group's exits for the operator, and publishes those that he wants published.

An exit cannot be taken back, so making one and publishing one are two decisions. Where the node
signs by itself it publishes only what its own operator asked it to publish; where a validator
client signs, whoever submitted the exit there has decided already. Not before the exit's epoch,
and again until the chain has it: a beacon node that refuses is asked again in the next epoch.
"""

from tetrarch.duties.aggsigdb import AggSigDB
from tetrarch.duties.requested import ExitRequest, LastingPorts
from tetrarch.duties.types import (
    Duty,
    DutyType,
    ExitPayload,
    PubKey,
    SignedData,
    SignedDataSet,
)
from tetrarch.errors import InvariantBroken, Transient
from tetrarch.ethereum.beacon_node.errors import BeaconNodeRefused
from tetrarch.ethereum.beacon_node.ports import ValidatorStatus
from tetrarch.ethereum.spec.messages import SignedVoluntaryExit
from tetrarch.output import Output

_STAYING = (
    ValidatorStatus.PENDING_INITIALIZED,
    ValidatorStatus.PENDING_QUEUED,
    ValidatorStatus.ACTIVE_ONGOING,
)


class Exits:
    """Inputs: ``keep``, ``submit_due``. Output: ``submitted``, what is published or on chain."""

    def __init__(self, ports: LastingPorts, *, signs_by_itself: bool) -> None:
        self.submitted = Output[SignedDataSet]("submitted")
        self._beacon_node = ports.beacon_node
        self._operator = ports.operator
        self._signs_by_itself = signs_by_itself
        self._chain = ports.chain
        self._clock = ports.clock
        self._spawner = ports.spawner
        self._count = ports.count
        self._log = ports.log
        self._left: dict[tuple[Duty, PubKey], SignedData] = {}  # not known to be published
        self._unkept: dict[tuple[Duty, PubKey], SignedData] = {}  # no room for its file yet
        self._refused_in: dict[tuple[Duty, PubKey], int] = {}  # the epoch
        self._busy = False

    async def load(self, stored: AggSigDB) -> None:
        """After a (re)start: what the group has signed."""
        for duty in await stored.duties_of((DutyType.EXIT,)):
            of_duty = await stored.submissions(duty)
            for item in of_duty.taken + of_duty.left:
                self._unkept[duty, item.pubkey] = item
            for item in of_duty.left:
                self._left[duty, item.pubkey] = item

    async def keep(self, signed_set: SignedDataSet) -> None:
        """The group's exits are durable: keep them for the operator, publish what is due."""
        if signed_set.duty.type is not DutyType.EXIT:
            return
        for item in signed_set.items:
            key = signed_set.duty, item.pubkey
            if key not in self._left:
                self._left[key] = self._unkept[key] = item
                self._count(DutyType.EXIT, "signed", 1)
                self._log.info("exit_signed", duty=str(key[0]), pubkey="0x" + item.pubkey.hex())
        self._begin()

    async def submit_due(self, slot: int) -> None:
        """Every slot: publish what is wanted, due and not published."""
        del slot
        if self._left or self._unkept:
            self._begin()

    def _begin(self) -> None:
        if not self._busy:  # it is called again in the next slot
            self._busy = True
            self._spawner.spawn(self._work(), name="exits")

    async def _work(self) -> None:
        try:
            for key, item in sorted(self._unkept.items()):
                await self._operator.keep_exit(item.pubkey, _whole(item))
                del self._unkept[key]
            await self._submit()
        except Transient as error:
            self._log.warning("exits_postponed", reason=str(error), code=error.code)
        finally:
            self._busy = False

    async def _submit(self) -> None:
        epoch = self._chain.epoch_of(max(self._chain.slot_at(self._clock.wall_s()), 0))
        wanted = await self._wanted()
        due = {
            key: item
            for key, item in sorted(self._left.items())
            if (wanted is None or (item.pubkey, _epoch(item)) in wanted)
            and _epoch(item) <= epoch
            and self._refused_in.get(key) != epoch
        }
        if not due:
            return
        pubkeys = tuple(sorted({item.pubkey for item in due.values()}))
        records = await self._beacon_node.validators(pubkeys)
        leaving = {each.pubkey for each in records if each.status not in _STAYING}
        for (duty, pubkey), item in due.items():
            if pubkey in leaving:
                await self._done(duty, item, "on_chain")
                continue
            try:
                await self._beacon_node.submit_exit(_whole(item))
            except BeaconNodeRefused as error:
                if not error.blames_request:
                    raise
                self._refused_in[duty, pubkey] = epoch
                self._count(DutyType.EXIT, "refused", 1)
                self._log.warning(
                    "exit_refused",
                    pubkey="0x" + pubkey.hex(),
                    message=error.message,
                    retry="in the next epoch",
                )
            else:
                await self._done(duty, item, "submitted")

    async def _done(self, duty: Duty, item: SignedData, outcome: str) -> None:
        # Noted first: what is lost in a crash is only published again.
        await self.submitted.emit(SignedDataSet(duty=duty, items=(item,)))
        self._left.pop((duty, item.pubkey), None)
        self._refused_in.pop((duty, item.pubkey), None)
        self._count(DutyType.EXIT, outcome, 1)
        self._log.info(f"exit_{outcome}", duty=str(duty), pubkey="0x" + item.pubkey.hex())

    async def _wanted(self) -> set[tuple[PubKey, int]] | None:
        """What the operator wants published, looked up only; None: everything."""
        if not self._signs_by_itself:
            return None
        return {
            (request.pubkey, request.epoch)
            for request in await self._operator.requests()
            if isinstance(request, ExitRequest) and request.broadcast
        }


def _payload(item: SignedData) -> ExitPayload:
    if not isinstance(item.payload, ExitPayload):
        raise InvariantBroken("an exit duty has exits")
    return item.payload


def _epoch(item: SignedData) -> int:
    return _payload(item).message.epoch


def _whole(item: SignedData) -> SignedVoluntaryExit:
    return SignedVoluntaryExit(message=_payload(item).message, signature=item.signature)
