"""A ledger among simulated nodes, and what must hold of it whatever happens.

one slot, one signature    no key signs two blocks of one date, nor votes that contradict each other
one final chain            no two nodes ever call blocks final that are not on one branch
what is honest is taken    no node calls another's block, fragment or vote invalid
blocks on time             a slot that was a running leader's has its block, the first of an epoch too
life                       when all is well again, all end on one branch, and it becomes final

Where leaders are elected, more must hold: ``ledger_elected``; of states that are proven: ``ledger_states``.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Final

from tetrarch.crypto.kes import kes_period
from tetrarch.leadership.logs import Entry, Logs
from tetrarch.leadership.reserving import SLOTS as SPAN_SLOTS
from tetrarch.ledger.accounts import AccountId, account_of
from tetrarch.ledger.blocks import Fragment
from tetrarch.ledger.chain import LedgerChain
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.fragments.parameter_vote import ParameterVote
from tetrarch.ledger.fragments.signed import SignedFragment, encode_fragment
from tetrarch.ledger.headers import Header
from tetrarch.ledger.keyring import KeptPool, Keyring
from tetrarch.ledger.leaders import Leaders
from tetrarch.ledger.membership import membership_of
from tetrarch.ledger.parameters import Mode
from tetrarch.ledger.settings import settings_of
from tetrarch.ledger.state_arriving import StateArriving
from tetrarch.ledger.store import SCHEMA, LedgerStore
from tetrarch.ledger.tree import Switch
from tetrarch.network.ports import Topic
from tetrarch.observability.logs import Log, SilentLog
from tetrarch.sim.ledger_checkers import Broken, Checkers
from tetrarch.sim.ledger_elected import Elected, Led
from tetrarch.sim.ledger_election import LedgerElection
from tetrarch.sim.ledger_founding import START_S, found, leaders_secrets
from tetrarch.sim.ledger_keys import KeyDisk, SimKeys, copy_of, seeded
from tetrarch.sim.ledger_liars import LIAR, Liar, Lie, Telling
from tetrarch.sim.ledger_node import InlineCompute, SimLedgerNode
from tetrarch.sim.ledger_profile import Crash, Cut, LedgerProfile
from tetrarch.sim.ledger_states import check_states
from tetrarch.sim.loop import SimClock, simulate
from tetrarch.sim.network import SimNetwork
from tetrarch.sim.trace import Trace
from tetrarch.storage.inline import InlineDatabase

COMMIT_S: Final = 0.002
MESSAGES_MAX: Final = 50_000_000
LATE_S: Final = 0.5
OPEN_MAX: Final = 8  # blocks that are not final when all is well


@dataclass(slots=True)
class LedgerOutcome:
    """What came of a run."""

    profile: LedgerProfile
    tips: tuple[int, ...] = ()  # lengths
    finals: tuple[int, ...] = ()
    reorganisations: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    entries_by_node: tuple[tuple[Entry, ...], ...] = ()
    leaders: Mapping[int, Leaders] = field(
        default_factory=dict
    )  # by epoch, as final blocks have it
    dates: frozenset[BlockDate] = frozenset()  # of final blocks
    votes: int = 0
    modes: tuple[Mode, ...] = ()
    members_since: tuple[int, ...] = ()  # the height at which those began who vote
    kes_periods: tuple[int, ...] = ()  # of the pools' keys, by node
    digest: str = ""
    led: tuple[Led, ...] = ()  # final blocks of elected leaders
    rivals: int = 0  # slots in which two leaders made blocks
    lies: Counter[Lie] = field(default_factory=Counter)  # that were called so
    states: int = 0  # that were proven
    lowest: tuple[int, ...] = ()  # heights from which on nodes have all blocks

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Of all nodes."""
        return tuple(itertools.chain.from_iterable(self.entries_by_node))


