"""What comes along links, and what is done about it: gossip, items, the chain.

Each message of a node is handled in its turn, one node after the other, so nobody who sends much
keeps others waiting. What is wrong costs its sender points; what ends the link is only what cannot be
read at all.
"""

from collections.abc import Callable, Iterable, Mapping

from tetrarch.errors import PeerFault
from tetrarch.network.conduct import Conduct, Fault, Tip
from tetrarch.network.overlay.chain import ChainPort, Verdict
from tetrarch.network.overlay.links import ERRED, QUARANTINED, Links
from tetrarch.network.overlay.machine import OverlayMachine
from tetrarch.network.overlay.messages import (
    CONTENT_MAX_BYTES,
    IDS_MAX,
    PULLED_MAX,
    Ids,
    Item,
    Kind,
    OverlayMessageInvalid,
    Records,
    Status,
    decode_gossip,
    decode_ids,
    decode_item,
    decode_pull,
    decode_status,
    encode_gossip,
    encode_ids,
    encode_item,
    encode_pull,
    encode_status,
)
from tetrarch.network.overlay.pace import cost
from tetrarch.network.overlay.profile import (
    BLOCKS,
    STATES,
    NodeId,
    Profile,
    ProfileInvalid,
    Topic,
    check_signature,
    decode_profile,
)
from tetrarch.network.overlay.spreading import Announce, Ask, Effect, ItemId, Send, Withheld
from tetrarch.network.overlay.topology import Gossip
from tetrarch.observability.logs import Log

ANSWER_MAX_BYTES = CONTENT_MAX_BYTES  # that may wait to be sent to one node before it is given more


