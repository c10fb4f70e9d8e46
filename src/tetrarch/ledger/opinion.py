"""What a node holds to be justified and final: by its blocks, and by certificates that are in no block yet. Pure.

A certificate that its own ballots came to acts at once; blocks carry it later, so that others and latecomers have the same
opinion. One whose target or source is not known here waits: the block that makes it known is under way.
"""

from typing import Final

from tetrarch.errors import PeerFault
from tetrarch.ledger.applying import Place, draft_upon
from tetrarch.ledger.checkpoints import (
    OF_BLOCK_MAX,
    apply_certificate,
    is_justified,
    standing_of,
    voters_of,
)
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.finality import Certificate, Checkpoint, Link, VoteRefused, Voters
from tetrarch.ledger.settings import settings_of
from tetrarch.ledger.tree import Tree

WAITING_MAX: Final = 256


class Opinion:
    """``tree`` holds what it is about."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.justified: Checkpoint = standing_of(tree.final.layer).justified
        self._accepted: dict[int, Certificate] = {}  # by the target's slot
        self._waiting: dict[int, Certificate] = {}

    @property
    def voters(self) -> tuple[Voters, ...]:
        """Who may vote now."""
        return (voters_of(self._tree.tip.settings),)

    def note(self, place: Place) -> None:
        """A block holds: what its certificates made justified, whichever branch it is on."""
        justified = standing_of(place.layer).justified
        if justified.slot > self.justified.slot and self._tree.get(justified.block) is not None:
            self.justified = justified

    def judge(self, certificate: Certificate) -> bool:
        """Of votes whose signatures are right. Whether it holds, and says something new: it is to be kept durably, and
        ``accept``ed. If it does not hold yet, it waits.

        Raises:
            VoteRefused: it is no quorum's, or its source is not below its target.
        """
        link = certificate.link
        place = self._tree.get(link.target.block)
        if link.target.slot in self._accepted:
            return False
        if place is None or not self._is_justified(link.source, place):
            self._waiting[link.target.slot] = certificate
            while len(self._waiting) > WAITING_MAX:
                del self._waiting[min(self._waiting)]
            return False
        if place.slot > link.target.slot or not self._tree.stands_upon(place, link.source.block):
            raise VoteRefused("take certificate", target=link.target.slot, reason="it is no link")
        certificate.check_weight(voters_of(place.settings))
        return True

    def accept(self, certificate: Certificate) -> None:
        """It holds, and is durable: nobody votes upon what a crash could take from him."""
        target = certificate.link.target
        self._accepted[target.slot] = certificate
        if target.slot > self.justified.slot:
            self.justified = target

    def waiting(self) -> list[Certificate]:
        """Those that could be taken once more, the oldest first: a block or another certificate came."""
        found = [self._waiting[slot] for slot in sorted(self._waiting)]
        self._waiting.clear()
        return found

    def forget(self) -> None:
        """More is final: certificates that its blocks have are of no more use."""
        slot = standing_of(self._tree.final.layer).justified.slot
        for kept in (self._accepted, self._waiting):
            for old in [target for target in kept if target <= slot]:
                del kept[old]

    def link_for(self, slot: int) -> Link | None:
        """What a voter votes for in a slot of the chain; None: all is final, or the slot was voted for already.

        From the highest justified checkpoint to the end of the branch that counts, which stands upon it.
        """
        tip = self._tree.tip
        if tip.id == self._tree.final.id or not self.justified.slot < slot or tip.slot > slot:
            return None
        return Link(self.justified, Checkpoint(slot, tip.id))

    def for_block(self, parent: Place, date: BlockDate) -> tuple[Certificate, ...]:
        """What a block upon ``parent`` is to carry: what is news there, the oldest first, as many as it has room for."""
        draft = draft_upon(parent, date)
        settings = settings_of(draft)
        found: list[Certificate] = []
        for target in sorted(self._accepted):
            try:
                apply_certificate(
                    draft,
                    self._accepted[target],
                    slot=settings.era.slot(date),
                    length=parent.header.chain_length + 1,
                    voters=voters_of(settings),
                )
            except PeerFault:
                continue  # of another branch, or not news there
            found.append(self._accepted[target])
            if len(found) == OF_BLOCK_MAX:
                break
        return tuple(found)

    def _is_justified(self, source: Checkpoint, place: Place) -> bool:
        accepted = self._accepted.get(source.slot)
        if accepted is not None and accepted.link.target == source:
            return True
        return is_justified(place.layer, source)
