"""Which attestation data to trust when beacon nodes differ. Pure.

Answers that cannot be right, whatever the chain looks like, are refused first (``flaw``). The
rest vote, each node once:

1. **Majority.** A (source, target) pair that more than half of the valid answers name, at least
   ``QUORUM_MIN`` where three nodes or more are configured, settles the branch. Within it, a head
   that more than half of the branch's answers name (again at least ``QUORUM_MIN`` there) settles
   the head.
2. **Without a majority for the branch**, the justified branch is sought. Attestation data alone says
   which justified checkpoint (source) a node builds on, and no more: neither parents nor weights
   are in it. Where the nodes' finality checkpoints are known too, they say which earlier source is
   on a node's own chain. A node *vouches* for a source by answering it, or by holding it as
   current or previous justified. The source with most vouchers names the branch, and the answers
   of its vouchers are on it: two honest nodes of which one is an epoch behind stand together
   against one on another fork. Among them the (source, target) pair with most answers wins.
3. **Without a majority for the head**, the head with most answers in the branch wins.

Every tie goes to the best score, then to the node that is configured first. It never goes to the
higher source epoch: a made-up one would keep honest votes from being signed afterwards.

The order of the answers never matters. Who is outvoted is named in the verdict.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from tetrarch.ethereum.beacon_node.ports import FinalityCheckpoints
from tetrarch.ethereum.spec.values import AttestationData, Checkpoint

K = TypeVar("K")

QUORUM_MIN = 2
QUORUM_MIN_FROM = 3  # configured nodes
_NO_ROOT = bytes(32)


class Flaw(StrEnum):
    """Why an answer cannot be right."""

    SLOT = "wrong_slot"
    INDEX = "wrong_index"
    HEAD = "no_head"
    TARGET = "wrong_target_epoch"
    SOURCE = "source_not_before_target"
    FUTURE = "future"


class Basis(StrEnum):
    """On what a verdict rests."""

    MAJORITY = "majority"  # branch and head
    BRANCH = "branch_majority"  # the branch; the head by most answers or score
    JUSTIFIED = "justified_branch"  # neither
    ALONE = "alone"  # one valid answer, where several nodes are configured


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What was asked, and when: ``now_slot`` is the latest slot that may have begun."""

    slot: int
    committee_index: int
    slots_per_epoch: int
    now_slot: int
    configured: int  # nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """One node's answer. ``node`` is its place in the configured order."""

    node: int
    data: AttestationData
    score: float
    finality: FinalityCheckpoints | None = None

    @property
    def branch(self) -> tuple[Checkpoint, Checkpoint]:
        """Source and target."""
        return self.data.source, self.data.target


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The data to use, and how the nodes stand to it; all in ascending order of nodes."""

    data: AttestationData
    basis: Basis
    supporters: tuple[int, ...]
    outvoted: tuple[int, ...]
    refused: tuple[tuple[int, Flaw], ...]


def flaw(question: Question, data: AttestationData) -> Flaw | None:
    """Why ``data`` cannot be what anybody should sign; None when it can.

    The source of a vote is an earlier epoch than its target, but for epoch 0: the justified
    checkpoint of a state is never of the state's own epoch.
    """
    epoch = question.slot // question.slots_per_epoch
    checks = (
        (data.slot != question.slot, Flaw.SLOT),
        (question.slot > question.now_slot, Flaw.FUTURE),
        (data.index not in (0, question.committee_index), Flaw.INDEX),
        (data.beacon_block_root == _NO_ROOT, Flaw.HEAD),
        (data.target.epoch != epoch, Flaw.TARGET),
        (data.source.epoch >= max(data.target.epoch, 1), Flaw.SOURCE),
    )
    return next((found for is_so, found in checks if is_so), None)


def quorum(voters: int, *, configured: int) -> int:
    """Equal votes that settle a question among ``voters``."""
    more_than_half = voters // 2 + 1
    return max(more_than_half, QUORUM_MIN) if configured >= QUORUM_MIN_FROM else more_than_half


def vote(question: Question, ballots: Iterable[Ballot]) -> Verdict | None:
    """Count ``ballots``, one a node; None when none is valid.

    The order of ``ballots`` does not matter.
    """
    ordered = sorted(ballots, key=lambda ballot: ballot.node)
    flaws = {ballot.node: flaw(question, ballot.data) for ballot in ordered}
    valid = [ballot for ballot in ordered if flaws[ballot.node] is None]
    if not valid:
        return None
    branch = _majority(valid, lambda ballot: ballot.branch, configured=question.configured)
    if branch is not None:
        head = _majority(branch, lambda ballot: ballot.data, configured=question.configured)
        basis = Basis.BRANCH if head is None else Basis.MAJORITY
        winners = head or _most(branch, lambda ballot: ballot.data)
    else:
        basis = Basis.JUSTIFIED
        same_votes = _most(_most_vouched(valid), lambda ballot: ballot.branch)
        winners = _most(same_votes, lambda ballot: ballot.data)
    if len(valid) == 1 and question.configured > 1:
        basis = Basis.ALONE
    supporters = tuple(ballot.node for ballot in winners)
    return Verdict(
        data=winners[0].data,
        basis=basis,
        supporters=supporters,
        outvoted=tuple(each.node for each in valid if each.node not in supporters),
        refused=tuple((node, reason) for node, reason in flaws.items() if reason is not None),
    )


def settled(question: Question, ballots: Iterable[Ballot], *, electorate: int) -> bool:
    """Whether no further answer of the ``electorate`` nodes asked could change the verdict."""
    verdict = vote(question, ballots)
    if verdict is None:
        return False
    return len(verdict.supporters) >= quorum(electorate, configured=question.configured)


def convincing(question: Question, ballots: Iterable[Ballot]) -> bool:
    """Whether the answers so far are enough once those who are late had their time."""
    verdict = vote(question, ballots)
    if verdict is None:
        return False
    lone = len(verdict.supporters) < QUORUM_MIN and question.configured >= QUORUM_MIN_FROM
    return not lone


def _groups(ballots: Sequence[Ballot], key: Callable[[Ballot], K]) -> list[list[Ballot]]:
    """Ballots of equal key together; groups and members in the order of nodes."""
    groups: dict[K, list[Ballot]] = {}
    for ballot in ballots:
        groups.setdefault(key(ballot), []).append(ballot)
    return list(groups.values())


def _best_score(group: Sequence[Ballot]) -> float:
    return max(ballot.score for ballot in group)


def _majority(
    ballots: Sequence[Ballot], key: Callable[[Ballot], K], *, configured: int
) -> list[Ballot] | None:
    needed = quorum(len(ballots), configured=configured)
    return next((group for group in _groups(ballots, key) if len(group) >= needed), None)


def _most(ballots: Sequence[Ballot], key: Callable[[Ballot], K]) -> list[Ballot]:
    groups = _groups(ballots, key)
    # max keeps the first of equals, and groups begin with their earliest node.
    return max(groups, key=lambda group: (len(group), _best_score(group)))


def _most_vouched(ballots: Sequence[Ballot]) -> list[Ballot]:
    """The ballots on the justified branch."""
    branches = [
        [ballot for ballot in ballots if _vouches(ballot, group[0].data.source)]
        for group in _groups(ballots, lambda ballot: ballot.data.source)
    ]
    return max(branches, key=lambda branch: (len(branch), _best_score(branch)))


def _vouches(ballot: Ballot, source: Checkpoint) -> bool:
    if ballot.data.source == source:
        return True
    known = ballot.finality
    return known is not None and source in (known.current_justified, known.previous_justified)
