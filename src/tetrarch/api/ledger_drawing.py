"""What the page of a ledger draws: the newest blocks of all branches, reorganisations, and the node's slots of two epochs."""

from collections import deque
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

from tetrarch.api.conduct_views import unix_rfc3339
from tetrarch.api.ledger_views import LedgerView, header_view
from tetrarch.leadership.logs import Entry
from tetrarch.ledger.blocks import decode_block
from tetrarch.ledger.headers import BlockId, Header
from tetrarch.ledger.keyring import TurnKeys
from tetrarch.ledger.tree import Switch
from tetrarch.network.overlay.profile import BLOCKS
from tetrarch.network.overlay.spreading import ItemId
from tetrarch.observability.monitoring import View
from tetrarch.observability.pages import Page, self_contained

PAGE_PATH: Final = "ledger/"
MAIN_MAX: Final = 80  # blocks of the branch that counts
ASIDE_MAX: Final = 80  # of other branches
SWITCHES_MAX: Final = 20
SLOTS_MAX: Final = 2_000  # of the node's own
HEADERS_KEPT: Final = 512


class LedgerDrawing:
    """Of one running node; it remembers reorganisations since its start."""

    def __init__(self, view: LedgerView) -> None:
        self._view = view
        self._chain = view.chain
        self._switches: deque[dict[str, Any]] = deque(maxlen=SWITCHES_MAX)
        self._headers: dict[BlockId, Header] = {}  # of final blocks, which the tree has no more
        view.chain.news.on_switch(self._switched)

    def views(self) -> dict[str, View]:
        """By the path at which the monitoring listener serves it."""
        return {"ledger/chain": self._drawn}

    def pages(self) -> dict[str, Page]:
        """The same, drawn."""
        html = files("tetrarch.api").joinpath("ledger_page.html").read_bytes()
        return {PAGE_PATH: self_contained(html)}

    async def _drawn(self, _query: Mapping[str, str]) -> dict[str, Any]:
        tree = self._chain.tree
        settings, slot_now = tree.tip.settings, self._view.slot_now
        era, frame = settings.era, settings.frame
        epoch = 0 if slot_now is None else era.date(slot_now).epoch
        own = self._own_makers()
        main = self._chain.main.last(MAIN_MAX)
        headers = {block: await self._header(block) for block in main}
        aside = sorted(
            (place for place in tree.places() if place.id not in headers),
            key=lambda place: place.slot,
        )[-ASIDE_MAX:]
        headers |= {place.id: place.header for place in aside}
        final, justified = tree.final.header.chain_length, self._chain.opinion.justified
        blocks = [
            {
                **header_view(block, header),
                "slot": era.slot(header.date),
                "own": header.maker in own,
                "final": block in main and header.chain_length <= final,
                "justified": block in main and header.chain_length <= justified.height,
                "counts": block in main,
            }
            for block, header in headers.items()
            if header is not None
        ]
        logs = [*self._view.leadership.logs]
        slots = [_slot(each) for each in logs if epoch <= each.date.epoch <= epoch + 1]
        return {
            "chain": tree.tip.block0.hex(),
            "mode": settings.parameters.mode.value,
            "slot_now": slot_now,
            "date_now": None if slot_now is None else str(era.date(slot_now)),
            "slot_duration_s": frame.slot_duration_s,
            "epoch": epoch,
            "slots_per_epoch": era.slots_per_epoch,
            "tip": {"block": tree.tip.id.hex(), "height": tree.tip.header.chain_length},
            "justified": {"height": justified.height},
            "final": {"block": tree.final.id.hex(), "height": final},
            "mempool": len(self._chain.mempool),
            "blocks": blocks,
            "switches": list(self._switches),
            "slots": slots[:SLOTS_MAX],
            "slots_left_out": max(0, len(slots) - SLOTS_MAX),
            "schedules": [
                {"epoch": each.epoch, "leader": each.leader, "known": each.slots_known}
                for each in self._view.leadership.progress()
            ],
        }

    async def _header(self, block: BlockId) -> Header | None:
        place = self._chain.tree.get(block)
        if place is not None:
            return place.header
        if block not in self._headers:
            data = await self._chain.content(BLOCKS, ItemId(block))
            if data is None:
                return None
            self._headers[block] = decode_block(data).header
            while len(self._headers) > HEADERS_KEPT:
                del self._headers[next(iter(self._headers))]
        return self._headers[block]

    def _own_makers(self) -> set[bytes]:
        keys = (leader.keys for leader in self._view.leadership.leaders)
        return {each.leader if isinstance(each, TurnKeys) else each.pool for each in keys}

    def _switched(self, switch: Switch) -> None:
        if switch.undone:
            tip = self._chain.tree.tip
            told = {
                "at": unix_rfc3339(self._view.clock.wall_s()),
                "undone": len(switch.undone),
                "done": len(switch.done),
                "from": switch.undone[-1].id.hex(),
                "to": tip.id.hex(),
                "height": tip.header.chain_length,
            }
            self._switches.append(told)


def _slot(entry: Entry) -> dict[str, Any]:
    return {
        "leader": entry.leader,
        "epoch": entry.date.epoch,
        "slot": entry.date.slot,
        "at": unix_rfc3339(entry.scheduled_s),
        "status": entry.status.value,
        "late_s": None if entry.late_s is None else round(entry.late_s, 4),
        "block": None if entry.made is None else entry.made.block.hex(),
        "reason": entry.reason,
    }
