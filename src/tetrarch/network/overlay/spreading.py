"""How an item reaches every subscriber: along the ring, by shortcuts, and by who still asks. Pure.

A node that has something new gives it on: what came from before it on the ring goes to the next one
after it, and the other way round; what came across goes both ways; and in each case to a few others at
random. The ring alone would reach everybody, in time; the shortcuts make that time short.

Small items are sent, larger ones announced and asked for by whoever lacks them. Nothing goes to a peer
that has it as far as we know: it sent or announced it, or we did. Once a second the ids of late are told
to some others, so that what was lost on the way, with whoever carried it, is asked for.

    publish, received, announced, tick  ->  effects: Send, Announce, Ask

Source: as ``layers.rings``, section 4.4; asking for what others announce as in Leitao, Pereira and
Rodrigues, "Epidemic Broadcast Trees", 2007.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NewType, TypeAlias

from tetrarch.network.overlay.drawing import Drawing
from tetrarch.network.overlay.layers.rings import Neighbours
from tetrarch.network.overlay.profile import NodeId, Topic

ItemId = NewType("ItemId", bytes)  # 32 bytes
REMEMBERED_MAX = 1 << 15
ASKED_MAX = 1024
OWED_MAX = 4096
OWED_OF_PEER_MAX = 256  # who announces more than it sends leaves room for others
ANNOUNCERS_MAX = 8  # of one item that is not here yet


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadRules:
    """Sizes in bytes of payloads; times in seconds."""

    sent_max_bytes: int = 1024  # anything larger is announced
    shortcuts_of_sent: int = 1
    shortcuts_of_announced: int = 3
    late_for_s: float = 5.0  # an item's id is told again for so long
    late_to: int = 3
    tell_late_every_s: float = 1.0
    asked_for_s: float = 0.5  # then somebody else is asked, too
    withheld_after_s: float = 30.0  # what did not come by then was not to be had; links may be slow


@dataclass(frozen=True, slots=True)
class Send:
    """Send the whole item."""

    peer: NodeId
    topic: Topic
    item: ItemId


@dataclass(frozen=True, slots=True)
class Announce:
    """Say that the items are here."""

    peer: NodeId
    topic: Topic
    items: tuple[ItemId, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask for an item that ``peer`` announced."""

    peer: NodeId
    topic: Topic
    item: ItemId


@dataclass(frozen=True, slots=True)
class Withheld:
    """``peer`` announced an item, was asked for it, and did not send it."""

    peer: NodeId
    item: ItemId


Effect: TypeAlias = Send | Announce | Ask | Withheld


@dataclass(slots=True)
class _Item:
    topic: Topic
    size_bytes: int
    holders: set[NodeId] = field(default_factory=set)


@dataclass(slots=True)
class _Asked:
    topic: Topic
    peer: NodeId
    until_s: float
    others: deque[NodeId] = field(default_factory=lambda: deque(maxlen=ANNOUNCERS_MAX))


