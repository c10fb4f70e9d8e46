"""The development chain itself: blocks and votes in, head, duties and reports out.

No I/O and no clock: every call that depends on time is given ``now_s`` (Unix seconds), and
``advance`` lets time pass. ``server.py`` puts HTTP and a real clock in front; the simulator
uses it as it is.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.devchain.committees import committees_of_epoch, proposer_index
from tetrarch.ethereum.devchain.config import (
    ChainConstants,
    DevChainConfig,
    Faults,
    fork_schedule,
)
from tetrarch.ethereum.devchain.duties import attester_assignments
from tetrarch.ethereum.devchain.events import (
    ChainEvent,
    block_data,
    finalized_data,
    head_data,
    reorg_data,
)
from tetrarch.ethereum.devchain.genesis import genesis_node, genesis_state
from tetrarch.ethereum.devchain.gossip import (
    CLOCK_DISPARITY_MS,
    SingleVote,
    UnknownBlock,
    check_vote_chain,
    check_vote_time,
    resolve_single,
    single_claim,
    verify_single,
)
from tetrarch.ethereum.devchain.pools import AttestationPool, OperationPools, SyncMessagePool
from tetrarch.ethereum.devchain.production import NO_FEE_RECIPIENT, BlockBuilder, BlockWish
from tetrarch.ethereum.devchain.reports import DutyKind, DutyReports
from tetrarch.ethereum.devchain.rules import Rules
from tetrarch.ethereum.devchain.self_run import sign_block, sign_randao, single_attestation
from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.attestations import attesting_indices
from tetrarch.ethereum.devchain.transition.block import (
    apply_signed_block,
    verify_block_signature,
    verify_randao,
)
from tetrarch.ethereum.devchain.transition.errors import require
from tetrarch.ethereum.devchain.tree import BlockTree, Node
from tetrarch.ethereum.devchain.watch import SlashingWatch
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ssz.container import Record

STATES_KEPT_EPOCHS = 4
BOOST_NEUTRAL = 100


class EquivocatingBlock(InputInvalid):
    """The proposer already published another block for this slot."""

    code = "devchain_equivocating_block"


class DevChain:
    """One made-up chain. Not thread-safe; every method returns without waiting."""

    def __init__(self, config: DevChainConfig, constants: ChainConstants | None = None) -> None:
        self.config = config
        self.faults: Faults = config.faults
        self.rules = Rules(config.fork, config.preset, constants or config.constants())
        state = genesis_state(
            self.rules,
            validators=config.validators,
            genesis_time_s=config.genesis_time_s,
            sync_members=config.sync_members,
            activation_epochs=dict(config.activate_later),
        )
        self.genesis_validators_root = state.genesis_validators_root
        self.spec = ChainSpec(
            preset=config.preset,
            genesis_time_s=config.genesis_time_s,
            slot_duration_ms=config.slot_duration_ms,
            slots_per_epoch=self.rules.preset.slots_per_epoch,
            forks=fork_schedule(config.fork, state.genesis_validators_root),
        )
        self.tree = BlockTree(genesis_node(state))
        self.head: Node = self.tree.genesis
        self.justified: tuple[int, bytes] = (0, self.head.root)
        self.finalized: tuple[int, bytes] = (0, self.head.root)
        self.attestations = AttestationPool(self.rules)
        self.operations = OperationPools()
        self.sync_messages = SyncMessagePool()
        self.builder = BlockBuilder(self.attestations, self.operations, self.sync_messages)
        self.reports = DutyReports(config.slot_duration_ms)
        self.watch = SlashingWatch()
        self.fee_recipients: dict[int, bytes] = {}
        self.listeners: list[Callable[[ChainEvent], None]] = []
        self.slot = -1  # the latest slot that has begun; -1 before genesis
        self._taken: set[Any] = set()  # votes since the last block or start of a slot
        self._votes: dict[int, tuple[int, bytes]] = {}  # latest vote by validator: epoch, root
        self._attested_slot = -1  # the latest slot in which the chain's own validators voted
        self._first_blocks: dict[tuple[int, int], bytes] = {}

    # Time

    def since_genesis_ms(self, now_s: float) -> int:
        """Milliseconds since slot 0 began; negative before."""
        return round((now_s - self.config.genesis_time_s) * 1000)

    def _slot_at(self, now_s: float) -> int:
        return self.since_genesis_ms(now_s) // self.config.slot_duration_ms

    def next_due_s(self) -> float:
        """When ``advance`` has something to do again."""
        slot_s = self.config.slot_duration_ms / 1000
        if self.slot > self._attested_slot:
            return self.config.genesis_time_s + (self.slot + 1 / 3) * slot_s
        return self.config.genesis_time_s + (self.slot + 1) * slot_s

    def advance(self, now_s: float) -> None:
        """Let time pass: slots begin, the chain's own validators do their duties.

        Every call with a time does this first; calling it again changes nothing.
        """
        elapsed_ms, slot_ms = self.since_genesis_ms(now_s), self.config.slot_duration_ms
        while True:
            if self.slot > self._attested_slot:
                if elapsed_ms < self.slot * slot_ms + slot_ms // 3:
                    return
                self._attested_slot = self.slot
                self._attest(self.slot)
            elif elapsed_ms >= (self.slot + 1) * slot_ms:
                self.slot += 1
                self._begin_slot(self.slot)
            else:
                return

    def _begin_slot(self, slot: int) -> None:
        self._taken.clear()
        if self.faults.reorg_depth:
            self._reorg(self.faults.reorg_depth)
            self.faults = replace(self.faults, reorg_depth=0)
        state = self.head_state(slot)
        committees = committees_of_epoch(state, state.epoch)
        of_slot = committees[slot % self.rules.preset.slots_per_epoch]
        attesters = tuple(index for members in of_slot for index in members)
        self.reports.expect(slot, DutyKind.ATTESTER, attesters)
        if slot == 0:
            return
        proposer = proposer_index(state)
        self.reports.expect(slot, DutyKind.PROPOSER, (proposer,))
        self.sync_messages.forget(slot - 2)
        if proposer in self.config.self_run:
            block = self.produce(slot, BlockWish(randao_reveal=sign_randao(state, proposer)))
            self.import_block(sign_block(state, block), self.spec.slot_start_s(slot))

    def _attest(self, slot: int) -> None:
        if slot < 0 or not self.config.self_run:
            return
        state = self.head_state(slot)
        at_s = self.spec.slot_start_s(slot) + self.config.slot_duration_ms / 3000
        for each in attester_assignments(state, state.epoch, self.config.self_run):
            if each.slot == slot:
                data = self.attestation_data(slot, each.committee_index)
                self.submit_attestation(single_attestation(state, data, each), at_s)

    def _reorg(self, depth: int) -> None:
        """Put aside the last ``depth`` blocks, but none that is justified."""
        branch = list(self.tree.chain(self.head.root))[:depth]
        branch = [
            node for node in branch if not self.tree.is_ancestor(node.root, self.justified[1])
        ]
        if branch:
            self.tree.put_aside(branch[-1].root)
            self._update_head()

    # Views

    def head_state(self, slot: int) -> State:
        """The head's state, advanced to ``slot`` if that is later. Shared: copy it to change it."""
        return self.tree.state_at(self.head.root, slot)

    def attestation_data(
        self, slot: int, committee_index: int, *, wrong_head: bool = False
    ) -> Record:
        """What a validator of the committee would vote for in ``slot``.

        With ``wrong_head`` it names the parent of the right block, as a fault.

        Raises:
            TransitionInvalid: the slot is in the future or more than an epoch old, or there is
                no such committee.
        """
        slots = self.rules.preset.slots_per_epoch
        require(self.slot - slots <= slot <= self.slot + 1, "slot is now", slot=slot)
        node = self.tree.ancestor(self.head.root, slot)
        if wrong_head and node.signed is not None:
            node = self.tree.ancestor(node.parent_root, slot)
        state = self.tree.state_at(node.root, slot)
        epoch = self.rules.epoch_of(slot)
        committees = committees_of_epoch(state, epoch)[slot % slots]
        require(committee_index < len(committees), "committee index", got=committee_index)
        types = self.rules.types
        target = self.tree.ancestor(node.root, self.rules.first_slot(epoch))
        return types.AttestationData(
            slot=slot,
            index=0 if self.rules.is_electra else committee_index,
            beacon_block_root=node.root,
            source=state.current_justified_checkpoint,
            target=types.Checkpoint(epoch=epoch, root=target.root),
        )

    # Blocks

    def produce(self, slot: int, wish: BlockWish, *, verify_reveal: bool = True) -> Record:
        """An unsigned block for ``slot`` on the head.

        Raises:
            TransitionInvalid: the slot is not now, or the randao reveal is wrong.
        """
        require(0 < slot <= self.slot + 1, "slot is now", slot=slot)
        parent = self.tree.ancestor(self.head.root, slot - 1)
        require(parent.slot + 2 * self.rules.preset.slots_per_epoch > slot, "slot is recent")
        state = self.tree.state_at(parent.root, slot)
        if verify_reveal:
            verify_randao(state, wish.randao_reveal)
        if wish.fee_recipient == NO_FEE_RECIPIENT:
            known = self.fee_recipients.get(proposer_index(state), NO_FEE_RECIPIENT)
            wish = replace(wish, fee_recipient=known)
        wish = replace(wish, leaves_out_votes=self.faults.leave_out_votes)
        return self.builder.build(state, wish, verify_reveal=verify_reveal)

    def offers_blinded(self, builder_boost_factor: int) -> bool:
        """Whether a block is produced blinded: the builder's bid beats the local one only if
        the caller prefers it, since both are made up and worth the same.
        """
        blinded = self.config.builder and builder_boost_factor > BOOST_NEUTRAL
        return blinded and self.rules.has_payload

    def import_block(self, signed: Any, now_s: float) -> Node:
        """Take a signed block into the chain. Taking it again does nothing.

        Raises:
            UnknownBlock: its parent.
            EquivocatingBlock: a different block of this slot and proposer is known.
            TransitionInvalid: it is from the future, or the specification refuses it.
        """
        self.advance(now_s)
        block = signed.message
        root = block.hash_tree_root()
        known = self.tree.get(root)
        if known is not None and known.signed is not None:
            require(known.signed == signed, "block signature")
            return known
        soon = self._slot_at(now_s + CLOCK_DISPARITY_MS / 1000)
        require(0 < block.slot <= soon, "block is not from the future", slot=block.slot)
        parent = self.tree.get(block.parent_root)
        if parent is None:
            raise UnknownBlock("import block", parent_root="0x" + block.parent_root.hex())
        require(parent.slot < block.slot, "block is newer than its parent")
        finalized_slot = self.rules.first_slot(self.finalized[0])
        require(block.slot > finalized_slot, "block is later than the finalized one")
        require(
            self.tree.is_ancestor(self.finalized[1], parent.root),
            "block descends from the finalized one",
        )
        before = self.tree.state_at(parent.root, block.slot)
        verify_block_signature(before, signed)
        self._refuse_equivocation(block, root)
        state = self.tree.state_at(parent.root, parent.slot).copy()
        apply_signed_block(state, signed)
        return self._accept(signed, root, state, now_s)

    def _refuse_equivocation(self, block: Any, root: bytes) -> None:
        finding = self.watch.see_proposal(block.proposer_index, block.slot, root)
        if finding is not None and self._first_blocks.get((block.slot, block.proposer_index)):
            self.publish("proposer_equivocation", finding.to_json())
            raise EquivocatingBlock("import block", slot=block.slot)

    def _accept(self, signed: Any, root: bytes, state: State, now_s: float) -> Node:
        block = signed.message
        node = Node(
            root=root,
            parent_root=block.parent_root,
            slot=block.slot,
            proposer_index=block.proposer_index,
            signed=signed,
            state=state,
            state_root=block.state_root,
        )
        self.tree.add(node)
        self._taken.clear()
        self._first_blocks[block.slot, block.proposer_index] = root
        self.operations.remove(block.body)
        at_ms = self._ms_into(block.slot, now_s)
        self.reports.arrived(block.slot, DutyKind.PROPOSER, block.proposer_index, at_ms)
        self.reports.included(block.slot, DutyKind.PROPOSER, block.proposer_index, block.slot)
        for attestation in block.body.attestations:
            self._count_included(state, attestation, block.slot, now_s)
        self.publish("block", block_data(node))
        self._update_checkpoints(state)
        self._update_head()
        return node

    def _count_included(self, state: State, attestation: Any, slot: int, now_s: float) -> None:
        data = attestation.data
        for index in attesting_indices(state, attestation):
            self.watch.see_vote(index, data)
            self._count_vote(index, data, now_s)
            self.reports.included(data.slot, DutyKind.ATTESTER, index, slot)

    # Votes

    def submit_attestation(self, attestation: Any, now_s: float) -> None:
        """Take one validator's vote: SingleAttestation, or an Attestation with one bit.

        Taking it again does nothing: every node of a cluster submits the same.

        Raises:
            UnknownBlock: the block that is voted for.
            TransitionInvalid: any other rule it breaks.

        Cost: 0.8 ms for the signature, once; see ``expect_attestations``.
        """
        self.advance(now_s)
        if attestation in self._taken:
            return
        state, vote = self._vote_of(attestation, now_s)
        data = attestation.data
        verify_single(state, vote)
        self.watch.see_vote(vote.validator_index, data)
        check_vote_chain(self.tree, data, finalized=self.finalized[1])
        self._count_vote(vote.validator_index, data, now_s)
        self.attestations.add_single(
            data,
            vote.committee_index,
            vote.place,
            size=vote.committee_size,
            signature=vote.signature,
        )
        self._taken.add(attestation)

    def expect_attestations(self, attestations: Sequence[Any], now_s: float) -> None:
        """Verify the signatures of votes together that will be submitted one by one."""
        self.advance(now_s)
        claims = []
        for attestation in attestations:
            if attestation in self._taken:
                continue
            with contextlib.suppress(InputInvalid):  # it is refused when it is submitted
                claims.append(single_claim(*self._vote_of(attestation, now_s)))
        self.rules.verify_batch(claims)

    def _vote_of(self, attestation: Any, now_s: float) -> tuple[State, SingleVote]:
        """Who votes, in which state. Raises as ``submit_attestation``."""
        data = attestation.data
        soon = self._slot_at(now_s + CLOCK_DISPARITY_MS / 1000)
        state = self.head_state(max(self.slot, 0))
        check_vote_time(state, data, now_slot=max(self.slot, 0), soon_slot=soon)
        node = self.tree.get(data.beacon_block_root)
        first = self.rules.first_slot(data.target.epoch)
        if node is not None and node.state is not None:
            state = self.tree.state_at(node.root, max(first, node.slot))
        elif state.epoch + 1 < data.target.epoch or data.target.epoch + 1 < state.epoch:
            raise UnknownBlock("check attestation", root="0x" + data.beacon_block_root.hex())
        return state, resolve_single(state, attestation)

    def count_votes(self, validators: tuple[int, ...], data: Any, now_s: float) -> None:
        """Note votes whose signature was verified."""
        for validator in validators:
            self.watch.see_vote(validator, data)
            self._count_vote(validator, data, now_s)

    def _count_vote(self, validator: int, data: Any, now_s: float) -> None:
        at_ms = self._ms_into(data.slot, now_s)
        self.reports.arrived(data.slot, DutyKind.ATTESTER, validator, at_ms)
        known = self._votes.get(validator)
        if known is None or known[0] < data.target.epoch:
            self._votes[validator] = (data.target.epoch, data.beacon_block_root)

    def _ms_into(self, slot: int, now_s: float) -> int:
        return self.since_genesis_ms(now_s) - slot * self.config.slot_duration_ms

    # Head and finality

    def _update_checkpoints(self, state: State) -> None:
        justified, finalized = state.current_justified_checkpoint, state.finalized_checkpoint
        if justified.epoch > self.justified[0] and justified.root in self.tree:
            self.justified = (justified.epoch, justified.root)
        if finalized.epoch <= self.finalized[0] or finalized.root not in self.tree:
            return
        self.finalized = (finalized.epoch, finalized.root)
        oldest = self.rules.first_slot(max(0, finalized.epoch - STATES_KEPT_EPOCHS))
        self.tree.forget_states(oldest, finalized.root)
        node = self.tree.get(finalized.root)
        if node is not None:
            self.publish("finalized_checkpoint", finalized_data(node, finalized.epoch))

    def _update_head(self) -> None:
        state = self.tree.state_at(self.justified[1], 0)
        weights = {i: each.effective_balance for i, each in enumerate(state.validators)}
        votes = {index: root for index, (_, root) in self._votes.items()}
        old, new = self.head, self.tree.head(self.justified[1], votes, weights)
        if new.root == old.root:
            return
        self.head = new
        slots_per_epoch = self.rules.preset.slots_per_epoch
        if not self.tree.is_ancestor(old.root, new.root):
            data = reorg_data(self.tree, old, new, slots_per_epoch=slots_per_epoch)
            self.publish("chain_reorg", data)
        epoch = self.rules.epoch_of(new.slot)
        roots = (self.dependent_root(epoch - 1), self.dependent_root(epoch))
        data = head_data(old, new, slots_per_epoch=slots_per_epoch, dependent_roots=roots)
        self.publish("head", data)

    def dependent_root(self, epoch: int) -> bytes:
        """The block that decides what is drawn for ``epoch``: the last one before it begins."""
        last = self.rules.first_slot(max(epoch, 0)) - 1
        if last < 0:
            return self.tree.genesis.root
        return self.tree.ancestor(self.head.root, last).root

    def publish(self, topic: str, data: Mapping[str, Any]) -> None:
        """Tell every listener; none may raise."""
        event = ChainEvent(topic=topic, data=data)
        for listener in self.listeners:
            listener(event)
