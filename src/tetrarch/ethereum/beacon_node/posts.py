"""What is posted as JSON: long lists in batches, and by the newest endpoint that the node has."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tetrarch.ethereum.beacon_node.errors import BeaconNodeRefused
from tetrarch.ethereum.beacon_node.http import (
    GONE,
    JSON,
    VERSION_HEADER,
    Answer,
    Call,
    Exchange,
    encode_json,
)
from tetrarch.ethereum.spec.values import Fork

SUBMISSIONS_PER_POST = 1024
Item = TypeVar("Item")


async def post(
    exchange: Exchange, path: str, value: object, *, headers: dict[str, str] | None = None
) -> Answer:
    """Post ``value``. If it is a list, a refusal tells which items it is about."""
    call = Call(
        method="POST",
        path=path,
        timeout_s=exchange.timeouts.submit_s,
        headers={"Content-Type": JSON, **(headers or {})},
        body=encode_json(value),
        items=len(value) if isinstance(value, list) else 0,
    )
    return await exchange.send(call)


async def post_newest(exchange: Exchange, name: str, value: object, *, fork: Fork) -> None:
    """Post to version 2 of endpoint ``name``; on nodes without it, before Electra, to version 1."""
    try:
        await post(exchange, f"/eth/v2/{name}", value, headers={VERSION_HEADER: fork.value})
    except BeaconNodeRefused as refusal:
        if fork.at_least(Fork.ELECTRA) or refusal.status not in GONE:
            raise
        await post(exchange, f"/eth/v1/{name}", value)


async def post_in_batches(
    items: tuple[Item, ...], post_batch: Callable[[tuple[Item, ...]], Awaitable[None]]
) -> None:
    """Hand ``items`` to ``post_batch``, ``SUBMISSIONS_PER_POST`` at a time.

    A refusal of single items does not keep the later batches back: only then does it hold for
    the whole submission that all items but the failed ones were taken.

    Raises:
        BeaconNodeRefused: of single items: the first refusal, with the places in ``items`` of
            all that failed, after all batches; any other: at once, with none.
    """
    first: BeaconNodeRefused | None = None
    already_known = True
    failed: list[int] = []
    for start in range(0, len(items), SUBMISSIONS_PER_POST):
        try:
            await post_batch(items[start : start + SUBMISSIONS_PER_POST])
        except BeaconNodeRefused as refusal:
            if not refusal.failed_indices:
                raise
            first = first or refusal
            already_known = already_known and refusal.already_known
            failed += [start + index for index in refusal.failed_indices]
    if first is not None:
        raise BeaconNodeRefused(
            first.action,
            status=first.status,
            message=first.message,
            failed_indices=tuple(failed),
            already_known=already_known,
            path=first.fields["path"],
        )