class Spreading:
    """One node's part. ``neighbours`` and ``links`` say whom it may use now, linked ones only."""

    def __init__(
        self,
        rules: SpreadRules,
        drawing: Drawing,
        *,
        neighbours: Callable[[Topic], Neighbours],
        links: Callable[[Topic], Iterable[NodeId]],
    ) -> None:
        self._rules = rules
        self._drawing = drawing
        self._neighbours = neighbours
        self._links = links
        self._items: OrderedDict[ItemId, _Item] = OrderedDict()
        self._asked: OrderedDict[ItemId, _Asked] = OrderedDict()
        self._owed: OrderedDict[tuple[NodeId, ItemId], float] = OrderedDict()  # until when
        self._owing: dict[ItemId, set[NodeId]] = {}  # the same by item
        self._owed_by: Counter[NodeId] = Counter()  # how many
        self._late: deque[tuple[float, ItemId]] = deque()
        self._tell_s = 0.0

    def has(self, item: ItemId) -> bool:
        """Whether it was published or received."""
        return item in self._items

    @property
    def busy(self) -> bool:
        """Whether ``tick`` has anything to do."""
        return bool(self._asked or self._late or self._owed)

    def publish(self, topic: Topic, item: ItemId, size_bytes: int, *, now_s: float) -> list[Effect]:
        """Give something of our own to the others."""
        return self._give_on(topic, item, size_bytes, source=None, now_s=now_s)

    def received(
        self, peer: NodeId, topic: Topic, item: ItemId, size_bytes: int, *, now_s: float
    ) -> list[Effect]:
        """``peer`` sent an item, and it is valid: give it on, if it is new."""
        self._settle(peer, item)
        known = self._items.get(item)
        if known is not None:
            known.holders.add(peer)
            return []
        return self._give_on(topic, item, size_bytes, source=peer, now_s=now_s)

    def refused(self, peer: NodeId, item: ItemId) -> None:
        """What ``peer`` sent was not valid: whoever else announced it may be asked again."""
        self._asked.pop(item, None)
        self._settle(peer, item)

    def left(self, peer: NodeId) -> None:
        """Its link is gone: it owes nothing, and what it was asked for others are asked for soon."""
        for item in [item for owing, item in self._owed if owing == peer]:
            self._settle(peer, item)
        for asked in self._asked.values():
            if asked.peer == peer:
                asked.until_s = 0.0

    def announced(
        self, peer: NodeId, topic: Topic, items: Iterable[ItemId], *, now_s: float
    ) -> list[Effect]:
        """``peer`` says that it has ``items``: ask for those that are not here."""
        effects: list[Effect] = []
        for item in items:
            known = self._items.get(item)
            if known is not None:
                known.holders.add(peer)
                continue
            asked = self._asked.get(item)
            if asked is not None:
                if peer != asked.peer and peer not in asked.others:
                    asked.others.append(peer)
            elif len(self._asked) < ASKED_MAX and self._owed_by[peer] < OWED_OF_PEER_MAX:
                self._asked[item] = _Asked(topic, peer, now_s + self._rules.asked_for_s)
                effects.append(self._ask(peer, topic, item, now_s))
        return effects

    def tick(self, *, now_s: float) -> list[Effect]:
        """Ask others for what did not come, and tell what is new of late. Call it some times a second."""
        effects = self._ask_others(now_s)
        while self._owed and next(iter(self._owed.values())) <= now_s:
            peer, item = next(iter(self._owed))
            self._settle(peer, item)
            effects.append(Withheld(peer, item))
        if now_s >= self._tell_s:
            self._tell_s = now_s + self._rules.tell_late_every_s
            effects += self._tell_late(now_s)
        return effects

    def _give_on(
        self, topic: Topic, item: ItemId, size_bytes: int, *, source: NodeId | None, now_s: float
    ) -> list[Effect]:
        asked = self._asked.pop(item, None)
        known = self._items[item] = _Item(topic, size_bytes)
        if source is not None:
            known.holders.add(source)
        known.holders.update(self._owing.get(item, ()))  # they said that they have it
        if asked is not None:
            known.holders.update(asked.others)
        if len(self._items) > REMEMBERED_MAX:
            self._items.popitem(last=False)
        self._late.append((now_s, item))
        sent = size_bytes <= self._rules.sent_max_bytes
        shortcuts = self._rules.shortcuts_of_sent if sent else self._rules.shortcuts_of_announced
        effects: list[Effect] = []
        for peer in self._targets(topic, known.holders, source, shortcuts):
            known.holders.add(peer)
            effects.append(Send(peer, topic, item) if sent else Announce(peer, topic, (item,)))
        return effects

    def _targets(
        self, topic: Topic, holders: set[NodeId], source: NodeId | None, shortcuts: int
    ) -> list[NodeId]:
        near = self._neighbours(topic)
        # Where a ring is so small that it stands on both sides, the nearer one is where it came from.
        before, after = _rank(source, near.before), _rank(source, near.after)
        targets: dict[NodeId, None] = {}
        if after <= before:
            targets.update(dict.fromkeys(near.before[:1]))
        if before <= after:
            targets.update(dict.fromkeys(near.after[:1]))
        others = [
            peer for peer in self._links(topic) if peer not in targets and peer not in holders
        ]
        targets.update(dict.fromkeys(self._drawing.sample(others, min(shortcuts, len(others)))))
        return [peer for peer in targets if peer not in holders]

    def _ask_others(self, now_s: float) -> list[Effect]:
        effects: list[Effect] = []
        due = [item for item, asked in self._asked.items() if asked.until_s <= now_s]
        for item in due:
            asked = self._asked[item]
            if not asked.others:
                del self._asked[item]
                continue
            asked.peer = asked.others.popleft()
            asked.until_s = now_s + self._rules.asked_for_s
            effects.append(self._ask(asked.peer, asked.topic, item, now_s))
        return effects

    def _ask(self, peer: NodeId, topic: Topic, item: ItemId, now_s: float) -> Ask:
        if (peer, item) not in self._owed:
            self._owed[peer, item] = now_s + self._rules.withheld_after_s
            self._owing.setdefault(item, set()).add(peer)
            self._owed_by[peer] += 1
            if len(self._owed) > OWED_MAX:
                self._settle(*next(iter(self._owed)))
        return Ask(peer, topic, item)

    def _settle(self, peer: NodeId, item: ItemId) -> None:
        """It owes that no more."""
        if self._owed.pop((peer, item), None) is not None:
            self._owing[item].discard(peer)
            if not self._owing[item]:
                del self._owing[item]
            self._owed_by[peer] -= 1
            if not self._owed_by[peer]:
                del self._owed_by[peer]

    def _tell_late(self, now_s: float) -> list[Effect]:
        while self._late and self._late[0][0] < now_s - self._rules.late_for_s:
            self._late.popleft()
        by_topic: dict[Topic, list[ItemId]] = {}
        for _, item in self._late:
            known = self._items.get(item)
            if known is not None:
                by_topic.setdefault(known.topic, []).append(item)
        effects: list[Effect] = []
        for topic, items in by_topic.items():
            links = list(self._links(topic))
            for peer in self._drawing.sample(links, min(self._rules.late_to, len(links))):
                lacking = tuple(item for item in items if peer not in self._items[item].holders)
                if lacking:
                    effects.append(Announce(peer, topic, lacking))
                    for item in lacking:
                        self._items[item].holders.add(peer)
        return effects


def _rank(source: NodeId | None, side: tuple[NodeId, ...]) -> int:
    """How near ``source`` stands on one side; farther than all if it does not."""
    return side.index(source) if source in side else len(side)
