"""Inclusion: looks on chain for what the cluster submitted, and says what became of it.

Once a slot, in its quiet last quarter, the head is asked for and followed down by parent roots to
where it is known: one small block request for each new block, whatever the number of duties and
validators, and none at all while nothing is looked for. Blocks are kept by root, so that a reorg
changes which of them count and none is read twice. The rules stand in ``inclusion_rules``.
"""

import asyncio

from tetrarch.clock import Clock
from tetrarch.duties.errors import DutyNotResolved, DutyUnavailable
from tetrarch.duties.inclusion_rules import (
    CHECKED_TYPES,
    UNKNOWN_SLOTS,
    Canonical,
    Expected,
    Link,
    OwnBlock,
    SyncVote,
    Vote,
    Watched,
    judge,
    report,
)
from tetrarch.duties.ports import Definitions
from tetrarch.duties.report import InclusionReport, Verdict
from tetrarch.duties.types import (
    AttestationPayload,
    AttesterDefinition,
    Duty,
    DutyDefinition,
    ProposalPayload,
    SignedData,
    SignedDataSet,
    SyncCommitteeDefinition,
    SyncMessagePayload,
)
from tetrarch.errors import Transient
from tetrarch.ethereum.beacon_node.content import BlockContent
from tetrarch.ethereum.beacon_node.errors import BeaconNodeAnswerInvalid, BeaconNodeRefused
from tetrarch.ethereum.beacon_node.ports import BeaconNode
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.observability.logs import Log
from tetrarch.output import Output

WATCHED_MAX = 256  # duties; a cluster with three of a kind in each slot has some 100
BLOCKS_PER_CHECK_MAX = 16  # after an outage the chain is followed down in several slots
_TROUBLE = (Transient, BeaconNodeAnswerInvalid, BeaconNodeRefused)


