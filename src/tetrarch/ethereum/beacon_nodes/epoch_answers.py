"""Who has which duty in an epoch: compared between the nodes, and kept until a reorg."""

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import TypeVar, cast

from tetrarch.clock import Clock
from tetrarch.ethereum.beacon_node.ports import (
    AttesterDuties,
    ProposerDuties,
    SyncDuties,
    ValidatorRecord,
)
from tetrarch.ethereum.beacon_nodes.chain_identity import ChainIdentity
from tetrarch.ethereum.beacon_nodes.checking import ask_checked
from tetrarch.ethereum.beacon_nodes.epoch_cache import EpochCache, Kind
from tetrarch.ethereum.beacon_nodes.event_keys import Head, Reorg
from tetrarch.ethereum.beacon_nodes.member import Call
from tetrarch.ethereum.beacon_nodes.pool import Pool
from tetrarch.ethereum.beacon_nodes.voting import QUORUM_MIN

T = TypeVar("T")


class EpochAnswers:
    """Asks and keeps. All methods raise what ``BeaconNode`` does.

    An answer that more than half of the nodes asked did not agree on is given, but not kept, and
    its epoch is doubtful. One about another epoch than was asked for is not kept, either.
    Roots on which duties depend are not compared: nodes may take them from two versions of the API.
    """

    def __init__(self, pool: Pool, identity: ChainIdentity, clock: Clock) -> None:
        self._pool = pool
        self._identity = identity
        self._clock = clock
        self._cache = EpochCache()
        self._doubtful: dict[int, None] = {}  # epochs of which one node alone said something

    async def validators(
        self, pubkeys: tuple[bytes, ...], *, state_id: str
    ) -> tuple[ValidatorRecord, ...]:
        """See ``BeaconNode``. Balances are not compared, and as old as the answer."""
        call = Call("validators", lambda node: node.validators(pubkeys, state_id=state_id))

        def key(records: tuple[ValidatorRecord, ...]) -> Hashable:
            return frozenset(replace(each, balance_gwei=0) for each in records)

        if state_id != "head":
            return (await ask_checked(self._pool, call, key))[0]
        chain = await self._identity.spec()
        epoch = chain.epoch_of(max(chain.slot_at(self._clock.wall_s()), 0))
        return await self._kept(Kind.VALIDATORS, epoch, pubkeys, call, key)

    async def attester_duties(self, epoch: int, indices: tuple[int, ...]) -> AttesterDuties:
        """See ``BeaconNode``."""
        call = Call("attester_duties", lambda node: node.attester_duties(epoch, indices))
        is_of_epoch = await self._is_of(epoch)
        return await self._kept(
            Kind.ATTESTERS,
            epoch,
            indices,
            call,
            lambda answer: frozenset(answer.duties),
            may_keep=lambda answer: all(is_of_epoch(duty.slot) for duty in answer.duties),
        )

    async def proposer_duties(self, epoch: int) -> ProposerDuties:
        """See ``BeaconNode``."""
        call = Call("proposer_duties", lambda node: node.proposer_duties(epoch))
        is_of_epoch = await self._is_of(epoch)
        return await self._kept(
            Kind.PROPOSERS,
            epoch,
            (),
            call,
            lambda answer: frozenset(answer.duties),
            may_keep=lambda answer: all(is_of_epoch(duty.slot) for duty in answer.duties),
        )

    async def sync_duties(self, epoch: int, indices: tuple[int, ...]) -> SyncDuties:
        """See ``BeaconNode``."""
        call = Call("sync_duties", lambda node: node.sync_duties(epoch, indices))
        return await self._kept(
            Kind.SYNC, epoch, indices, call, lambda answer: frozenset(answer.duties)
        )

    def reorganized(self, reorg: Reorg) -> None:
        """Forget what the replaced blocks may have decided."""
        chain = self._identity.known_spec
        if chain is None:
            return
        forgotten = self._cache.reorganized(
            ancestor_slot=reorg.ancestor_slot, slots_per_epoch=chain.slots_per_epoch
        )
        if forgotten:
            self._pool.log.info("kept_answers_dropped", cause="chain_reorg", slot=reorg.slot)

    def head_seen(self, head: Head) -> None:
        """Forget duties that were drawn on another chain than the head's."""
        chain = self._identity.known_spec
        if chain is None:
            return
        forgotten = self._cache.head_seen(
            chain.epoch_of(head.slot),
            previous_root=head.previous_root,
            current_root=head.current_root,
        )
        if forgotten:
            self._pool.log.info("kept_answers_dropped", cause="head", slot=head.slot)

    async def _is_of(self, epoch: int) -> Callable[[int], bool]:
        """Whether a slot is in ``epoch``: asked too early, Lodestar 1.5 tells of the one before."""
        chain = await self._identity.spec()
        return lambda slot: chain.epoch_of(slot) == epoch

    async def _kept(
        self,
        kind: Kind,
        epoch: int,
        arguments: Hashable,
        call: Call[T],
        key: Callable[[T], Hashable],
        *,
        may_keep: Callable[[T], bool] = lambda _answer: True,
    ) -> T:
        kept = self._cache.get(kind, epoch, arguments)
        if kept is not None:
            return cast("T", kept)  # the kind says which type it is
        generation = self._cache.generation
        answer, checked = await ask_checked(self._pool, call, key)
        if not may_keep(answer):
            return answer  # its user refuses it, and asks again
        if checked.is_sure:
            self._cache.put(kind, epoch, arguments, answer, generation=generation)
        else:
            # Who is active now decides who has duties in the next epoch, too.
            epochs = (epoch, epoch + 1) if kind is Kind.VALIDATORS else (epoch,)
            self._doubtful.update(dict.fromkeys(epochs))
        return answer

    def take_doubtful(self) -> tuple[int, ...]:
        """The epochs whose answers should be asked for again; each once, until it is doubtful anew.

        None while there is nobody to agree with.
        """
        if len(self._pool.electorate()) < QUORUM_MIN:
            return ()
        doubtful, self._doubtful = tuple(sorted(self._doubtful)), {}
        return doubtful
