"""The simulator's enclave: same rules, history and keys as the process, on the caller's loop."""

from tetrarch.clock import Clock
from tetrarch.enclave import approval, history, learning
from tetrarch.enclave.errors import EnclaveGone, NotConfigured
from tetrarch.enclave.keys import KeyRing
from tetrarch.enclave.ports import EnclaveStatus, SignRequest, SignResult, Slashable
from tetrarch.errors import Transient, invariant
from tetrarch.ethereum.spec.chain import ChainSpec


class InlineEnclave:
    """Signs in this process; for the simulator and tests. Implements ``ports.Enclave``.

    ``storage`` was opened with ``history.SCHEMA``; it outlives this object, as a disk does.
    """

    def __init__(self, *, storage: history.Storage, keys: KeyRing, clock: Clock) -> None:
        self._storage = storage
        self._history = history.SlashingHistory(storage)
        self._keys = keys
        self._held = frozenset(keys.pubkeys)
        self._clock = clock
        self._chain: ChainSpec | None = None
        self._closed = False

    async def configure(self, chain: ChainSpec) -> None:
        """As ``ports.Enclave``."""
        self._refuse_closed()
        await self._history.bind_chain(chain.forks.genesis_validators_root)
        self._chain = chain

    async def sign(self, requests: tuple[SignRequest, ...]) -> tuple[SignResult, ...]:
        """As ``ports.Enclave``."""
        self._refuse_closed()
        invariant(len(requests) <= approval.REQUESTS_MAX, "a batch is bounded")
        plans = approval.plan(
            requests, chain=self._chain, held=self._held, wall_s=self._clock.wall_s()
        )
        wishes = approval.wishes_of(plans)
        try:
            verdicts = await self._history.check_and_record(wishes) if wishes else ()
        except Transient as error:
            return approval.settle(plans, error, self._keys)
        return approval.settle(plans, verdicts, self._keys)

    async def learn(self, signed: tuple[Slashable, ...], *, record: bool) -> tuple[int, ...]:
        """As ``ports.Enclave``."""
        self._refuse_closed()
        if self._chain is None:
            raise NotConfigured("teach enclave")
        wishes = approval.wishes_for(signed, chain=self._chain)
        forgotten = await self._storage.read(lambda c: learning.unknown(c, wishes))
        if record and forgotten:
            news = [wishes[position] for position in forgotten]
            await self._storage.write(lambda c: learning.learn(c, news))
        return forgotten

    async def recover(self) -> None:
        """As ``ports.Enclave``; simulated folders are not restored by command."""
        self._refuse_closed()

    async def status(self) -> EnclaveStatus:
        """As ``ports.Enclave``."""
        self._refuse_closed()
        counted = await self._storage.read(history.counts)
        return EnclaveStatus(
            pubkeys=self._keys.pubkeys,
            genesis_validators_root=await self._storage.read(history.chain),
            blocks_recorded=counted.blocks,
            votes_recorded=counted.votes,
            protections=(),
        )

    async def close(self) -> None:
        """As ``ports.Enclave``."""
        self._closed = True

    def _refuse_closed(self) -> None:
        if self._closed:
            raise EnclaveGone("ask enclave", reason="closed")