class Talking:
    """One node's side of all talks. ``now_s`` gives wall-clock seconds since 2020."""

    def __init__(  # noqa: PLR0913 - a composition of ports
        self,
        machine: OverlayMachine,
        chain: ChainPort,
        links: Links,
        *,
        own_profile: Callable[[], Profile],
        now_s: Callable[[], float],
        on_block: Callable[[ItemId], None] = lambda _: None,
        others: Mapping[int, Callable[[NodeId, bytes], None]] | None = None,
        log: Log,
        asked: Callable[[NodeId, float], None] = lambda *_: None,
        on_part: Callable[[NodeId, bytes], Verdict] = lambda *_: Verdict.STALE,
    ) -> None:
        """``on_block`` hears of each block that the chain took; ``others`` take kinds that are no talk;
        ``asked`` is told what the answer to a question of ours may cost (``pace``); ``on_part`` takes parts of states.
        """
        self._machine = machine
        self._chain = chain
        self._links = links
        self._own_profile = own_profile
        self._now_s = now_s
        self._on_block = on_block
        self._others = dict(others or {})
        self._log = log
        self._asked = asked
        self._on_part = on_part
        self._topics = {topic for topic, _ in machine.rules.interests}
        self._pulled: dict[NodeId, ItemId] = {}  # from whom, and our tip before

    async def handle(self, node: NodeId, kind: int, payload: bytes) -> None:
        """One message of a linked node."""
        if node in self._machine.nodes.quarantined:
            return  # its link is ending
        try:
            match kind:
                case Kind.GOSSIP:
                    self._hear_gossip(node, decode_gossip(payload))
                case Kind.ANNOUNCE:
                    await self._hear_announcement(node, decode_ids(payload))
                case Kind.ASK:
                    await self._answer(node, decode_ids(payload))
                case Kind.ITEM:
                    limit = self._chain.content_max_bytes
                    await self._take(node, decode_item(payload, content_max_bytes=limit))
                case Kind.STATUS:
                    await self._hear_status(node, decode_status(payload))
                case Kind.PULL:
                    await self._give_blocks(node, decode_pull(payload))
                case _ if kind in self._others:
                    self._others[kind](node, payload)
                case _:
                    raise OverlayMessageInvalid("read message", kind=kind)
        except PeerFault as error:
            self.blame(node, _fault_of(error), error)

    async def publish(self, topic: Topic, content: bytes) -> Verdict:
        """Give an item of our own to the network, if our chain takes it."""
        verdict = await self._chain.take(topic, content)
        if verdict is Verdict.NEW:
            item = self._chain.item_id(topic, content)
            if topic == BLOCKS:
                self._on_block(item)
            spreading = self._machine.spreading
            await self.do(spreading.publish(topic, item, len(content), now_s=self._now_s()))
            self._tell_tip(topic)
        return verdict

    def sync_to_tip(self, node: NodeId) -> bool:
        """Ask for what its chain has and ours has not; it ends with its status. False: there is no link."""
        if not self._links.send(node, Kind.PULL, encode_pull(self._chain.checkpoints())):
            return False
        self._asked(node, 2 * PULLED_MAX + cost(Kind.ITEM, 2 * ANSWER_MAX_BYTES))
        self._pulled.setdefault(node, self._chain.tip().block)
        return True

    def ask(self, node: NodeId, topic: Topic, item: ItemId) -> bool:
        """Ask a node for an item by its name. False: there is no link."""
        self._asked(node, 1 + cost(Kind.ITEM, self._chain.content_max_bytes))
        return self._links.send(node, Kind.ASK, encode_ids(Ids(topic, (item,))))

    async def do(self, effects: Iterable[Effect]) -> None:
        """Carry out what spreading decided."""
        for effect in effects:
            match effect:
                case Send(peer, topic, item):
                    await self._send_item(peer, topic, item)
                case Announce(peer, topic, items):
                    for start in range(0, len(items), IDS_MAX):
                        ids = Ids(topic, items[start : start + IDS_MAX])
                        self._links.send(peer, Kind.ANNOUNCE, encode_ids(ids))
                case Ask(peer, topic, item):
                    self.ask(peer, topic, item)
                case Withheld(peer):
                    self.blame(peer, Fault.WITHHELD, None)

    def send_gossip(self, node: NodeId, gossip: Gossip) -> bool:
        """False: there is no link."""
        records = Records(
            gossip.own.record,
            tuple(profile.record for profile in gossip.swapped),
            tuple(profile.record for profile in gossip.others),
        )
        return self._links.send(node, Kind.GOSSIP, encode_gossip(records))

    def send_status(self, node: NodeId) -> None:
        """Say where our chain ends."""
        tip = self._chain.tip()
        self._links.send(node, Kind.STATUS, encode_status(Status(tip.block, tip.height)))

    def forget(self, node: NodeId) -> None:
        """Its link is gone."""
        self._pulled.pop(node, None)
        self._machine.spreading.left(node)

    def blame(self, node: NodeId, fault: Fault, error: PeerFault | None) -> None:
        """Note what a node did wrong; if that puts it aside, its link ends."""
        nodes = self._machine.nodes
        self._log.debug(
            "overlay_fault", peer=node.hex(), fault=fault.label, reason=str(error or "")
        )
        if nodes.conduct(node) is None:
            self._links.close(node, ERRED)  # nothing is kept of it, so there is nothing to lose
            return
        was_quarantined = node in nodes.quarantined
        nodes.report_fault(node, fault, now_s=self._now_s())
        if node in nodes.quarantined and not was_quarantined:
            self._log.warning(
                "overlay_node_quarantined",
                peer=node.hex(),
                reason=fault.label,
                until_s=round(nodes.quarantined[node].until_s - self._now_s()),
            )
            self._links.close(node, QUARANTINED)

    # -- gossip -----------------------------------------------------------------------------------

    def _hear_gossip(self, node: NodeId, records: Records) -> None:
        if not records.own:  # a node of the reference that says nothing of itself
            others = list(self._readable(node, records.others))
            self._machine.take_profiles(others, node, now_s=self._now_s())
            return
        own = self._read(node, records.own)
        if own is None or own.node != node:
            raise OverlayMessageInvalid(
                "read gossip", reason="its first record is not the sender's"
            )
        gossip = Gossip(
            own,
            tuple(self._readable(node, records.swapped)),
            tuple(self._readable(node, records.others)),
        )
        answer = self._machine.hear_gossip(self._own_profile(), gossip, now_s=self._now_s())
        if answer is not None:
            self.send_gossip(node, answer)

    def _readable(self, node: NodeId, records: Iterable[bytes]) -> Iterable[Profile]:
        """One record that is wrong costs its sender points, and the others nothing."""
        for record in records:
            profile = self._read(node, record)
            if profile is not None:
                yield profile

    def _read(self, node: NodeId, record: bytes) -> Profile | None:
        try:
            profile = decode_profile(record)
            known = self._machine.nodes.known.profiles.get(profile.node)
            if known is None or known.record != record:
                check_signature(profile)
        except ProfileInvalid as error:
            self.blame(node, Fault.FALSE_SIGNATURE, error)
            return None
        return profile

    # -- items ------------------------------------------------------------------------------------

    async def _hear_announcement(self, node: NodeId, ids: Ids) -> None:
        self._check_topic(ids.topic)
        spreading = self._machine.spreading
        lacking = [
            item
            for item in ids.items
            if spreading.has(item) or not self._chain.has(ids.topic, item)
        ]
        conduct = self._machine.nodes.conduct(node)
        for item in ids.items:
            if conduct is not None:
                self._note_tip(conduct, item, self._now_s())
        await self.do(spreading.announced(node, ids.topic, lacking, now_s=self._now_s()))

    async def _answer(self, node: NodeId, ids: Ids) -> None:
        if ids.topic != STATES:
            self._check_topic(ids.topic)
        await self._send_items(node, ids.topic, ids.items)

    async def _send_items(self, node: NodeId, topic: Topic, items: Iterable[ItemId]) -> None:
        """As many as its link takes; who asks for more than it reads does not get it."""
        for item in dict.fromkeys(items):
            if self._links.backlog_bytes(node) >= ANSWER_MAX_BYTES:
                return
            await self._send_item(node, topic, item)

    async def _send_item(self, node: NodeId, topic: Topic, item: ItemId) -> None:
        content = await self._chain.content(topic, item)
        if content is not None:
            self._links.send(node, Kind.ITEM, encode_item(Item(topic, content)))

    async def _take(self, node: NodeId, item: Item) -> None:
        if item.topic == STATES:  # told on to nobody
            if self._on_part(node, item.content) is Verdict.INVALID:
                self.blame(node, Fault.PROTOCOL, None)
            return
        self._check_topic(item.topic)
        try:
            item_id = self._chain.item_id(item.topic, item.content)
        except ValueError:
            raise OverlayMessageInvalid("read item", reason="its chain cannot read it") from None
        verdict = await self._chain.take(item.topic, item.content)
        spreading, now_s = self._machine.spreading, self._now_s()
        conduct = self._machine.nodes.conduct(node)
        if verdict in (Verdict.NEW, Verdict.KNOWN) and conduct is not None:
            conduct.brought(item.topic, now_s, first=verdict is Verdict.NEW)
            self._note_tip(conduct, item_id, now_s)
        if verdict is Verdict.NEW and item.topic == BLOCKS:
            self._on_block(item_id)
        match verdict:
            case Verdict.NEW if item.topic == BLOCKS and node in self._pulled:
                self._tell_tip(BLOCKS)  # of all that was missed only the last is news to others
            case Verdict.NEW | Verdict.KNOWN:
                size_bytes = len(item.content)
                await self.do(
                    spreading.received(node, item.topic, item_id, size_bytes, now_s=now_s)
                )
                if verdict is Verdict.NEW:
                    self._tell_tip(item.topic)
            case Verdict.ORPHAN:
                spreading.refused(node, item_id)
                self.sync_to_tip(node)
            case Verdict.STALE:
                spreading.refused(node, item_id)
            case Verdict.INVALID:
                spreading.refused(node, item_id)
                is_block = item.topic == BLOCKS
                fault = Fault.INVALID_BLOCK if is_block else Fault.INVALID_FRAGMENT
                self.blame(node, fault, None)

    def _check_topic(self, topic: Topic) -> None:
        if topic not in self._topics:
            raise OverlayMessageInvalid("read message", topic=topic.hex())

    # -- the chain ----------------------------------------------------------------------------------

    async def _hear_status(self, node: NodeId, status: Status) -> None:
        conduct = self._machine.nodes.conduct(node)
        if conduct is not None:
            conduct.tip = Tip(status.tip, status.height, self._now_s())
        ours = self._chain.tip()
        if status.height > ours.height and not self._chain.has(BLOCKS, status.tip):
            self.sync_to_tip(node)
            return
        before = self._pulled.pop(node, None)
        if before not in (None, ours.block) and not self._machine.spreading.has(ours.block):
            spreading = self._machine.spreading
            size_bytes = len(ours.header)
            await self.do(spreading.publish(BLOCKS, ours.block, size_bytes, now_s=self._now_s()))

    async def _give_blocks(self, node: NodeId, checkpoints: tuple[ItemId, ...]) -> None:
        path = self._chain.path(checkpoints, None, count_max=PULLED_MAX)
        await self._send_items(node, BLOCKS, path)
        self.send_status(node)  # if there is more, it asks again

    def _note_tip(self, conduct: Conduct[Topic], item: ItemId, now_s: float) -> None:
        """It has a block that is here: if that is the highest it showed, its chain ends there."""
        height = self._chain.height_of(item)
        if height is not None and (conduct.tip is None or height > conduct.tip.height):
            conduct.tip = Tip(item, height, now_s)

    def _tell_tip(self, topic: Topic) -> None:
        """Our chain may end elsewhere now."""
        height = self._chain.tip().height
        if topic == BLOCKS and height != self._machine.nodes.own_height:
            self._machine.nodes.own_height = height


def _fault_of(error: PeerFault) -> Fault:
    return Fault.OVERSIZE if "maximum" in error.fields else Fault.PROTOCOL
