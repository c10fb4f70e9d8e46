"""Background: polls every node's health, and listens to heads and reorgs so that caches stay right."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.beacon_node.ports import BeaconEvent
from tetrarch.ethereum.beacon_nodes.asking import ask_within, successes
from tetrarch.ethereum.beacon_nodes.chain_identity import ChainIdentity
from tetrarch.ethereum.beacon_nodes.epoch_answers import EpochAnswers
from tetrarch.ethereum.beacon_nodes.event_keys import Head, Reorg, parse_head, parse_reorg
from tetrarch.ethereum.beacon_nodes.health import Condition
from tetrarch.ethereum.beacon_nodes.member import Call
from tetrarch.ethereum.beacon_nodes.pool import Pool, now_s
from tetrarch.ethereum.beacon_nodes.ports import Observer
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.output import Output

_SYNCING = Call("syncing", lambda node: node.syncing(), timed=True)
DOUBTS_INTERVAL_S = 1.0  # whoever hears of them asks again once a slot at most
PROBE_PAUSE_S = 0.25  # between two probes of a node that answers again


async def poll_health(
    pool: Pool, identity: ChainIdentity, *, period_s: Callable[[], float]
) -> None:
    """Ask every node how far it is, until cancelled; a node that is down only when its time came."""
    next_poll_s = now_s()
    while True:
        due = now_s() >= next_poll_s
        members = [
            each
            for each in pool.members
            if each.health.may_probe(now_s()) or (due and each.condition is not Condition.DOWN)
        ]
        if due:
            next_poll_s = now_s() + period_s()
        replies = await ask_within(members, _SYNCING, limit_s=period_s())
        for member in members:
            if all(reply.member is not member for reply in replies):
                member.was_silent()
        for reply in successes(replies):
            reply.member.reported(reply.value)
        await identity.verify(limit_s=period_s())
        pool.electorate()  # notes whether fallbacks stand in
        await asyncio.sleep(max(_next_s(pool, next_poll_s) - now_s(), 0))


def _next_s(pool: Pool, next_poll_s: float) -> float:
    pause_s = now_s() + PROBE_PAUSE_S
    probes = [
        max(member.health.retry_at_s, pause_s)
        for member in pool.members
        if member.condition is Condition.DOWN
    ]
    return min([next_poll_s, *probes])


async def settle_doubts(answers: EpochAnswers, doubts: Output[int]) -> None:
    """Tell, until cancelled, of which epochs too few nodes said something: to ask again."""
    while True:
        await asyncio.sleep(DOUBTS_INTERVAL_S)
        for epoch in answers.take_doubtful():
            await doubts.emit(epoch)


def observe(
    observer: Observer, node: str, event: BeaconEvent, *, chain: ChainSpec, wall_s: float
) -> None:
    """Have a node's event counted; what cannot be read is left to who follows it."""
    try:
        if event.topic == "head":
            slot = parse_head(event).slot
            observer.head_told(node, slot, max(wall_s - chain.slot_start_s(slot), 0.0))
        elif event.topic == "chain_reorg":
            reorg = parse_reorg(event)
            observer.reorg_told(node, reorg.slot - reorg.ancestor_slot)
    except InputInvalid:
        return


async def follow_chain(
    pool: Pool,
    stream: Callable[[tuple[str, ...]], AsyncGenerator[BeaconEvent, None]],
    answers: EpochAnswers,
    *,
    heads: Output[Head],
    reorgs: Output[Reorg],
) -> None:
    """Tell ``answers``, then the others, of every reorg and head, until cancelled."""
    async with aclosing(stream(("chain_reorg", "head"))) as events:
        async for event in events:
            try:
                if event.topic == "head":
                    head = parse_head(event)
                    answers.head_seen(head)
                    await heads.emit(head)
                else:
                    reorg = parse_reorg(event)
                    answers.reorganized(reorg)
                    await reorgs.emit(reorg)
            except InputInvalid as error:
                pool.log.debug("beacon_node_event_refused", topic=event.topic, reason=str(error))
