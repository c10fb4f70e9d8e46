"""Valid chains, disturbed states, and blocks to be judged."""

from functools import cache
from random import Random
from typing import Any

from tests.ethereum.devchain.mutate import mutated
from tests.ethereum.devchain.operations import KEYS, OperationMaker, with_due_deposits
from tests.ethereum.devchain.oracle import CONSTANTS

from tetrarch.ethereum.devchain.chain import DevChain
from tetrarch.ethereum.devchain.committees import proposer_index
from tetrarch.ethereum.devchain.config import DevChainConfig
from tetrarch.ethereum.devchain.keys import interop_key
from tetrarch.ethereum.devchain.pools import AttestationPool, OperationPools, SyncMessagePool
from tetrarch.ethereum.devchain.production import BlockBuilder, BlockWish
from tetrarch.ethereum.devchain.self_run import sign_randao
from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.errors import TransitionInvalid
from tetrarch.ethereum.devchain.transition.payload import expected_withdrawals
from tetrarch.ethereum.devchain.transition.slots import process_slots
from tetrarch.ethereum.spec.domains import DomainType, compute_signing_root
from tetrarch.ethereum.spec.values import Fork

GENESIS_S = 1_700_000_000
FAR = 2**64 - 1
SLOTS_AHEAD_MAX = 9


@cache
def chain_of(
    fork: Fork,
    slots: int = 37,
    preset: str = "minimal",
    waiting: tuple[tuple[int, int], ...] = (),
) -> DevChain:
    """A chain on which all 64 validators did all their duties for ``slots`` slots.

    ``waiting``: who becomes active later, and in which epoch.
    """
    config = DevChainConfig(
        genesis_time_s=GENESIS_S,
        fork=fork,
        preset=preset,
        validators=KEYS,
        self_run=tuple(range(KEYS)),
        activate_later=waiting,
    )
    chain = DevChain(config, CONSTANTS)
    for slot in range(slots):
        chain.advance(GENESIS_S + 6 * slot + 3)
    return chain


def disturbed(rng: Random, base: State) -> State:
    """A state nobody would reach honestly: odd balances, exits, slashings, queues and flags.

    Nobody is ejected in a state in which others enter. The judge's loop over the registry writes
    through a view that does not see the ejections written through another, and loses them: an
    artefact of remerkleable, not a rule.
    """
    state, eth = base.copy(), 10**9
    count, epoch = len(state.validators), state.epoch
    poor = rng.random() < 0.5
    balances = state.mutable("balances")
    for index in rng.sample(range(count), 24):
        kind = rng.choice((0, 1, 2, 4, 5) if poor else (1, 2, 3, 4, 5))
        low = (0, 15) if poor else (24, 31)
        balances[index] = rng.choice((*low, 31, 32, 33, 40, 70)) * eth + rng.randrange(3)
        if kind == 0:
            state.change_validator(index, effective_balance=rng.choice((15, 16, 31)) * eth)
        elif kind == 1:
            at = epoch + rng.randrange(-1, 4)
            state.change_validator(
                index, exit_epoch=max(0, at), withdrawable_epoch=max(0, at + rng.randrange(3))
            )
        elif kind == 2:
            half = state.rules.preset.epochs_per_slashings_vector // 2
            state.change_validator(
                index,
                slashed=True,
                exit_epoch=epoch + 1,
                withdrawable_epoch=epoch + rng.choice((half, half - 1, 3)),
            )
        elif kind == 3:
            eligibility = rng.choice((FAR, epoch, 0))
            state.change_validator(
                index, activation_eligibility_epoch=eligibility, activation_epoch=FAR
            )
    for name in ("previous_epoch_participation", "current_epoch_participation"):
        flags = state.mutable(name)
        for index in rng.sample(range(count), 30):
            flags[index] = rng.randrange(8)
    scores = state.mutable("inactivity_scores")
    for index in rng.sample(range(count), 20):
        scores[index] = rng.choice((0, 1, 5, 20, 10**6 if poor else 50))
    state.mutable("slashings")[rng.randrange(64)] = rng.choice((0, 32, 640)) * eth
    state.next_withdrawal_validator_index = rng.randrange(count)
    if state.rules.has_payload:
        state.next_withdrawal_index = rng.choice((0, 7, FAR if rng.random() < 0.1 else 8))
    if rng.random() < 0.3:
        older = state.finalized_checkpoint.replace(epoch=0)
        state.finalized_checkpoint = older  # a long way back: the chain leaks
    if state.rules.is_electra:
        _disturb_queues(rng, state, deposits=0 if poor else rng.randrange(5))
    return state


