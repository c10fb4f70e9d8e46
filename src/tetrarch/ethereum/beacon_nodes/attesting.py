"""Attestation data by vote: asks the nodes, waits as long as it pays, and lets ``voting`` decide.

The answer comes at once when no late one could change it. Else late nodes have ``vote_wait_ms``
after the first valid answer; and up to ``vote_limit_ms`` while three or more nodes are configured
and no two of them agree, so that a quick liar cannot win by being first.
"""

from collections.abc import Sequence
from dataclasses import replace

from tetrarch.clock import Clock
from tetrarch.ethereum.beacon_node.errors import BeaconNodeAnswerInvalid, BeaconNodeRefused
from tetrarch.ethereum.beacon_node.ports import BeaconNode
from tetrarch.ethereum.beacon_nodes.asking import ask_within, successes
from tetrarch.ethereum.beacon_nodes.member import Call, Member, Reply
from tetrarch.ethereum.beacon_nodes.pool import Gathering, Pool
from tetrarch.ethereum.beacon_nodes.voting import (
    QUORUM_MIN,
    Ballot,
    Basis,
    Question,
    Verdict,
    convincing,
    flaw,
    settled,
    vote,
)
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.values import AttestationData

WHAT = "attestation_data"


class AttestationVote:
    """One question to all nodes of a tier."""

    def __init__(
        self, pool: Pool, chain: ChainSpec, clock: Clock, *, slot: int, committee_index: int
    ) -> None:
        settings = pool.settings
        slot_s = chain.slot_duration_ms / 1000
        self._pool = pool
        self._wait_s = _or_share(settings.vote_wait_ms, slot_s / 24)
        self._limit_s = max(_or_share(settings.vote_limit_ms, slot_s / 8), self._wait_s)
        self._question = Question(
            slot=slot,
            committee_index=committee_index,
            slots_per_epoch=chain.slots_per_epoch,
            now_slot=chain.slot_at(clock.wall_s() + settings.clock_disparity_ms / 1000),
            configured=pool.configured(pool.electorate()),
        )

    async def hold(self) -> Verdict:
        """The data to attest to.

        Raises:
            BeaconNodeRefused: the slot is in the future.
            BeaconNodeUnreachable, BeaconNodeRefused, BeaconNodeAnswerInvalid: no valid answer.
        """
        slot = self._question.slot
        if slot > self._question.now_slot:
            raise BeaconNodeRefused(
                "ask attestation data", status=400, message="the slot has not begun", slot=slot
            )
        call = Call(WHAT, self._ask, timed=True)
        rules = Gathering(
            stop_at=self._stop_at,
            enough=self._is_enough,
            patience_s=self._limit_s,
            spare_wait_s=self._wait_s,
        )
        replies = await self._pool.gather(call, rules)
        self._meet([reply.member for reply in replies])
        verdict = self._count(replies)
        if verdict.basis is Basis.JUSTIFIED and len(replies) > 1:
            verdict = await self._count_again(replies)
        self._tell(verdict)
        return verdict

    async def _ask(self, node: BeaconNode) -> AttestationData:
        data = await node.attestation_data(self._question.slot, self._question.committee_index)
        reason = flaw(self._question, data)
        if reason is not None:
            self._pool.observer.outvoted(node.name, WHAT, reason.value)
            self._pool.log.warning(
                "beacon_node_answer_refused",
                beacon_node=node.name,
                request=WHAT,
                slot=self._question.slot,
                reason=reason.value,
            )
            raise BeaconNodeAnswerInvalid(
                "check attestation data", node=node.name, reason=reason.value
            )
        return data

    def _stop_at(
        self, replies: Sequence[Reply[AttestationData]], tier: Sequence[Member]
    ) -> float | None:
        self._meet(tier)
        ballots = _ballots(replies)
        if settled(self._question, ballots, electorate=len(tier)):
            return 0.0
        wait_s = self._wait_s if convincing(self._question, ballots) else self._limit_s
        return replies[0].arrived_s + wait_s

    def _is_enough(self, replies: Sequence[Reply[AttestationData]], tier: Sequence[Member]) -> bool:
        self._meet(tier)
        return self._count(replies).basis is Basis.MAJORITY

    def _meet(self, tier: Sequence[Member]) -> None:
        """The tier that is asked may be a later one."""
        self._question = replace(self._question, configured=self._pool.configured(tier))

    def _count(self, replies: Sequence[Reply[AttestationData]]) -> Verdict:
        verdict = vote(self._question, _ballots(replies))
        if verdict is None:  # flawed answers were errors already
            raise BeaconNodeAnswerInvalid("check attestation data", reason="no valid answer")
        return verdict

    async def _count_again(self, replies: Sequence[Reply[AttestationData]]) -> Verdict:
        """With the nodes' finality checkpoints: they tell a late node from one on a fork."""
        call = Call("finality_checkpoints", lambda node: node.finality_checkpoints())
        members = [reply.member for reply in replies]
        told = await ask_within(members, call, limit_s=self._wait_s)
        known = {reply.member.place: reply.value for reply in successes(told)}
        ballots = [replace(ballot, finality=known.get(ballot.node)) for ballot in _ballots(replies)]
        return vote(self._question, ballots) or self._count(replies)

    def _tell(self, verdict: Verdict) -> None:
        names = {member.place: member.name for member in self._pool.members}
        supporters = tuple(names[place] for place in verdict.supporters)
        outvoted = [names[place] for place in verdict.outvoted]
        self._pool.observer.voted(verdict.basis.value, supporters)
        for name in outvoted:
            self._pool.observer.outvoted(name, WHAT, "outvoted")
        self._judge(verdict)
        fields = {
            "request": WHAT,
            "slot": self._question.slot,
            "basis": verdict.basis.value,
            "taken_from": list(supporters),
            "others": outvoted,
        }
        if outvoted:
            self._pool.log.warning("beacon_nodes_disagreed", **fields)
        else:
            self._pool.log.debug("beacon_nodes_agreed", **fields)

    def _judge(self, verdict: Verdict) -> None:
        """Who stands against a majority was wrong or late; others show in time on chain."""
        if verdict.basis is not Basis.MAJORITY or len(verdict.supporters) < QUORUM_MIN:
            return
        for place in verdict.outvoted:
            self._pool.members[place].judged(0.0)
        for place in verdict.supporters:
            self._pool.members[place].judged(1.0)


def _ballots(replies: Sequence[Reply[AttestationData]]) -> list[Ballot]:
    return [
        Ballot(node=each.member.place, data=each.value, score=each.member.score) for each in replies
    ]


def _or_share(set_ms: float | None, share_s: float) -> float:
    return share_s if set_ms is None else set_ms / 1000
