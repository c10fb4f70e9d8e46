"""The beacon node over HTTP: every method of the port, each in the file of its operation.

Use ``connect_beacon_node``; it owns the sessions. The client keeps one thing: the chain's
constants, which never change for a running node.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiohttp

from tetrarch.ethereum.beacon_node import (
    aggregate_calls,
    block_calls,
    chain_calls,
    content_calls,
    duty_calls,
    liveness,
    streams,
    sync_calls,
    validator_calls,
)
from tetrarch.ethereum.beacon_node.content import BlockContent
from tetrarch.ethereum.beacon_node.errors import BeaconNodeAnswerInvalid
from tetrarch.ethereum.beacon_node.http import Address, Exchange, Timeouts
from tetrarch.ethereum.beacon_node.ports import (
    AttestationSubmission,
    AttesterDuties,
    BeaconEvent,
    BlockRequest,
    BlockSummary,
    CommitteeSubscription,
    FinalityCheckpoints,
    Genesis,
    ProposerDuties,
    ProposerPreparation,
    ProxyRequest,
    SyncDuties,
    SyncStatus,
    SyncSubscription,
    ValidatorRecord,
)
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

CONNECTIONS_MAX = 64


class BeaconNodeClient:
    """``ports.BeaconNode`` over HTTP. Not thread-safe; lives in the loop that made it."""

    def __init__(self, exchange: Exchange, pass_through: Exchange) -> None:
        self._exchange = exchange
        self._pass_through = pass_through
        self._spec: ChainSpec | None = None

    @property
    def name(self) -> str:
        """The address without credentials."""
        return self._exchange.name

    async def genesis(self) -> Genesis:
        """The chain's genesis."""
        return await chain_calls.genesis(self._exchange)

    async def chain_spec(self) -> ChainSpec:
        """The chain's constants, asked once."""
        if self._spec is None:
            self._spec = await chain_calls.chain_spec(self._exchange)
        return self._spec

    async def node_version(self) -> str:
        """The node's version string."""
        return await chain_calls.node_version(self._exchange)

    async def syncing(self) -> SyncStatus:
        """Whether the node follows the head."""
        return await chain_calls.syncing(self._exchange)

    async def validators(
        self, pubkeys: tuple[bytes, ...], *, state_id: str = "head"
    ) -> tuple[ValidatorRecord, ...]:
        """The known ones among ``pubkeys``."""
        return await chain_calls.validators(self._exchange, pubkeys, state_id)

    async def attester_duties(self, epoch: int, indices: tuple[int, ...]) -> AttesterDuties:
        """Attester duties of ``indices``."""
        return await duty_calls.attester_duties(self._exchange, epoch, indices)

    async def proposer_duties(self, epoch: int) -> ProposerDuties:
        """All proposers of ``epoch``."""
        return await duty_calls.proposer_duties(self._exchange, epoch)

    async def sync_duties(self, epoch: int, indices: tuple[int, ...]) -> SyncDuties:
        """Which of ``indices`` are in the sync committee."""
        return await sync_calls.sync_duties(self._exchange, epoch, indices)

    async def attestation_data(self, slot: int, committee_index: int) -> AttestationData:
        """What the node would attest to."""
        return await duty_calls.attestation_data(self._exchange, slot, committee_index)

    async def aggregate_attestation(
        self, fork: Fork, slot: int, data_root: bytes, committee_index: int
    ) -> Aggregate | None:
        """The best aggregate of a committee's votes, or None."""
        return await aggregate_calls.aggregate_attestation(
            self._exchange,
            fork,
            slot=slot,
            data_root=data_root,
            committee_index=committee_index,
            preset=(await self.chain_spec()).preset,
        )

    async def sync_contribution(
        self, slot: int, subcommittee_index: int, beacon_block_root: bytes
    ) -> SyncCommitteeContribution | None:
        """The best contribution of a sync subcommittee, or None."""
        return await sync_calls.sync_contribution(
            self._exchange,
            slot=slot,
            subcommittee_index=subcommittee_index,
            beacon_block_root=beacon_block_root,
            preset=(await self.chain_spec()).preset,
        )

    async def produce_block(self, request: BlockRequest) -> Proposal:
        """An unsigned full or blinded block."""
        preset = (await self.chain_spec()).preset
        return await block_calls.produce_block(self._exchange, request, preset=preset)

    async def submit_attestations(
        self, fork: Fork, submissions: tuple[AttestationSubmission, ...]
    ) -> None:
        """Publish signed attestations of one fork."""
        await duty_calls.submit_attestations(self._exchange, fork, submissions)

    async def submit_aggregates(
        self, fork: Fork, aggregates: tuple[SignedAggregateAndProof, ...]
    ) -> None:
        """Publish signed aggregates of one fork."""
        await aggregate_calls.submit_aggregates(self._exchange, fork, aggregates)

    async def submit_sync_messages(self, messages: tuple[SyncCommitteeMessage, ...]) -> None:
        """Publish sync committee members' messages."""
        await sync_calls.submit_sync_messages(self._exchange, messages)

    async def submit_contributions(
        self, contributions: tuple[SignedContributionAndProof, ...]
    ) -> None:
        """Publish signed contributions."""
        await sync_calls.submit_contributions(self._exchange, contributions)

    async def submit_exit(self, signed: SignedVoluntaryExit) -> None:
        """Publish a voluntary exit."""
        await validator_calls.submit_exit(self._exchange, signed)

    async def register_validators(
        self, registrations: tuple[SignedValidatorRegistration, ...]
    ) -> None:
        """Tell builders where the validators' blocks pay."""
        await validator_calls.register_validators(self._exchange, registrations)

    async def publish_block(self, signed: SignedProposal) -> None:
        """Publish a signed block."""
        await block_calls.publish_block(self._exchange, signed)

    async def prepare_beacon_proposer(self, preparations: tuple[ProposerPreparation, ...]) -> None:
        """Tell the node the fee recipients."""
        await duty_calls.prepare_beacon_proposer(self._exchange, preparations)

    async def subscribe_committees(self, subscriptions: tuple[CommitteeSubscription, ...]) -> None:
        """Ask the node to join the committees' subnets."""
        await duty_calls.subscribe_committees(self._exchange, subscriptions)

    async def subscribe_sync_committees(self, subscriptions: tuple[SyncSubscription, ...]) -> None:
        """Ask the node to join the sync subcommittees' subnets."""
        await sync_calls.subscribe_sync_committees(self._exchange, subscriptions)

    async def head(self) -> BlockSummary:
        """The head block."""
        found = await chain_calls.block(self._exchange, "head")
        if found is None:
            raise BeaconNodeAnswerInvalid(
                "read beacon node's answer", path="/eth/v1/beacon/headers/head", reason="no head"
            )
        return found

    async def block(self, block_id: str) -> BlockSummary | None:
        """The canonical block ``block_id``, or None."""
        return await chain_calls.block(self._exchange, block_id)

    async def block_root(self, slot: int) -> bytes | None:
        """Root of the canonical block in ``slot`` itself, or None."""
        found = await chain_calls.block(self._exchange, str(slot))
        return found.root if found is not None and found.slot == slot else None

    async def block_content(self, root: bytes) -> BlockContent | None:
        """See ``content.BlockContents``."""
        return await content_calls.block_content(self._exchange, root)

    async def committee_lengths(self, slot: int) -> tuple[int, ...]:
        """See ``content.BlockContents``."""
        epoch = (await self.chain_spec()).epoch_of(slot)
        return await content_calls.committee_lengths(self._exchange, slot, epoch)

    async def finality_checkpoints(self, state_id: str = "head") -> FinalityCheckpoints:
        """What a state holds for justified and final."""
        return await chain_calls.finality_checkpoints(self._exchange, state_id)

    async def live_validators(self, epoch: int, indices: tuple[int, ...]) -> frozenset[int]:
        """Those of ``indices`` that the node saw vote in ``epoch``."""
        return await liveness.live_validators(self, epoch, indices)

    def events(self, topics: tuple[str, ...]) -> AsyncGenerator[BeaconEvent, None]:
        """Server-sent events until the connection ends."""
        return streams.events(self._exchange, topics)

    def proxy(self, request: ProxyRequest) -> AbstractAsyncContextManager[streams.StreamedAnswer]:
        """Hand a request on as it is."""
        return streams.proxy(self._pass_through, request)


@asynccontextmanager
async def connect_beacon_node(
    url: str, *, timeouts: Timeouts | None = None
) -> AsyncIterator[BeaconNodeClient]:
    """A client for the node at ``url``. Connects when first asked, not now.

    Raises:
        ConfigInvalid: ``url`` is no http(s) address.
    """
    address = Address.parse(url)
    limits = timeouts or Timeouts()
    # Two sessions: a proxied answer must keep its compression, ours is undone.
    async with (
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX),
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as session,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),  # one per open event stream
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept-Encoding", "Accept", "Content-Type"),
        ) as raw_session,
    ):
        yield BeaconNodeClient(
            Exchange(session, address, limits), Exchange(raw_session, address, limits)
        )