def _disturb_queues(rng: Random, state: State, *, deposits: int) -> None:
    types, maker = state.rules.types, OperationMaker(rng, state)
    state.exit_balance_to_consume = rng.choice((0, 5 * 10**9, 64 * 10**9))
    state.earliest_exit_epoch = rng.choice((0, state.epoch + 5, state.epoch + 7))
    state.deposit_balance_to_consume = rng.choice((0, 3 * 10**9))
    state.consolidation_balance_to_consume = rng.choice((0, 10**9))
    for _ in range(deposits):
        deposit = types.PendingDeposit(
            **maker.deposit_data(), slot=rng.choice((0, 1, 8, state.slot))
        )
        state.mutable("pending_deposits").append(deposit)
    for _ in range(rng.randrange(4)):
        withdrawal = types.PendingPartialWithdrawal(
            validator_index=maker.validator(),
            amount=rng.choice((1, 10**9, 50 * 10**9)),
            withdrawable_epoch=rng.choice((0, state.epoch, state.epoch + 1)),
        )
        state.mutable("pending_partial_withdrawals").append(withdrawal)
    for _ in range(rng.randrange(3)):
        consolidation = types.PendingConsolidation(
            source_index=maker.validator(), target_index=maker.validator()
        )
        state.mutable("pending_consolidations").append(consolidation)


class Workshop:
    """Makes blocks for one state, right ones and broken ones."""

    def __init__(self, rng: Random, state: State, slot: int, *, owing: bool = True) -> None:
        self.rng = rng
        self.state = state  # before the slot
        self.deposits: list[Any] = []
        if owing and not state.rules.is_fulu and rng.random() < 0.5:
            self.deposits = with_due_deposits(rng, state, rng.randrange(1, 4))
        self.now = state.copy()  # in the slot
        process_slots(self.now, slot)

    def plain_block(self) -> Any:
        """A right block without operations, but for the deposits that are due."""
        builder = BlockBuilder(
            AttestationPool(self.state.rules), OperationPools(), SyncMessagePool()
        )
        wish = BlockWish(randao_reveal=sign_randao(self.now, proposer_index(self.now)))
        body = builder._body(self.now, wish).replace(deposits=tuple(self.deposits))
        return self.now.rules.types.BeaconBlock(
            slot=self.now.slot,
            proposer_index=proposer_index(self.now),
            parent_root=self.now.latest_block_header.hash_tree_root(),
            state_root=bytes(32),
            body=body,
        )

    def signed(self, block: Any) -> Any:
        root = compute_signing_root(
            block.hash_tree_root(), self.now.domain(DomainType.BEACON_PROPOSER)
        )
        signature = interop_key(block.proposer_index % (2 * KEYS)).sign(root)
        return self.now.rules.types.SignedBeaconBlock(message=block, signature=signature)

    def block_with_operations(self) -> Any:
        """A block with one to three kinds of operations that are mostly right."""
        block, maker = self.plain_block(), OperationMaker(self.rng, self.now)
        makers: dict[str, Any] = {
            "attestations": maker.attestation,
            "proposer_slashings": maker.proposer_slashing,
            "attester_slashings": maker.attester_slashing,
            "voluntary_exits": maker.voluntary_exit,
        }
        if self.now.rules.has_payload:
            makers["bls_to_execution_changes"] = maker.bls_to_execution_change
        if self.now.rules.is_electra:
            makers["requests"] = None
        makers["sync_aggregate"] = None
        body = block.body
        for name in self.rng.sample(sorted(makers), self.rng.choice((1, 1, 2, 3))):
            if name == "requests":
                body = body.replace(execution_requests=self._requests(maker))
            elif name == "sync_aggregate":
                body = body.replace(sync_aggregate=maker.sync_aggregate())
            else:
                count_max = body.ssz_type.fields[name].limit
                count = min(count_max, self.rng.choice((1, 1, 2)))
                body = body.replace(**{name: tuple(makers[name]() for _ in range(count))})
        return block.replace(body=body)

    def _requests(self, maker: OperationMaker) -> Any:
        kind = self.now.rules.types.ExecutionRequests
        makers = (maker.deposit_request, maker.withdrawal_request, maker.consolidation_request)
        return kind(
            **{
                name: tuple(make() for _ in range(min(2, self.rng.randrange(4))))
                for name, make in zip(kind.fields, makers, strict=True)
            }
        )

    def judged_block(self) -> Any:
        """A signed block: plain or with operations, changed or not, mostly signed again."""
        rng = self.rng
        block = self.block_with_operations() if rng.random() < 0.7 else self.plain_block()
        before = self.signed(block)
        if rng.random() < 0.45:
            return before
        kind = before.ssz_type
        if rng.random() < 0.8:  # somewhere in the body
            body = mutated(rng, block.body.ssz_type, block.body)
            if rng.random() < 0.3:
                body = mutated(rng, body.ssz_type, body)
            after = kind(message=block.replace(body=body), signature=before.signature)
        else:
            after = mutated(rng, kind, before)
        if after.message.slot > self.now.slot + SLOTS_AHEAD_MAX:
            return before  # a chain refuses blocks of the future before it looks at them
        return self.signed(after.message) if rng.random() < 0.85 else after


def can_produce(state: State, slot: int) -> bool:
    """Whether a block can follow: its proposer is not slashed, withdrawals can be computed."""
    now = state.copy()
    try:
        process_slots(now, slot)
        if now.rules.has_payload:
            expected_withdrawals(now)
    except TransitionInvalid:
        return False
    return not now.validators[proposer_index(now)].slashed
