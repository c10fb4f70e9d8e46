"""Rules that random changes seldom reach, each from both sides, against the specification."""

from random import Random
from typing import Any

import pytest
from tests.ethereum.devchain.operations import sign
from tests.ethereum.devchain.oracle import Oracle, ours_on_block, spec_of, to_oracle
from tests.ethereum.devchain.workshop import Workshop, chain_of

from tetrarch.ethereum.devchain.committees import proposer_index
from tetrarch.ethereum.devchain.config import FORKS
from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.block import apply_signed_block
from tetrarch.ethereum.devchain.transition.errors import TransitionInvalid
from tetrarch.ethereum.devchain.transition.exits import exit_domain
from tetrarch.ethereum.devchain.transition.payload import blobs_max
from tetrarch.ethereum.spec.values import Fork

forks = pytest.mark.parametrize("fork", FORKS)
SLOT = 37


def plain(fork: Fork, state: State | None = None) -> Workshop:
    """Makes blocks on the chain's head, or on a changed state; no deposits are due."""
    return Workshop(Random(1), state or base(fork), SLOT, owing=False)


def base(fork: Fork) -> State:
    return chain_of(fork).head_state(36).copy()


def verdicts(made: Workshop, block: Any) -> bool:
    """Whether the block is taken; both must say the same, and reach the same state."""
    signed = made.signed(block)
    ours = ours_on_block(made.state, signed)
    assert ours == Oracle(made.state.rules.fork).on_block(made.state, signed)
    return ours is not None


@pytest.mark.parametrize("fork", FORKS[1:])
def test_blobs_up_to_the_limit(fork: Fork) -> None:
    made = plain(fork)
    block = made.plain_block()
    for count, taken in ((blobs_max(made.state), True), (blobs_max(made.state) + 1, False)):
        body = block.body.replace(blob_kzg_commitments=(b"\xc0" + bytes(47),) * count)
        assert verdicts(made, block.replace(body=body)) is taken


@forks
def test_slashed_proposer_proposes_nothing(fork: Fork) -> None:
    made = plain(fork)
    assert verdicts(made, made.plain_block())
    state = base(fork)
    state.change_validator(proposer_index(made.now), slashed=True)
    slashed = plain(fork, state)
    assert not verdicts(slashed, slashed.plain_block())


@forks
def test_exit_only_after_the_time_of_service(fork: Fork) -> None:
    for back, taken in ((1, True), (0, False)):
        state = base(fork)
        state.change_validator(5, activation_epoch=state.epoch - back)
        made = plain(fork, state)
        message = state.rules.types.VoluntaryExit(epoch=1, validator_index=5)
        by = sign([5], message.hash_tree_root(), exit_domain(state, 1))
        signed_exit = state.rules.types.SignedVoluntaryExit(message=message, signature=by)
        block = made.plain_block()
        body = block.body.replace(voluntary_exits=(signed_exit,))
        assert verdicts(made, block.replace(body=body)) is taken


@forks
def test_state_root_must_be_the_right_one(fork: Fork) -> None:
    made = plain(fork)
    block = made.plain_block()
    root = ours_on_block(made.state, made.signed(block))
    assert root is not None
    spec = spec_of(fork)
    for claimed, taken in ((root, True), (bytes(32), False)):
        signed = made.signed(block.replace(state_root=claimed))
        judge = to_oracle(made.state)
        theirs = ours = True
        try:
            spec.state_transition(judge, spec.SignedBeaconBlock.decode_bytes(signed.encode()))
        except AssertionError:
            theirs = False
        try:
            apply_signed_block(made.state.copy(), signed)
        except TransitionInvalid:
            ours = False
        assert ours is theirs is taken


@forks
def test_deposit_votes_of_a_majority_win(fork: Fork) -> None:
    state = base(fork)
    kind = state.rules.types.Eth1Data
    vote = kind(deposit_root=b"\1" * 32, deposit_count=64, block_hash=b"\2" * 32)
    for votes in (15, 16):
        state.eth1_data_votes = (vote,) * votes
        made = plain(fork, state.copy())
        block = made.plain_block()
        assert verdicts(made, block.replace(body=block.body.replace(eth1_data=vote)))
