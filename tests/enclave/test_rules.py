"""The slashing rules against cases, against an oracle, and against rules that are wrong."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tetrarch.enclave import rules
from tetrarch.enclave.rules import Block, Reason, Vote, VoteBounds

A, B = b"a" * 32, b"b" * 32


@dataclass(frozen=True)
class Pruned:
    """A record that only a floor remembers."""

    what: Block | Vote


@dataclass
class ListHistory:
    """The queries of the rules over plain lists: the same meaning as the database's, slowly."""

    approved: tuple[Any, ...] = ()

    def known(self, kind):
        return [record for record in self.approved if isinstance(record, kind)]

    def pruned(self, kind):
        return [record.what for record in self.known(Pruned) if isinstance(record.what, kind)]

    def floor_slot(self):
        pruned = [block.slot for block in self.pruned(Block)]
        return max(pruned) if pruned else min((b.slot for b in self.known(Block)), default=None)

    def at_slot(self, slot):
        return next((block for block in self.known(Block) if block.slot == slot), None)

    def bounds(self):
        pruned, every = self.pruned(Vote), self.known(Vote) + self.pruned(Vote)
        if not every:
            return None
        floor, floors = (max, pruned) if pruned else (min, every)
        return VoteBounds(
            floor_source=floor(vote.source for vote in floors),
            floor_target=floor(vote.target for vote in floors),
            max_source=max(vote.source for vote in every),
            max_target=max(vote.target for vote in every),
        )

    def at_target(self, target):
        return next((vote for vote in self.known(Vote) if vote.target == target), None)

    def reaching_beyond(self, epoch):
        return tuple(vote for vote in self.known(Vote) if vote.target > epoch)


def v(source, target, root=A):
    return Vote(source=source, target=target, signing_root=root)


def b(slot, root=A):
    return Block(slot=slot, signing_root=root)


SPREAD = (v(1, 2), v(5, 6), v(7, 10))
NEW, REPEAT = "new", "repeat"
CASES: tuple[tuple[tuple[Any, ...], Any, Any], ...] = (
    ((), v(0, 0), NEW),
    ((), v(3, 2), Reason.SOURCE_AFTER_TARGET),
    ((), v(1, 2**63), Reason.TOO_FAR_AHEAD),
    ((v(1, 2),), v(1, 2), REPEAT),
    ((v(1, 2),), v(1, 2, B), Reason.DOUBLE_VOTE),
    ((v(1, 2),), v(0, 2), Reason.DOUBLE_VOTE),
    ((v(1, 2, None),), v(1, 2, A), Reason.DOUBLE_VOTE),
    ((v(1, 2, None),), v(1, 2, None), Reason.DOUBLE_VOTE),
    ((v(1, 2),), v(2, 3), NEW),
    ((v(1, 2),), v(1, 3), NEW),
    ((v(2, 3),), v(1, 4), Reason.SOURCE_BELOW_FLOOR),
    ((v(2, 6),), v(2, 5), Reason.TARGET_BELOW_FLOOR),
    (SPREAD, v(1, 3), NEW),
    (SPREAD, v(1, 5), NEW),
    (SPREAD, v(4, 7), Reason.SURROUNDING_VOTE),
    (SPREAD, v(6, 11), Reason.SURROUNDING_VOTE),
    (SPREAD, v(5, 7), NEW),
    (SPREAD, v(8, 9), Reason.SURROUNDED_VOTE),
    (SPREAD, v(7, 9), NEW),
    (SPREAD, v(7, 11), NEW),
    (SPREAD, v(10, 11), NEW),
    ((Pruned(v(2, 6)), v(6, 7)), v(2, 6), Reason.TARGET_BELOW_FLOOR),
    ((Pruned(v(2, 6)), v(6, 8)), v(6, 7), NEW),
    ((), b(0), NEW),
    ((), b(2**63), Reason.TOO_FAR_AHEAD),
    ((b(4),), b(4), REPEAT),
    ((b(4),), b(4, B), Reason.DOUBLE_BLOCK),
    ((b(4, None),), b(4, None), Reason.DOUBLE_BLOCK),
    ((b(4),), b(3), Reason.BLOCK_BELOW_FLOOR),
    ((b(4), b(9)), b(5), NEW),
    ((b(4),), b(5), NEW),
    ((Pruned(b(4)), b(8)), b(4), Reason.BLOCK_BELOW_FLOOR),
    ((Pruned(b(4)), b(8)), b(5), NEW),
)


def verdict_of(module, approved, wish):
    history = ListHistory(approved)
    judge = module.judge_vote if isinstance(wish, Vote) else module.judge_block
    verdict = judge(wish, history)
    match type(verdict).__name__:
        case "Refused":
            return verdict.reason
        case name:
            return name.lower()


