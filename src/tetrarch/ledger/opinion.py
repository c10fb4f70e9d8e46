"""What a node holds to be justified and final: by its blocks, and by certificates that are in no block yet. Pure.

A certificate that its own ballots came to acts at once; blocks carry it later, so that others and latecomers have the same
opinion. One whose target or source is not known here waits: the block that makes it known is under way.
"""

from collections.abc import Iterable
from typing import Final

from tetrarch.errors import PeerFault
from tetrarch.ledger.applying import Place, draft_upon
from tetrarch.ledger.checkpoints import (
    OF_BLOCK_MAX,
    REMEMBERED,
    apply_certificate,
    is_ancestor,
    is_justified,
    justified_in,
    standing_of,
)
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.finality import Certificate, Checkpoint, Link, VoteRefused, Voters
from tetrarch.ledger.membership import voters_at
from tetrarch.ledger.tree import Tree

WAITING_MAX: Final = 256


class Opinion:
    """``tree`` holds what it is about."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.justified: Checkpoint = standing_of(tree.final.layer).justified
        self._accepted: dict[int, Certificate] = {}  # by the target's height
        self._waiting: dict[int, Certificate] = {}
        self._seen: dict[int, Checkpoint] = {}  # justified by blocks, by height

    @property
    def voters(self) -> tuple[Voters, ...]:
        """Who may vote now."""
        tip = self._tree.tip
        return voters_at(tip.layer, tip.header.chain_length)

    def note(self, place: Place) -> None:
        """A block holds: what its certificates made justified, whichever branch it is on."""
        for found in justified_in(place.layer.changes):
            self._seen[found.height] = found
            if found.height > self.justified.height and self._tree.get(found.block) is not None:
                self.justified = found
        while len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]

    def judge(self, certificate: Certificate) -> bool:
        """Of votes whose signatures are right. Whether it holds, and says something new: it is to be kept durably, and
        ``accept``ed. If it does not hold yet, it waits.

        Raises:
            VoteRefused: it is no quorum's, or its source is not below its target.
        """
        source, target = certificate.link.source, certificate.link.target
        place = self._tree.get(target.block)
        if target.height in self._accepted or target.height <= self._tree.final.header.chain_length:
            return False
        if place is None or not self._is_justified(source, place):
            self._waiting[target.height] = certificate
            while len(self._waiting) > WAITING_MAX:
                del self._waiting[min(self._waiting)]
            return False
        is_link = place.checkpoint == target and is_ancestor(
            place.layer, source, height=target.height
        )
        if not is_link:
            raise VoteRefused("take certificate", target=target.height, reason="it is no link")
        certificate.check_weight(*voters_at(place.layer, target.height))
        return True

    def accept(self, certificate: Certificate) -> None:
        """It holds, and is durable: nobody votes upon what a crash could take from him."""
        target = certificate.link.target
        self._accepted[target.height] = certificate
        if target.height > self.justified.height:
            self.justified = target

    def waiting(self) -> list[Certificate]:
        """Those that could be taken once more, the oldest first: a block or another certificate came."""
        found = [self._waiting[height] for height in sorted(self._waiting)]
        self._waiting.clear()
        return found

    def carried_by(self, final: Place) -> tuple[int, ...]:
        """The heights of the targets of certificates that are of no more use once ``final`` is so: it has them, or could
        not any more.
        """
        too_old = final.header.chain_length - REMEMBERED
        return tuple(
            height
            for height, certificate in self._accepted.items()
            if height <= too_old or is_justified(final.layer, certificate.link.target)
        )

    def forget(self, carried: Iterable[int]) -> None:
        """Certificates that are of no more use."""
        for height in carried:
            del self._accepted[height]

    def above(self, height: int) -> tuple[Certificate, ...]:
        """Certificates that are in no final block, of targets above ``height``, the oldest first."""
        return tuple(self._accepted[each] for each in sorted(self._accepted) if each > height)

    def link_for(self, height: int) -> Link | None:
        """What a voter votes for at a height that the branch that counts has; None: it was voted for already.

        From the highest justified checkpoint to the block of that height, which stands upon it.
        """
        if height <= max(self.justified.height, self._tree.final.header.chain_length):
            return None
        place = next(
            (each for each in self._tree.line() if each.header.chain_length == height), None
        )
        return None if place is None else Link(self.justified, place.checkpoint)

    def for_block(self, parent: Place, date: BlockDate) -> tuple[Certificate, ...]:
        """What a block upon ``parent`` is to carry: what is news there, the oldest first, as many as it has room for."""
        draft = draft_upon(parent, date)
        height = parent.header.chain_length + 1
        found: list[Certificate] = []
        for target in sorted(self._accepted):
            certificate = self._accepted[target]
            try:
                apply_certificate(draft, certificate, height=height)
            except PeerFault:
                continue  # of another branch, or not news there
            found.append(certificate)
            if len(found) == OF_BLOCK_MAX:
                break
        return tuple(found)

    def _is_justified(self, source: Checkpoint, place: Place) -> bool:
        accepted = self._accepted.get(source.height)
        is_here = accepted is not None and accepted.link.target == source
        return (
            is_here or self._seen.get(source.height) == source or is_justified(place.layer, source)
        )
