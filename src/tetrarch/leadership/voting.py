"""A member's votes: one for each block of the branch that counts, in their order.

Two that are justified one after the other make the first final. So a block is voted for as soon as it is here and its
parent is justified, or members' votes for that are split. While neither is so, each third is, two slots after its own.
"""

import asyncio
import contextlib
import math
from typing import Final

from tetrarch.errors import TetrarchError
from tetrarch.leadership.ports import LeadershipPorts
from tetrarch.ledger.applying import Place
from tetrarch.ledger.chain import LedgerChain
from tetrarch.ledger.checkpoints import encode_certificate
from tetrarch.ledger.finality import Checkpoint, Vote, VoteForbidden, encode_vote
from tetrarch.ledger.lives import NotReserved
from tetrarch.ledger.parameters import Mode
from tetrarch.ledger.tidings import AGAIN_SLOTS, TOLD_MAX
from tetrarch.ledger.tree import Switch
from tetrarch.observability.logs import error_fields

PATIENCE_SLOTS: Final = 2.0
APART: Final = 3  # heights, while nothing is justified: clocks differ by two slots at most
RIVALS_SLOTS: Final = 0.25
LOOK_SLOTS: Final = 0.1  # until it is looked again whether votes can still come to something
TOLD_AT_ONCE_MAX: Final = 8
BEHIND_MAX: Final = 8  # blocks below the end of the branch; those further down are left out


class Voting:
    """``run`` it. Who is no member keeps silent, and begins when it becomes one."""

    def __init__(self, ports: LeadershipPorts, chain: LedgerChain) -> None:
        self._ports = ports
        self._chain = chain
        self._latest = 0  # the height that was voted for last
        self._behind: int | None = None  # what some other voter knows to be justified
        self._told: dict[Checkpoint, float] = {}  # when, by the loop's clock
        self._came = asyncio.Event()
        chain.news.on_switch(self._switched)
        chain.news.on_justified(self._came.set)
        chain.news.on_behind(self._note_behind)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._came.clear()
            await self._tell_who_is_behind()
            height = self._next_height()
            wait_s = self._wait_s(height)
            if wait_s is not None and wait_s <= 0:
                await self._vote(height)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._came.wait()

    def _lowest(self) -> int:
        """That may be voted for."""
        tree, opinion = self._chain.tree, self._chain.opinion
        tip, final = tree.tip.header.chain_length, tree.final.header.chain_length
        lowest = max(final, opinion.justified.height) + 1
        return max(lowest, self._latest + 1, tip - BEHIND_MAX)

    def _next_height(self) -> int:
        """The lowest, if votes for the one below came to something, or can come to nothing.

        Else one of those that all vote for then: whoever has a fast clock would vote for the lowest before a slower one
        voted for the one below, so from another source; and again, at each second height.
        """
        lowest = self._lowest()
        return lowest if self._is_over(lowest - 1) else -(-lowest // APART) * APART

    def _is_over(self, height: int) -> bool:
        opinion = self._chain.opinion
        if opinion.justified.height >= height:
            return True
        is_split = self._chain.tidings.ballots.is_split
        return self._latest == height and is_split(height, opinion.voters)

    def _wait_s(self, height: int) -> float | None:
        """Until it is voted for; None: until something comes."""
        tree, opinion = self._chain.tree, self._chain.opinion
        tip = tree.tip.header.chain_length
        is_member = any(self._ports.keys.voter in each.weights for each in opinion.voters)
        if not is_member or self._lowest() > tip:
            return None
        frame = tree.tip.settings.frame
        look_s = LOOK_SLOTS * frame.slot_duration_s
        if height > tip:
            return look_s
        place = next(each for each in tree.line() if each.header.chain_length <= height)
        if self._is_over(height - 1):
            return self._rivals_s(place)
        # By the block's own time: who is behind is not kept so by waiting at each height.
        ready_s = frame.starts_s(place.slot) + PATIENCE_SLOTS * frame.slot_duration_s
        return min(ready_s - self._ports.clock.wall_s(), look_s)

    def _rivals_s(self, place: Place) -> float:
        """Until others that were drawn for its slot were heard of: who votes at once votes for his own.

        By its own slot, not by the newest: where blocks come early by our clock, there is always a newer one.
        """
        settings = place.settings
        if settings.parameters.mode is not Mode.PRAOS:
            return 0.0
        frame = settings.frame
        heard_s = frame.starts_s(place.slot) + RIVALS_SLOTS * frame.slot_duration_s
        return heard_s - self._ports.clock.wall_s()

    async def _vote(self, height: int) -> None:
        self._latest = height
        link = self._chain.opinion.link_for(height)
        if link is None:
            return
        try:
            signature = await self._ports.keys.sign_vote(link)
        except (VoteForbidden, NotReserved) as error:
            # It voted before it was restarted, or for another branch; or a copy may.
            self._ports.log.debug("vote_withheld", height=height, **error_fields(error))
            return
        except TetrarchError as error:
            self._ports.log.warning("vote_failed", height=height, **error_fields(error))
            return
        vote = Vote(link, self._ports.keys.voter, signature)
        await self._ports.network.propose_fragment(encode_vote(vote))

    async def _tell_who_is_behind(self) -> None:
        """Votes from another source would not come together with ours.

        The oldest first: each says what the next one's source is. They may be in no block if it is the only leader who
        is behind, so they are told again, but not soon, to whom they did not come.
        """
        if self._behind is None:
            return
        height, self._behind = self._behind, None
        now_s = asyncio.get_running_loop().time()
        again_s = now_s - AGAIN_SLOTS * self._chain.tree.tip.settings.frame.slot_duration_s
        for certificate in self._chain.opinion.above(height)[:TOLD_AT_ONCE_MAX]:
            if self._told.get(certificate.link.target, -math.inf) <= again_s:
                self._told.pop(certificate.link.target, None)
                self._told[certificate.link.target] = now_s
                await self._ports.network.propose_fragment(encode_certificate(certificate))
        while len(self._told) > TOLD_MAX:
            del self._told[next(iter(self._told))]

    def _note_behind(self, height: int) -> None:
        self._behind = height if self._behind is None else min(height, self._behind)
        self._came.set()

    def _switched(self, switch: Switch) -> None:
        del switch
        self._came.set()
