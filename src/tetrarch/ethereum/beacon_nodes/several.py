"""Several beacon nodes behind the port of one. This file says who is asked for what.

* attestation data: voted on (``attesting``, ``voting``);
* duties, validators, heads, blocks, the chain's constants: compared (``checking``), and the first
  two kept for the epoch (``epoch_answers``);
* blocks, aggregates, contributions: asked of all, the best taken (``production``);
* who voted, for doppelganger detection: asked of all, a vote that was seen counts (``living``);
* what says something of a node only: the best node, hedged (``pool``);
* submissions: to all, one is enough (``submitting``);
* events: merged (``streaming``); other requests: the best node (``proxying``).

Spawn ``watch()``, which keeps health and caches right; all works without it, only less well.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from tetrarch.clock import Clock
from tetrarch.ethereum.beacon_node.content import BlockContent
from tetrarch.ethereum.beacon_node.ports import (
    AttestationSubmission,
    AttesterDuties,
    BeaconEvent,
    BeaconNode,
    BlockRequest,
    BlockSummary,
    CommitteeSubscription,
    FinalityCheckpoints,
    Genesis,
    ProposerDuties,
    ProposerPreparation,
    ProxyRequest,
    ProxyResponse,
    SyncDuties,
    SyncStatus,
    SyncSubscription,
    ValidatorRecord,
)
from tetrarch.ethereum.beacon_nodes import living, production, proxying, watching
from tetrarch.ethereum.beacon_nodes.attesting import AttestationVote
from tetrarch.ethereum.beacon_nodes.chain_identity import ChainIdentity, OurChain
from tetrarch.ethereum.beacon_nodes.checking import ask_checked
from tetrarch.ethereum.beacon_nodes.epoch_answers import EpochAnswers
from tetrarch.ethereum.beacon_nodes.event_keys import Head, Reorg
from tetrarch.ethereum.beacon_nodes.member import Call
from tetrarch.ethereum.beacon_nodes.pool import Pool
from tetrarch.ethereum.beacon_nodes.ports import Observer, SilentObserver, Spawner
from tetrarch.ethereum.beacon_nodes.settings import Settings
from tetrarch.ethereum.beacon_nodes.streaming import MergedEvents
from tetrarch.ethereum.beacon_nodes.submitting import Submitter
from tetrarch.ethereum.spec.aggregates import (
    Aggregate,
    SignedAggregateAndProof,
    SignedContributionAndProof,
    SyncCommitteeContribution,
)
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.messages import (
    SignedValidatorRegistration,
    SignedVoluntaryExit,
    SyncCommitteeMessage,
)
from tetrarch.ethereum.spec.proposals import Proposal, SignedProposal
from tetrarch.ethereum.spec.values import AttestationData, Fork
from tetrarch.observability.logs import Log
from tetrarch.output import Output

T = TypeVar("T")
H = TypeVar("H", bound=Hashable)
WINNERS_MAX = 256  # slots and kinds of data whose source is remembered


class SeveralBeaconNodes:
    """``ports.BeaconNode`` over several. Lives in one loop; shares nothing with another one.

    Outputs, while ``watch`` runs: ``heads`` and ``reorgs`` of the chain, as the nodes tell them;
    ``doubts``, epochs whose duties should be asked for again, as too few nodes agreed on them.

    Args:
        primaries: at least one, in the operator's order.
        fallbacks: used only while no primary is healthy.
        clock: says which slot it is.
        spawner: runs submissions to their end.
        log: every line names its beacon node.
        observer: for metrics.
        settings: waits and limits.
        ours: what is known beforehand of the chain that all must follow.
    """

    def __init__(  # noqa: PLR0913 - a composition of ports
        self,
        primaries: Sequence[BeaconNode],
        fallbacks: Sequence[BeaconNode] = (),
        *,
        clock: Clock,
        spawner: Spawner,
        log: Log,
        observer: Observer | None = None,
        settings: Settings | None = None,
        ours: OurChain | None = None,
    ) -> None:
        self.heads = Output[Head]("heads")
        self.reorgs = Output[Reorg]("reorgs")
        self.doubts = Output[int]("doubts")
        self._settings = settings or Settings()
        self._pool = Pool(
            primaries,
            fallbacks,
            settings=self._settings,
            observer=observer or SilentObserver(),
            log=log,
        )
        self._identity = ChainIdentity(self._pool, ours or OurChain())
        self._submitter = Submitter(self._pool, spawner, patience_s=lambda: self._slot_s() / 8)
        self._answers = EpochAnswers(self._pool, self._identity, clock)
        self._clock = clock
        self._winners: dict[tuple[str, int], tuple[int, ...]] = {}

    @property
    def name(self) -> str:
        """All nodes' names."""
        return ", ".join(member.name for member in self._pool.members)

    @property
    def conditions(self) -> dict[str, str]:
        """``healthy``, ``degraded`` or ``down`` by node, for health checks."""
        return {member.name: member.condition.value for member in self._pool.members}

    @property
    def strangers(self) -> tuple[str, ...]:
        """Who follows another chain, by name."""
        return tuple(member.name for member in self._pool.members if member.foreign)

    async def identify(self, *, agreeing: int) -> tuple[Genesis, ChainSpec]:
        """Find out which chain this is; at least ``agreeing`` nodes must say the same.

        Raises: as ``BeaconNode``; too few do.
        """
        await self._identity.find(agreeing=agreeing)
        return await self.genesis(), await self.chain_spec()

    async def watch(self) -> None:
        """Keep health and caches right, until cancelled. Run it once, beside all else."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(
                watching.poll_health(self._pool, self._identity, period_s=self._poll_s),
                name="poll beacon nodes",
            )
            tasks.create_task(
                watching.settle_doubts(self._answers, self.doubts),
                name="settle doubts",
            )
            tasks.create_task(
                watching.follow_chain(
                    self._pool,
                    self._followed,
                    self._answers,
                    heads=self.heads,
                    reorgs=self.reorgs,
                ),
                name="follow the chain",
            )

    def note_inclusion(self, what: str, slot: int, share: float) -> None:
        """Tell how much came of the data that was chosen: a part of the nodes' score.

        Args:
            what: ``attestation_data`` or ``produce_block``.
            slot: of the duty.
            share: of the cluster's duties of that kind in the slot, how many were included.
        """
        for place in self._winners.pop((what, slot), ()):
            self._pool.members[place].judged(share)

    # The chain and the node

    async def genesis(self) -> Genesis:
        """See ``BeaconNode``; asked once."""
        return await self._identity.genesis()

    async def chain_spec(self) -> ChainSpec:
        """See ``BeaconNode``; asked once."""
        return await self._identity.spec()

    async def node_version(self) -> str:
        """See ``BeaconNode``; of the best node."""
        return await self._read("node_version", lambda node: node.node_version())

    async def syncing(self) -> SyncStatus:
        """See ``BeaconNode``; of the best node."""
        return await self._read("syncing", lambda node: node.syncing())

    async def validators(
        self, pubkeys: tuple[bytes, ...], *, state_id: str = "head"
    ) -> tuple[ValidatorRecord, ...]:
        """See ``BeaconNode``; compared, and those of the head are kept for the epoch."""
        return await self._answers.validators(pubkeys, state_id=state_id)

    async def attester_duties(self, epoch: int, indices: tuple[int, ...]) -> AttesterDuties:
        """See ``BeaconNode``; compared and kept."""
        return await self._answers.attester_duties(epoch, indices)

    async def proposer_duties(self, epoch: int) -> ProposerDuties:
        """See ``BeaconNode``; compared and kept."""
        return await self._answers.proposer_duties(epoch)

    async def sync_duties(self, epoch: int, indices: tuple[int, ...]) -> SyncDuties:
        """See ``BeaconNode``; compared and kept."""
        return await self._answers.sync_duties(epoch, indices)

    async def head(self) -> BlockSummary:
        """See ``BeaconNode``; compared."""
        return await self._compare("head", lambda node: node.head())

    async def block(self, block_id: str) -> BlockSummary | None:
        """See ``BeaconNode``; compared."""
        return await self._compare("block", lambda node: node.block(block_id))

    async def block_root(self, slot: int) -> bytes | None:
        """See ``BeaconNode``; compared."""
        return await self._compare("block_root", lambda node: node.block_root(slot))

    async def block_content(self, root: bytes) -> BlockContent | None:
        """See ``content.BlockContents``; any node that knows the root has the same block."""
        return await self._read("block_content", lambda node: node.block_content(root))

    async def committee_lengths(self, slot: int) -> tuple[int, ...]:
        """See ``content.BlockContents``; compared."""
        return await self._compare("committee_lengths", lambda node: node.committee_lengths(slot))

    async def finality_checkpoints(self, state_id: str = "head") -> FinalityCheckpoints:
        """See ``BeaconNode``; compared."""
        return await self._compare(
            "finality_checkpoints", lambda node: node.finality_checkpoints(state_id)
        )

    async def live_validators(self, epoch: int, indices: tuple[int, ...]) -> frozenset[int]:
        """See ``BeaconNode``; one liar neither hides a vote nor makes one up."""
        return await living.live_validators(self._pool, epoch, indices)

    # What is signed

    async def attestation_data(self, slot: int, committee_index: int) -> AttestationData:
        """See ``BeaconNode``; voted on."""
        chain = await self.chain_spec()
        verdict = await AttestationVote(
            self._pool, chain, self._clock, slot=slot, committee_index=committee_index
        ).hold()
        self._remember("attestation_data", slot, verdict.supporters)
        return verdict.data

    async def aggregate_attestation(
        self, fork: Fork, slot: int, data_root: bytes, committee_index: int
    ) -> Aggregate | None:
        """See ``BeaconNode``; the fullest."""

        def is_asked_for(made: Aggregate) -> bool:
            return made.data.hash_tree_root() == data_root

        trusted = self._winners.get(("attestation_data", slot), ())
        fullest: production.Fullest[Aggregate] = production.Fullest(
            self._pool, await self._block_wait_s(), trusted
        )
        return await fullest.ask(
            "aggregate_attestation",
            lambda node: node.aggregate_attestation(fork, slot, data_root, committee_index),
            is_asked_for,
        )

    async def sync_contribution(
        self, slot: int, subcommittee_index: int, beacon_block_root: bytes
    ) -> SyncCommitteeContribution | None:
        """See ``BeaconNode``; the fullest."""
        asked_for = (slot, subcommittee_index, beacon_block_root)

        def is_asked_for(made: SyncCommitteeContribution) -> bool:
            return (made.slot, made.subcommittee_index, made.beacon_block_root) == asked_for

        trusted = self._winners.get(("attestation_data", slot), ())
        fullest: production.Fullest[SyncCommitteeContribution] = production.Fullest(
            self._pool, await self._block_wait_s(), trusted
        )
        return await fullest.ask(
            "sync_contribution", lambda node: node.sync_contribution(*asked_for), is_asked_for
        )

    async def produce_block(self, request: BlockRequest) -> Proposal:
        """See ``BeaconNode``; by parent, value, score and arrival."""
        proposal, place = await production.best_block(
            self._pool,
            request,
            wait_s=await self._block_wait_s(),
            limit_s=await self._block_limit_s(),
        )
        self._remember("produce_block", request.slot, (place,))
        return proposal

    # What was signed: to all

    async def submit_attestations(
        self, fork: Fork, submissions: tuple[AttestationSubmission, ...]
    ) -> None:
        """See ``BeaconNode``."""
        await self._submitter.submit(
            "submit_attestations", lambda node: node.submit_attestations(fork, submissions)
        )

    async def submit_aggregates(
        self, fork: Fork, aggregates: tuple[SignedAggregateAndProof, ...]
    ) -> None:
        """See ``BeaconNode``."""
        await self._submitter.submit(
            "submit_aggregates", lambda node: node.submit_aggregates(fork, aggregates)
        )

    async def submit_sync_messages(self, messages: tuple[SyncCommitteeMessage, ...]) -> None:
        """See ``BeaconNode``."""
        await self._submitter.submit(
            "submit_sync_messages", lambda node: node.submit_sync_messages(messages)
        )

    async def submit_contributions(
        self, contributions: tuple[SignedContributionAndProof, ...]
    ) -> None:
        """See ``BeaconNode``."""
        await self._submitter.submit(
            "submit_contributions", lambda node: node.submit_contributions(contributions)
        )

    async def submit_exit(self, signed: SignedVoluntaryExit) -> None:
        """See ``BeaconNode``."""
        await self._submitter.submit("submit_exit", lambda node: node.submit_exit(signed))

    async def register_validators(
        self, registrations: tuple[SignedValidatorRegistration, ...]
    ) -> None:
        """See ``BeaconNode``."""
        await self._submitter.submit(
            "register_validators", lambda node: node.register_validators(registrations)
        )

    async def publish_block(self, signed: SignedProposal) -> None:
        """See ``BeaconNode``."""
        await self._submitter.submit("publish_block", lambda node: node.publish_block(signed))

    async def prepare_beacon_proposer(self, preparations: tuple[ProposerPreparation, ...]) -> None:
        """See ``BeaconNode``."""
        await self._submitter.submit(
            "prepare_beacon_proposer", lambda node: node.prepare_beacon_proposer(preparations)
        )

    async def subscribe_committees(self, subscriptions: tuple[CommitteeSubscription, ...]) -> None:
        """See ``BeaconNode``."""
        await self._submitter.submit(
            "subscribe_committees", lambda node: node.subscribe_committees(subscriptions)
        )

    async def subscribe_sync_committees(self, subscriptions: tuple[SyncSubscription, ...]) -> None:
        """See ``BeaconNode``."""
        await self._submitter.submit(
            "subscribe_sync_committees", lambda node: node.subscribe_sync_committees(subscriptions)
        )

    # Streams

    def events(self, topics: tuple[str, ...]) -> AsyncGenerator[BeaconEvent, None]:
        """Events of all nodes, each once; never ends by itself. Close it when done."""
        merged = MergedEvents(self._pool, topics, now_slot=self._now_slot, slot_s=self._slot_s)
        return merged.events()

    def proxy(self, request: ProxyRequest) -> AbstractAsyncContextManager[ProxyResponse]:
        """See ``BeaconNode``; to the best node."""
        return proxying.proxy(self._pool, request)

    # How

    def _followed(self, topics: tuple[str, ...]) -> AsyncGenerator[BeaconEvent, None]:
        """The stream that this follows itself: once in a process, so its events are counted."""
        merged = MergedEvents(
            self._pool, topics, now_slot=self._now_slot, slot_s=self._slot_s, heard=self._observe
        )
        return merged.events()

    def _observe(self, node: str, event: BeaconEvent) -> None:
        chain = self._identity.known_spec
        if chain is not None:
            wall_s = self._clock.wall_s()
            watching.observe(self._pool.observer, node, event, chain=chain, wall_s=wall_s)

    async def _read(self, what: str, send: Callable[[BeaconNode], Awaitable[T]]) -> T:
        return await self._pool.read(Call(what, send))

    async def _compare(self, what: str, send: Callable[[BeaconNode], Awaitable[H]]) -> H:
        answer, _ = await ask_checked(
            self._pool, Call(what, send), lambda found: found, may_differ=True
        )
        return answer

    def _remember(self, what: str, slot: int, places: tuple[int, ...]) -> None:
        self._winners[what, slot] = places
        while len(self._winners) > WINNERS_MAX:
            del self._winners[next(iter(self._winners))]

    def _now_slot(self) -> int | None:
        chain = self._identity.known_spec
        if chain is None:
            return None
        return chain.slot_at(self._clock.wall_s() + self._settings.clock_disparity_ms / 1000)

    def _slot_s(self) -> float:
        chain = self._identity.known_spec
        return 12.0 if chain is None else chain.slot_duration_ms / 1000

    def _poll_s(self) -> float:
        set_ms = self._settings.poll_ms
        return self._slot_s() / 2 if set_ms is None else set_ms / 1000

    async def _block_wait_s(self) -> float:
        slot_ms = (await self.chain_spec()).slot_duration_ms
        return (self._settings.block_wait_ms or slot_ms / 24) / 1000

    async def _block_limit_s(self) -> float:
        slot_ms = (await self.chain_spec()).slot_duration_ms
        return (self._settings.block_limit_ms or slot_ms / 8) / 1000