class Inclusion:
    """Inputs: ``watch`` (what was submitted), ``check`` (every slot). Output: ``settled``."""

    def __init__(
        self,
        *,
        beacon_node: BeaconNode,
        definitions: Definitions,
        chain: ChainSpec,
        clock: Clock,
        log: Log,
    ) -> None:
        self.settled = Output[InclusionReport]("settled")
        self._beacon_node = beacon_node
        self._definitions = definitions
        self._chain = chain
        self._clock = clock
        self._log = log
        self._watched: dict[Duty, Watched] = {}
        self._unresolved: list[SignedDataSet] = []  # until the scheduler knows their epoch
        self._known: dict[bytes, BlockContent] = {}
        self._unknown: set[bytes] = set()  # below them the beacon node knows nothing
        self._lengths: dict[int, tuple[int, ...]] = {}  # of the committees of a slot
        self._checking = False

    async def watch(self, signed_set: SignedDataSet) -> None:
        """The beacon node took these: look for them on chain."""
        duty = signed_set.duty
        if duty.type not in CHECKED_TYPES:
            return
        try:
            definitions = (await self._definitions.get_duty_definition(duty)).definitions
        except DutyNotResolved:
            if len(self._unresolved) < WATCHED_MAX:
                self._unresolved.append(signed_set)
            return
        except DutyUnavailable:
            return
        by_pubkey = {each.pubkey: each for each in definitions}
        expected = {
            item.pubkey: wanted
            for item in signed_set.items
            if (definition := by_pubkey.get(item.pubkey)) is not None
            and (wanted := _expected(item, definition)) is not None
        }
        if not expected:
            return
        watched = self._watched.setdefault(duty, Watched(duty=duty))
        watched.expected |= expected
        watched.seen.clear()
        if len(self._watched) > WATCHED_MAX:
            await self._give_up(min(self._watched))

    def is_open(self, duty: Duty) -> bool:
        """Whether the chain's answer on ``duty`` is still to come."""
        return duty in self._watched or any(each.duty == duty for each in self._unresolved)

    async def check(self, slot: int) -> None:
        """Called at the start of each slot; looks in its last quarter."""
        begin_s = self._chain.slot_start_s(slot) + self._chain.slot_duration_ms * 0.75 / 1000
        await asyncio.sleep(max(begin_s - self._clock.wall_s(), 0))
        if self._checking or not (self._watched or self._unresolved):
            return
        self._checking = True
        try:
            await self._watch_resolved(slot)
            if self._watched:
                await self._check(slot)
        finally:
            self._checking = False

    async def _watch_resolved(self, slot: int) -> None:
        """After a start: try again with what came before its epoch was resolved."""
        waiting, self._unresolved = self._unresolved, []
        for signed_set in waiting:
            if slot <= signed_set.duty.slot + UNKNOWN_SLOTS:
                await self.watch(signed_set)

    async def _check(self, slot: int) -> None:
        canonical = await self._canonical()
        for duty, watched in sorted(self._watched.items(), key=lambda item: item[0]):
            if duty.slot > slot:
                continue
            lengths = self._lengths.get(duty.slot)
            answer = judge(watched, canonical, slot=slot, lengths=lengths)
            if answer is None and watched.needs_lengths and lengths is None:
                lengths = await self._ask_lengths(duty.slot)
                answer = judge(watched, canonical, slot=slot, lengths=lengths)
            if answer is not None:
                self._watched.pop(duty, None)
                await self.settled.emit(answer)
        self._forget()

    async def _give_up(self, duty: Duty) -> None:
        watched = self._watched.pop(duty)
        await self.settled.emit(report(duty, watched.expected, {}, Verdict.UNKNOWN))

    async def _canonical(self) -> Canonical:
        """The chain from the head down to the oldest duty, as far as it is to be had."""
        oldest = min(duty.slot for duty in self._watched)
        links: list[Link] = []
        fetched = 0
        try:
            root = (await self._beacon_node.head()).root
            while root not in self._unknown:
                content = self._known.get(root)
                if content is None:
                    if fetched >= BLOCKS_PER_CHECK_MAX:
                        break
                    fetched += 1
                    content = await self._beacon_node.block_content(root)
                    if content is None:
                        self._unknown.add(root)
                        break
                    self._known[root] = content
                links.append(Link(root=root, content=content))
                if content.slot <= oldest:
                    return Canonical(links=tuple(links), reaches_down_to=oldest)
                root = content.parent_root
        except _TROUBLE as error:
            self._log.warning("inclusion_not_checked", reason=str(error), code=error.code)
        lowest = links[-1].content.slot if links else oldest + 2**62
        return Canonical(links=tuple(links), reaches_down_to=lowest)

    async def _ask_lengths(self, slot: int) -> tuple[int, ...] | None:
        try:
            self._lengths[slot] = await self._beacon_node.committee_lengths(slot)
        except _TROUBLE as error:
            self._log.warning(
                "inclusion_not_checked", slot=slot, reason=str(error), code=error.code
            )
        return self._lengths.get(slot)

    def _forget(self) -> None:
        """What no open duty can need; of a chain that was reorganised away, too."""
        now_slot = self._chain.slot_at(self._clock.wall_s())
        first = now_slot - UNKNOWN_SLOTS - 2
        self._known = {root: each for root, each in self._known.items() if each.slot >= first}
        self._lengths = {slot: each for slot, each in self._lengths.items() if slot >= first}
        if len(self._unknown) > WATCHED_MAX:
            self._unknown.clear()


def _expected(item: SignedData, definition: DutyDefinition) -> Expected | None:
    match item.payload, definition:
        case AttestationPayload(data=data), AttesterDefinition():
            return Vote(
                data=data,
                committee_index=definition.committee_index,
                committee_length=definition.committee_length,
                place=definition.validator_committee_index,
            )
        case SyncMessagePayload(beacon_block_root=head), SyncCommitteeDefinition():
            return SyncVote(head=head, places=definition.positions)
        case ProposalPayload(header=header), _:
            return OwnBlock(header.hash_tree_root())
        case _:
            return None
