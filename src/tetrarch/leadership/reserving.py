"""Reservations: other voters' are granted, and where the own keys may have copies, what they may sign is asked for ahead.

Spans are short, and asked for again when half of one is over: a copy that takes over waits for the end of what the other
holds, and no longer. See ``ledger.reservations``.
"""

import asyncio
from typing import Final, TypeVar

from tetrarch.errors import TetrarchError
from tetrarch.leadership.ports import LeadershipPorts
from tetrarch.ledger.chain import LedgerChain
from tetrarch.ledger.lives import SpanTaken
from tetrarch.ledger.reservations import (
    Kind,
    Request,
    Span,
    date_number,
    encode_receipt,
    encode_request,
)
from tetrarch.observability.logs import error_fields

SLOTS: Final = 8
HEIGHTS: Final = 8
LOOK_SLOTS: Final = 0.5
GIVE_WAY_SLOTS: Final = 4.0
WAITING_MAX: Final = 1024
_T = TypeVar("_T")


class Reserving:
    """``run`` it."""

    def __init__(self, ports: LeadershipPorts, chain: LedgerChain) -> None:
        self._ports = ports
        self._chain = chain
        self._asked: asyncio.Queue[Request] = asyncio.Queue(WAITING_MAX)
        self._granted: asyncio.Queue[Span] = asyncio.Queue(WAITING_MAX)
        self._until = dict.fromkeys(Kind, 0)  # of what is held
        self._life = b""
        self._rival_s = 0.0  # when a copy that goes before us asked last, by the loop's clock
        chain.news.on_span_asked(self._hear)
        chain.news.on_span_granted(lambda span: _put(self._granted, span))

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._grant_others(), name="spans-granted")
            if self._ports.keys.is_shared:
                tasks.create_task(self._ask_ahead(), name="spans-asked")
                tasks.create_task(self._hold(), name="spans-held")

    def held_until(self, kind: Kind) -> int:
        """Where the latest span ends that is held; 0: there is none."""
        return self._until[kind]

    def _hear(self, request: Request) -> None:
        span = request.span
        if span.holder == self._ports.keys.voter and self._life and span.life < self._life:
            self._rival_s = asyncio.get_running_loop().time()
        _put(self._asked, request)

    async def _grant_others(self) -> None:
        while True:
            request = await self._asked.get()
            voter = self._ports.keys.voter
            if not any(voter in each.weights for each in self._chain.opinion.voters):
                continue
            try:
                receipt = await self._ports.keys.grant(request)
            except SpanTaken as error:
                fields = {"holder": request.span.holder.hex(), **error_fields(error)}
                self._ports.log.info("span_not_granted", **fields)
                continue
            except TetrarchError as error:
                self._ports.log.warning("grant_failed", **error_fields(error))
                continue
            await self._ports.network.propose_fragment(encode_receipt(receipt))

    async def _ask_ahead(self) -> None:
        while True:
            frame = self._chain.tree.tip.settings.frame
            for kind in Kind:
                await self._ask(kind)
            await asyncio.sleep(LOOK_SLOTS * frame.slot_duration_s)

    async def _ask(self, kind: Kind) -> None:
        """From the next one on: the present one may be another life's still."""
        first, half, until = self._wanted(kind)
        if self._until[kind] > half or (self._until[kind] <= first and self._gives_way()):
            return
        try:
            request = await self._ports.keys.ask_span(kind, first, until)
        except TetrarchError as error:
            self._ports.log.warning("span_not_asked", **error_fields(error))
            return
        self._life = request.span.life
        await self._ports.network.propose_fragment(encode_request(request))

    def _gives_way(self) -> bool:
        """Copies that each have some voters' receipts would keep them from each other for ever: one of them waits."""
        slot_s = self._chain.tree.tip.settings.frame.slot_duration_s
        heard = asyncio.get_running_loop().time() - self._rival_s
        return self._rival_s > 0 and heard < GIVE_WAY_SLOTS * slot_s

    def _wanted(self, kind: Kind) -> tuple[int, int, int]:
        """The next one, half of a span later, and its end."""
        tip = self._chain.tree.tip
        if kind is Kind.HEIGHTS:
            first = tip.header.chain_length + 1
            return first, first + HEIGHTS // 2, first + HEIGHTS
        settings = tip.settings
        slot = settings.frame.slot_at(self._ports.clock.wall_s())
        begin = 0 if slot is None else slot + 1
        first, half, until = (
            date_number(settings.era.date(begin + later)) for later in (0, SLOTS // 2, SLOTS)
        )
        return first, half, until

    async def _hold(self) -> None:
        while True:
            span = await self._granted.get()
            if span.holder != self._ports.keys.voter or span.until <= self._until[span.kind]:
                continue
            receipts, voters = self._chain.tidings.desk.receipts(span), self._chain.opinion.voters
            granters = {each.granter for each in receipts}
            if any(each.weight(granters) < each.needed for each in voters):
                continue
            try:
                await self._ports.keys.hold(receipts, voters)
            except TetrarchError as error:  # another copy's span
                self._ports.log.info("span_not_held", **error_fields(error))
                continue
            self._until[span.kind] = span.until


def _put(queue: "asyncio.Queue[_T]", item: _T) -> None:
    """Who asks again loses nothing."""
    if not queue.full():
        queue.put_nowait(item)