class LedgerWorld:
    """See the module; ``run`` it once, in a simulation."""

    def __init__(self, profile: LedgerProfile, *, seed: int, log: Log | None = None) -> None:
        self.profile = profile
        self.checkers = Checkers()
        self.trace = Trace()
        self._seed = seed
        self._log = log or SilentLog()
        rng = self._rng("keys")
        election = self._election()
        document = b"" if election is None else election.document
        self.block0, self._disks = found(profile, rng, document)
        self._elected: Elected | None = None
        if election is not None:
            liar = Liar(election, leaders_secrets(self._disks), self._rng("lies"))
            self._elected = Elected(profile, election, liar, self.block0)
        self._nodes: list[SimLedgerNode | None] = [None] * profile.nodes
        self._databases = [
            InlineDatabase.open((SCHEMA,), commit_delay_s=COMMIT_S) for _ in range(profile.nodes)
        ]
        if profile.twins:
            for node in (0, 2 % profile.nodes):  # with and without a copy
                Keyring(self._disks[node].kept, self._disks[node].store, seeded(rng)).share()
            self.share_keys(0, 1)
        self.logs = [Logs(ended_max=profile.slots * 4) for _ in range(profile.nodes)]
        self._lives: list[asyncio.Task[None] | None] = [None] * profile.nodes
        self._reorganisations = 0
        self.network = SimNetwork(
            node_count=profile.nodes,
            faults=profile.faults,
            rng=self._rng("network"),
            trace=self.trace,
            messages_max=MESSAGES_MAX,
        )

    def share_keys(self, one: int, other: int) -> None:
        """From the beginning ``other`` holds a copy of ``one``'s keys, as after a careless move."""
        self._disks[other] = KeyDisk(copy_of(self._disks[one].kept))

    async def run(self) -> LedgerOutcome:
        """All of it, and its end.

        Raises:
            Broken: a rule did not hold.
        """
        profile = self.profile
        async with asyncio.TaskGroup() as tasks:
            for node in range(profile.nodes):
                if node != profile.late:
                    self._start(node, tasks)
            happening = [tasks.create_task(self._cut(cut)) for cut in profile.cuts]
            happening += [tasks.create_task(self._crash(each, tasks)) for each in profile.crashes]
            happening += [tasks.create_task(self._lie(each)) for each in profile.lies]
            await _until(profile.slots - profile.settle_slots)
            for each in happening:
                each.cancel()
            self.network.heal()
            for node, life in enumerate(self._lives):
                if life is None:
                    self._start(node, tasks)
            await _until(profile.slots + 0.9)
            outcome = self._outcome()
            self._check_life()
            stores = [
                LedgerStore(database)
                for node, database in zip(self._nodes, self._databases, strict=True)
                if node is not None and node.chain is not None
            ]
            outcome.states = await check_states(self._chains(), stores, self.block0)
            if self._elected is not None:
                database = self._databases[profile.late or 0]
                outcome.led = await self._elected.check(self._chains(), LedgerStore(database))
            for life in self._lives:
                if life is not None:
                    life.cancel()
        return outcome

    # -- before -----------------------------------------------------------------------------------

    def _rng(self, name: str) -> Random:
        return Random(f"{self._seed}/{name}")

    def _election(self) -> LedgerElection | None:
        profile, rng = self.profile, self._rng("election")
        if profile.mode is not Mode.ELECTED:
            return None
        return LedgerElection(profile.terms, node_count=profile.nodes, rng=rng)

    # -- life -------------------------------------------------------------------------------------

    def _start(self, number: int, tasks: asyncio.TaskGroup) -> None:
        offsets = self.profile.offsets_s
        clock = SimClock(asyncio.get_running_loop(), offset_s=offsets[number] if offsets else 0.0)
        keys = SimKeys(
            self._disks[number],
            self.block0.header.id,
            self._rng(f"signing/{number}/{asyncio.get_running_loop().time()}"),
            on_block=partial(self._signed, number, _slot()),
            on_vote=self.checkers.on_vote,
        )
        begins_with_state = self.profile.with_state and number == self.profile.late
        node = self._nodes[number] = SimLedgerNode(
            self.network.bus(number),
            keys,
            self._databases[number],
            clock,
            self._log,
            on_invalid=self._invalid,
            newest=None if self._elected is None else partial(self._newest, number),
            prunes=number in self.profile.prunes,
            arriving=partial(self._arriving, number) if begins_with_state else None,
        )
        live = node.live(self.block0, on_open=self._opened, logs=self.logs[number])
        self._lives[number] = tasks.create_task(live, name=f"node-{number}")
        if self.profile.passes_at is not None:
            tasks.create_task(self._vote(node, keys, self.profile.passes_at), name="vote")

    def _arriving(self, number: int, store: LedgerStore) -> StateArriving:
        rng = self._rng(f"arriving/{number}")
        return StateArriving(store, InlineCompute(), self.block0, self._log, random=rng)

    async def _vote(self, node: SimLedgerNode, keys: SimKeys, epoch: int) -> None:
        """As its operator does once it runs: for leaders by stake, unless it is too late."""
        await asyncio.sleep(1)
        chain = node.chain
        if chain is None:
            return
        layer, date = chain.tree.tip.layer, chain.tree.tip.header.date
        parameters = replace(settings_of(layer).parameters, mode=Mode.PRAOS)
        fragment = SignedFragment(
            payer=AccountId(keys.voter),
            counter=account_of(layer, AccountId(keys.voter)).counter,
            last_epoch=date.epoch + 2,
            fee=0,
            body=ParameterVote(epoch, parameters),
        )
        signed = replace(fragment, signature=await keys.sign_fragment(fragment))
        await node.propose_fragment(encode_fragment(signed))

    def _opened(self, chain: LedgerChain) -> None:
        chain.news.on_final(self.checkers.on_final)
        chain.news.on_switch(self._switched)
        if self._elected is not None:
            chain.news.on_elected(partial(self._elected.on_elected, chain))

    def _newest(self, node: int) -> Fragment | None:
        """What the node's own member of the election has."""
        return None if self._elected is None else self._elected.election.newest(node, _slot())

    def _signed(self, node: int, begun: float, key: bytes, header: Header) -> None:
        self.checkers.on_block(key, header)
        if self._elected is not None:
            self._elected.on_block(node, header, begun=begun, slot=_slot())

    def _switched(self, switch: Switch) -> None:
        self._reorganisations += bool(switch.undone)

    def _invalid(self, peer: int, content: bytes) -> None:
        if peer == LIAR and self._elected is not None:
            self._elected.lies[self._elected.liar.lie_of(content)] += 1
            return
        raise Broken(f"what node {peer} sent was called invalid: {content[:60].hex()}")

    async def _cut(self, cut: Cut) -> None:
        await _until(cut.first)
        rest = [node for node in range(self.profile.nodes) if node not in cut.apart]
        for one in cut.apart:
            for other in rest:
                self.network.block(one, other)
                self.network.block(other, one)
        await _until(cut.last)
        self.network.heal(self.profile.faults)

    async def _crash(self, crash: Crash, tasks: asyncio.TaskGroup) -> None:
        await _until(crash.slot)
        life = self._lives[crash.node]
        if life is None:
            return
        self._lives[crash.node] = None
        self.network.detach(crash.node)
        database = self._databases[crash.node]
        database.crash(after_commit=self._rng(f"crash/{crash}").random() < 0.5)
        life.cancel()
        await asyncio.gather(life, return_exceptions=True)
        self._databases[crash.node] = database.reopen((SCHEMA,))
        self.logs[crash.node] = Logs(ended_max=self.profile.slots * 4)
        await _until(crash.slot + crash.slots_down)
        self._start(crash.node, tasks)

    async def _lie(self, telling: Telling) -> None:
        await _until(telling.slot)
        node = self._nodes[telling.to]
        if self._elected is None or node is None or node.chain is None:
            return
        item = self._elected.liar.tell(telling.lie, node.chain.tree, telling.slot)
        if item is not None:
            self.network.carry(LIAR, telling.to, Topic.REQUESTS, item.payload)

    # -- after ------------------------------------------------------------------------------------

    def _chains(self) -> list[LedgerChain]:
        return [node.chain for node in self._nodes if node is not None and node.chain is not None]

    def _outcome(self) -> LedgerOutcome:
        chains = self._chains()
        entries = tuple(map(tuple, self.logs))
        return LedgerOutcome(
            profile=self.profile,
            tips=tuple(chain.tree.tip.header.chain_length for chain in chains),
            finals=tuple(chain.tree.final.header.chain_length for chain in chains),
            reorganisations=self._reorganisations,
            statuses=Counter(
                entry.status.value for entry in itertools.chain.from_iterable(entries)
            ),
            entries_by_node=entries,
            leaders=self.checkers.leaders,
            dates=frozenset(self.checkers.dates),
            votes=sum(map(len, self.checkers.votes.values())),
            modes=tuple(chain.tree.tip.settings.parameters.mode for chain in chains),
            members_since=tuple(membership_of(chain.tree.tip.layer).since for chain in chains),
            kes_periods=tuple(
                kes_period(leader.keys.kes)
                for disk in self._disks
                for leader in disk.kept.leaders
                if isinstance(leader.keys, KeptPool)
            ),
            digest=self.trace.digest,
            lowest=tuple(chain.main.lowest for chain in chains),
            rivals=self.checkers.rivals,
            lies=Counter() if self._elected is None else self._elected.lies,
        )

    def _check_life(self) -> None:
        chains = self._chains()
        if len(chains) < self.profile.nodes:
            raise Broken("a node has no chain at the end")
        heights = [chain.tree.tip.header.chain_length for chain in chains]
        finals = [chain.tree.final.header.chain_length for chain in chains]
        if min(finals) < max(heights) - OPEN_MAX:
            raise Broken(f"blocks {heights}, final {finals} at the end")
        is_in_turn = self.profile.mode is Mode.BFT and self.profile.passes_at is None
        # Of twins one leads for both; the other's own turns are nobody's, and a span may have to end first.
        nodes, twins, offsets_s = self.profile.nodes, self.profile.twins, self.profile.offsets_s
        # Whose turn the next one's clock says to be over, or nearly, when it begins: its blocks come too late.
        late = sum(
            offsets_s[(node + 1) % nodes] - own_s > LATE_S for node, own_s in enumerate(offsets_s)
        )
        expected = self.profile.settle_slots * (nodes - twins - late) // nodes - SPAN_SLOTS * twins
        if is_in_turn and min(heights) < expected:
            raise Broken(f"blocks {heights} at the end")


def _slot() -> float:
    return asyncio.get_running_loop().time() - START_S


async def _until(slot: float) -> None:
    now_s = asyncio.get_running_loop().time()
    await asyncio.sleep(max(0.0, START_S + slot - now_s))


def lived(profile: LedgerProfile, *, seed: int, log: Log | None = None) -> LedgerOutcome:
    """Run a world.

    Raises:
        Broken: a rule did not hold.
    """

    async def scenario() -> LedgerOutcome:
        return await LedgerWorld(profile, seed=seed, log=log).run()

    return simulate(scenario, seed=seed)