def failures(module) -> list[Any]:
    """Every case that ``module`` gets wrong: the compact suite that mutants must not survive."""
    wrong: list[Any] = [
        (approved, wish)
        for approved, wish, expected in CASES
        if verdict_of(module, approved, wish) != expected
    ]
    wrong += [
        ("ahead", epoch)
        for epoch, expected in ((6, False), (7, False), (8, True), (2**64 - 1, True))
        if module.too_far_ahead(epoch, now_epoch=6) is not expected
    ]
    return wrong


def test_every_case() -> None:
    assert failures(rules) == []


def slashable(one, other) -> bool:
    """The consensus spec's words: is_slashable_attestation_data, and two blocks of one slot."""
    if one == other:
        return False
    if isinstance(one, Block) and isinstance(other, Block):
        return one.slot == other.slot
    if isinstance(one, Vote) and isinstance(other, Vote):
        double = one.target == other.target
        surround = one.source < other.source and other.target < one.target
        surrounded = other.source < one.source and one.target < other.target
        return double or surround or surrounded
    return False


epochs = st.integers(0, 9)
wishes = st.one_of(
    st.builds(v, epochs, epochs, st.sampled_from([A, B])),
    st.builds(b, epochs, st.sampled_from([A, B])),
)


@settings(deadline=None)
@given(st.lists(wishes, max_size=25))
def test_no_order_of_wishes_gets_two_slashable_ones_signed(sequence) -> None:
    approved: tuple[Any, ...] = ()
    for wish in sequence:
        answer = verdict_of(rules, approved, wish)
        if answer == NEW:
            approved = (*approved, wish)
        elif answer == REPEAT:
            assert wish in approved
    assert not any(slashable(x, y) for x, y in itertools.combinations(approved, 2))
    assert all(verdict_of(rules, approved, wish) == REPEAT for wish in approved)


@settings(deadline=None)
@given(st.lists(wishes, max_size=25), wishes)
def test_nothing_is_denied_but_for_a_clash_or_a_floor(sequence, last) -> None:
    approved: tuple[Any, ...] = ()
    for wish in sequence:
        if verdict_of(rules, approved, wish) == NEW:
            approved = (*approved, wish)
    answer = verdict_of(rules, approved, last)
    if answer in {NEW, REPEAT} or answer is Reason.SOURCE_AFTER_TARGET:
        return
    history = ListHistory(approved)
    if isinstance(last, Block):
        below = last.slot <= (history.floor_slot() or 0)
    else:
        bounds = history.bounds()
        below = last.source < bounds.floor_source or last.target <= bounds.floor_target
    assert below or any(slashable(last, other) for other in approved)


MUTANTS = (
    ("wish.slot <= floor", "wish.slot < floor"),
    ("floor is not None and wish.slot <= floor", "False"),
    ("_repeat_or(wish.signing_root, known.signing_root, Reason.DOUBLE_BLOCK)", "Repeat()"),
    ("wish.source < bounds.floor_source", "wish.source <= bounds.floor_source"),
    ("wish.source < bounds.floor_source", "False"),
    ("wish.target <= bounds.floor_target", "wish.target < bounds.floor_target"),
    ("wish.target <= bounds.floor_target", "False"),
    (">= bounds.max_source and wish", ">= bounds.max_source or wish"),
    ("wish.target > bounds.max_target", "True"),
    ("wish.source < other.source and", "wish.source <= other.source and"),
    ("other.target < wish.target", "other.target > wish.target"),
    ("other.source < wish.source and", "other.source <= wish.source and"),
    ("wish.target < other.target", "False"),
    ("reaching_beyond(wish.source)", "reaching_beyond(wish.target)"),
    ("wished is not None and wished == known", "wished == known"),
    ("wished is not None and wished == known", "wished is not None"),
    ("if known.source == wish.source else None", "if True else None"),
    ("wish.source > wish.target", "wish.source >= wish.target"),
    ("wish.source > wish.target", "False"),
    ("epoch > now_epoch + EPOCHS_AHEAD_MAX", "epoch >= now_epoch + EPOCHS_AHEAD_MAX"),
    ("epoch > now_epoch + EPOCHS_AHEAD_MAX", "epoch > now_epoch + 2"),
    ("wish.target > TIME_MAX", "False"),
    ("wish.slot > TIME_MAX", "False"),
)


@pytest.mark.parametrize(("right", "wrong"), MUTANTS)
def test_wrong_rules_are_noticed(right: str, wrong: str) -> None:
    source = Path(rules.__file__).read_text()
    assert source.count(right) == 1, "the mutant must fit the source"
    mutant = ModuleType("mutant")
    exec(compile(source.replace(right, wrong), "mutant", "exec"), mutant.__dict__)
    assert failures(mutant), "this wrong rule survives the suite"
