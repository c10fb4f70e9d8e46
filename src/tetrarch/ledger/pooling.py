"""Fragments that come, and those that are back or gone because of a block: what waits for the next one."""

import contextlib
from collections.abc import Mapping
from functools import partial

from tetrarch.errors import PeerFault
from tetrarch.ledger.accounts import account_of
from tetrarch.ledger.blocks import Fragment, FragmentId, fragment_id
from tetrarch.ledger.fragment_log import FragmentLog
from tetrarch.ledger.fragments.kind import Where, where_upon
from tetrarch.ledger.fragments.signed import (
    SignedFragment,
    apply_fragment,
    check_signature,
    decode_fragment,
)
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.mempool import Mempool, NotPooled, check_waiting
from tetrarch.ledger.ports import LedgerPorts
from tetrarch.ledger.tree import Switch, Tree
from tetrarch.network.overlay.chain import Verdict


class Pooling:
    """What waits holds, or may hold later, at the end of ``tree``'s branch that counts."""

    def __init__(self, ports: LedgerPorts, tree: Tree, mempool: Mempool) -> None:
        self.log = FragmentLog()
        self._ports = ports
        self._tree = tree
        self._mempool = mempool
        mempool.on_dropped = self._dropped

    async def take(self, content: bytes) -> Verdict:
        """From whoever sent it."""
        data = Fragment(content)
        if fragment_id(data) in self._mempool:
            return Verdict.KNOWN
        try:
            fragment = decode_fragment(data)
            checking = partial(check_signature, fragment, self._tree.final.block0)
            await self._ports.compute.run(checking)
        except PeerFault as fault:
            return self._ports.refused("fragment", fault)
        return self._put(data, fragment)

    def check(self, data: Fragment) -> None:
        """Whether one could wait here now, and be in the next block after those of its payer that wait.

        Raises:
            PeerFault: it could not, and why.
        """
        fragment = decode_fragment(data)
        check_signature(fragment, self._tree.final.block0)
        tip, where = self._tree.tip, self._where()
        check_waiting(data, fragment, tip.layer, where)
        draft, waiting = tip.layer.draft(), self._mempool.waiting_of(fragment.payer)
        for counter in range(account_of(draft, fragment.payer).counter, fragment.counter):
            earlier = waiting.get(counter)
            if earlier is None:
                return  # nobody can say yet
            with contextlib.suppress(PeerFault):
                size_bytes = len(earlier.data)
                apply_fragment(draft, earlier.fragment, size_bytes=size_bytes, where=where)
        apply_fragment(draft, fragment, size_bytes=len(data), where=where)

    def settle(self, switch: Switch, paid: Mapping[BlockId, tuple[Fragment, ...]]) -> None:
        """What is in a block waits no more; what is in none any more waits again. ``paid``: of each block of ``switch``."""
        tip = self._tree.tip
        self._mempool.expire(tip.header.date.epoch)
        payers, now_s = set(), self._ports.clock.wall_s()
        for place in switch.done:
            for data in paid[place.id]:
                payers.add(decode_fragment(data).payer)
                identity = fragment_id(data)
                self._mempool.remove(identity)
                self.log.is_in(identity, place.header.date, place.id, now_s=now_s)
        self._mempool.settle(payers, tip.layer)
        done = {data for place in switch.done for data in paid[place.id]}
        for place in reversed(switch.undone):
            for data in paid[place.id]:
                if data not in done and fragment_id(data) not in self._mempool:
                    self.log.waits(fragment_id(data), now_s=now_s)
                    self._put(data, decode_fragment(data))

    def _put(self, data: Fragment, fragment: SignedFragment) -> Verdict:
        identity, now_s = fragment_id(data), self._ports.clock.wall_s()
        try:
            self._mempool.add(data, fragment, view=self._tree.tip.layer, where=self._where())
        except NotPooled as fault:
            self.log.rejected(identity, str(fault), now_s=now_s)
            return self._ports.not_taken("fragment", fault)
        self.log.waits(identity, now_s=now_s)
        return Verdict.NEW

    def _dropped(self, fragment: FragmentId, reason: str) -> None:
        self.log.rejected(fragment, reason, now_s=self._ports.clock.wall_s())

    def _where(self) -> Where:
        """A block after the end of the branch; of its date, as the next one's is not known."""
        tip = self._tree.tip
        height = tip.header.chain_length + 1
        return where_upon(tip.layer, tip.header.date, height=height, block0=tip.block0)
