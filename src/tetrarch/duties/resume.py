"""Resume: after a restart, go on with what is on disk and still open. Runs once.

* What was decided and not signed yet is signed. The enclave repeats itself, so asking again for
  what it has signed is safe.
* Group signatures may not have reached the beacon node: it gets those that it is not known to
  have. Some are made before this node knows the decision; then the broadcaster waits for it.
"""

from typing import Protocol

from tetrarch.clock import Clock
from tetrarch.duties.tracker import Tracker
from tetrarch.duties.types import Duty, DutyType, ShareIndex, SignedDataSet
from tetrarch.duties.wire import Components, V
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.observability.logs import Log
from tetrarch.output import Handler

SUBMITTED_TYPES = (
    DutyType.PROPOSER,
    DutyType.ATTESTER,
    DutyType.AGGREGATOR,
    DutyType.SYNC_MESSAGE,
    DutyType.SYNC_CONTRIBUTION,
)


class Retried(Protocol):
    """Makes a step run in the background, repeated until its duty's deadline."""

    def __call__(self, edge: str, handler: Handler[V], /) -> Handler[V]:
        """The handler that takes its place."""
        ...


class Resumption:
    """``run`` it once the workers are started."""

    def __init__(
        self,
        components: Components,
        *,
        chain: ChainSpec,
        clock: Clock,
        own_share_index: ShareIndex,
        retried: Retried,
        tracker: Tracker,
        log: Log,
    ) -> None:
        self._components = components
        self._chain = chain
        self._clock = clock
        self._own_share_index = own_share_index
        self._retried = retried
        self._tracker = tracker
        self._log = log

    async def run(self) -> None:
        """Hand everything open to the steps that are left."""
        await self._submit()
        await self._sign()

    async def _submit(self) -> None:
        c = self._components
        submit = self._retried("resume>broadcaster.broadcast", c.broadcaster.broadcast)
        for duty in await c.aggsigdb.duties_of(SUBMITTED_TYPES):
            if not c.deadlines.is_open(duty):
                continue
            stored = await c.aggsigdb.submissions(duty)
            if stored.left:
                self._tell(duty, "broadcaster.broadcast")
                await submit(SignedDataSet(duty=duty, items=stored.left))

    async def _sign(self) -> None:
        c = self._components
        now_slot = self._chain.slot_at(self._clock.wall_s())
        since = max(now_slot - self._chain.slots_per_epoch - 1, 0)
        for data_set in await c.dutydb.decided_since(since):
            duty = data_set.duty
            if not c.deadlines.is_open(duty):
                continue
            keys = [(item.pubkey, item.sub_index) for item in data_set.items]
            taken = (await c.aggsigdb.submissions(duty)).taken
            if len(taken) == len(keys):
                self._tracker.was_done(duty)
            own = self._own_share_index
            signed = all(c.parsigdb.has_signed(duty, key, own) for key in keys)
            if c.signer is not None and not signed:
                self._tell(duty, "signer.sign")
                await self._retried("resume>signer.sign", c.signer.sign)(data_set)

    def _tell(self, duty: Duty, step: str) -> None:
        self._log.info("duty_resumed", duty=str(duty), step=step)
