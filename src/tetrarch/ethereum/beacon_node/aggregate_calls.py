"""Calls of aggregators: the best aggregate of a committee's votes, and what they signed of it."""

from typing import TypeAlias

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.beacon_node.block_calls import parse_fork
from tetrarch.ethereum.beacon_node.errors import BeaconNodeRefused
from tetrarch.ethereum.beacon_node.http import (
    GONE,
    SSZ_PREFERRED,
    VERSION_HEADER,
    Answer,
    Call,
    Exchange,
    reading,
)
from tetrarch.ethereum.beacon_node.posts import post_in_batches, post_newest
from tetrarch.ethereum.spec.aggregates import (
    Aggregate,
    SignedAggregateAndProof,
    aggregate_from_json,
    aggregate_from_ssz,
)
from tetrarch.ethereum.spec.values import Fork, member

Query: TypeAlias = tuple[tuple[str, str], ...]


async def aggregate_attestation(
    exchange: Exchange,
    fork: Fork,
    *,
    slot: int,
    data_root: bytes,
    committee_index: int,
    preset: str,
) -> Aggregate | None:
    """The best aggregate of a committee's votes with ``data_root``; None: the node saw no vote."""
    query = (("attestation_data_root", "0x" + data_root.hex()), ("slot", str(slot)))
    answer = await _find(exchange, fork, query, (("committee_index", str(committee_index)),))
    if answer is None:
        return None
    with reading(answer.path):
        found = _read(answer, fork, preset=preset)
        _check(found, slot=slot, data_root=data_root, committee_index=committee_index)
        return found


async def _find(exchange: Exchange, fork: Fork, query: Query, committee: Query) -> Answer | None:
    """The answer of version 2, or before Electra of 1; 404 may mean the endpoint or the votes."""
    try:
        return await _get(exchange, "/eth/v2/validator/aggregate_attestation", query + committee)
    except BeaconNodeRefused as refusal:
        newest = refusal.status
        if fork.at_least(Fork.ELECTRA) and newest == 404:
            return None
        if fork.at_least(Fork.ELECTRA) or newest not in GONE:
            raise
    try:
        return await _get(exchange, "/eth/v1/validator/aggregate_attestation", query)
    except BeaconNodeRefused as refusal:
        if refusal.status in GONE and 404 in (newest, refusal.status):
            return None  # whichever version the node has, it says that there is no vote
        raise


async def _get(exchange: Exchange, path: str, query: Query) -> Answer:
    call = Call(
        method="GET",
        path=path,
        timeout_s=exchange.timeouts.read_s,
        query=query,
        headers={"Accept": SSZ_PREFERRED},
    )
    return await exchange.send(call)


def _read(answer: Answer, fork: Fork, *, preset: str) -> Aggregate:
    if answer.is_ssz:
        _check_version(answer.headers.get(VERSION_HEADER), fork)
        return aggregate_from_ssz(fork, answer.body, preset=preset)
    value = answer.json()
    data = member(value, "data", what="answer")
    _check_version(value.get("version"), fork)
    return aggregate_from_json(fork, data, preset=preset)


def _check_version(text: object, fork: Fork) -> None:
    """Refuse the other shape. Some nodes name the fork that brought the shape, version 1 none."""
    if text is None:
        return
    named = parse_fork(text, what="version")
    if named.at_least(Fork.ELECTRA) != fork.at_least(Fork.ELECTRA):
        raise InputInvalid("read aggregate", field="version", expected=fork, got=named)


def _check(aggregate: Aggregate, *, slot: int, data_root: bytes, committee_index: int) -> None:
    """Refuse any aggregate but of exactly the asked committee's votes; raises InputInvalid."""
    data = aggregate.data
    if data.slot != slot:
        raise InputInvalid("read aggregate", field="data.slot", expected=slot, got=data.slot)
    if data.hash_tree_root() != data_root:
        raise InputInvalid("read aggregate", field="data", reason="not of the asked root")
    if aggregate.committee_index != committee_index:
        raise InputInvalid(
            "read aggregate",
            field="committee_index",
            expected=committee_index,
            got=aggregate.committee_index,
        )
    if aggregate.aggregation_bits.count() == 0:
        raise InputInvalid("read aggregate", field="aggregation_bits", reason="nobody voted")


async def submit_aggregates(
    exchange: Exchange, fork: Fork, aggregates: tuple[SignedAggregateAndProof, ...]
) -> None:
    """Publish signed aggregates of one fork."""

    async def post_batch(batch: tuple[SignedAggregateAndProof, ...]) -> None:
        value = [each.to_json() for each in batch]
        await post_newest(exchange, "validator/aggregate_and_proofs", value, fork=fork)

    await post_in_batches(aggregates, post_batch)
