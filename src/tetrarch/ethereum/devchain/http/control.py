"""Our own endpoints under /tetrarch/devchain: the report, and the faults.

``answer_faults`` is the middleware that makes the API fail on purpose; it spares these two.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields, replace
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from tetrarch.errors import ConfigInvalid, InputInvalid
from tetrarch.ethereum.devchain.config import Faults
from tetrarch.ethereum.devchain.http.answers import (
    FACE,
    Face,
    error_answer,
    json_answer,
    query_number,
    read_json,
)

CONTROL = "/tetrarch/"


async def report(face: Face, request: web.Request) -> web.Response:
    """GET /tetrarch/devchain/report?from_slot=: duties, slashable messages, head, finality."""
    chain = face.chain
    elapsed_ms = chain.since_genesis_ms(face.clock.wall_s())
    from_slot = query_number(request, "from_slot", 0)
    return json_answer(
        {
            "duties": chain.reports.to_json(elapsed_ms, from_slot=from_slot),
            "slashable": [finding.to_json() for finding in chain.watch.findings],
            "slot": chain.slot,
            "head_slot": chain.head.slot,
            "head_root": "0x" + chain.head.root.hex(),
            "justified_epoch": chain.justified[0],
            "finalized_epoch": chain.finalized[0],
        }
    )


async def faults(face: Face, _request: web.Request) -> web.Response:
    """GET /tetrarch/devchain/faults."""
    return json_answer(asdict(face.chain.faults))


async def set_faults(face: Face, request: web.Request) -> web.Response:
    """POST /tetrarch/devchain/faults: what is left out stays as it is."""
    wish = await read_json(request)
    face.chain.faults = changed_faults(face.chain.faults, wish)
    return json_answer(asdict(face.chain.faults))


def changed_faults(known: Faults, wish: object) -> Faults:
    """``known`` with the members of the JSON object ``wish``; raises InputInvalid."""
    if not isinstance(wish, dict):
        raise InputInvalid("set faults", reason="expected an object")
    kinds: dict[str, Any] = {each.name: type(getattr(known, each.name)) for each in fields(Faults)}
    for name, value in wish.items():
        kind = kinds.get(name)
        number = kind is float and isinstance(value, int) and not isinstance(value, bool)
        if kind is None or not (type(value) is kind or number):
            raise InputInvalid("set faults", field=str(name)[:32], known=", ".join(kinds))
    try:
        return replace(known, **wish)
    except ConfigInvalid as error:
        raise InputInvalid("set faults", **error.fields) from None


class FaultyShare:
    """Picks a share of the requests evenly: deterministic, so that tests can rely on it."""

    def __init__(self) -> None:
        self._due = 0.0

    def strikes(self, rate: float) -> bool:
        """Whether the next request is to fail."""
        self._due += rate
        if self._due < 1.0:
            return False
        self._due -= 1.0
        return True


NextHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def faults_middleware(share: FaultyShare) -> Middleware:
    """A middleware that makes the beacon API fail as the chain's faults say."""

    @web.middleware
    async def answer_faults(request: web.Request, handler: NextHandler) -> web.StreamResponse:
        if request.path.startswith(CONTROL):
            return await handler(request)
        switched = request.app[FACE].chain.faults
        if switched.down:
            if request.transport is not None:
                request.transport.abort()
            return error_answer(503, "down by request")
        if switched.slow_ms:
            await asyncio.sleep(switched.slow_ms / 1000)
        if share.strikes(switched.error_rate):
            return error_answer(500, "failed by request")
        return await handler(request)

    return answer_faults
