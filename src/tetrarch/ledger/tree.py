"""The blocks that are not final, as a tree upon the last that is, and which branch counts. Pure.

Of those that stand upon the highest justified block the longest branch counts; of equally long ones that whose last maker
drew lower, which nobody can choose, so that all nodes agree at once; else the first that was seen.
A block that is final is never undone: what does not stand upon it is dropped, and what stands upon it is looked at from it on.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final

from tetrarch.crypto.ristretto import POINT_SIZE_BYTES
from tetrarch.errors import PeerFault, invariant
from tetrarch.ledger.applying import Place
from tetrarch.ledger.headers import BlockId, PraosProof
from tetrarch.ledger.tables import Base, first_layer

BRANCHING_MAX: Final = 4096  # blocks that are not final


class TreeFull(PeerFault):
    """Too much is not final: nothing more is taken until a quorum makes blocks final."""

    code = "ledger_tree_full"


@dataclass(frozen=True, slots=True)
class Switch:
    """Another block is the end of the branch that counts: what counts no more, the newest first, and what does now."""

    undone: tuple[Place, ...]
    done: tuple[Place, ...]


class Tree:
    """See the module. ``root`` is final, and its layer is the bare ``base``."""

    def __init__(self, base: Base, root: Place, *, blocks_max: int = BRANCHING_MAX) -> None:
        invariant(not root.layer.changes, "what is final lies in the base")
        self._base = base
        self._blocks_max = blocks_max
        self._places = {root.id: root}  # in the order in which they came
        self._final = root.id
        self._justified = root.id
        self._tip = root.id

    @property
    def final(self) -> Place:
        """The last final block."""
        return self._places[self._final]

    @property
    def tip(self) -> Place:
        """The end of the branch that counts."""
        return self._places[self._tip]

    def __len__(self) -> int:
        return len(self._places) - 1

    @property
    def is_full(self) -> bool:
        """Whether no more blocks are taken until some are final."""
        return len(self) >= self._blocks_max

    def get(self, block: BlockId) -> Place | None:
        """A block that is here: the last final one, or one upon it."""
        return self._places.get(block)

    def add(self, place: Place) -> Switch | None:
        """A block that holds, upon one that is here. What that changes; None: its branch does not count.

        Raises:
            TreeFull: too many are not final already.
        """
        parent = self._places.get(place.header.parent)
        invariant(parent is not None, "a block is applied to one that is here")
        if place.id in self._places:
            return None
        if self.is_full:
            raise TreeFull("add block", blocks=len(self), maximum=self._blocks_max)
        self._places[place.id] = place
        if _rank(place) <= _rank(self.tip):
            return None
        return self._switch_to(place) if self.stands_upon(place, self._justified) else None

    def justify(self, block: BlockId) -> Switch | None:
        """A quorum voted for a block that is here: only what stands upon it counts. If another branch does now.

        Cost: that of all blocks that are not final.
        """
        upon = self._standing_upon(block)
        self._justified = block
        return self._switch_within(upon)

    def plan(self, block: BlockId) -> tuple[tuple[Place, ...], tuple[BlockId, ...]]:
        """If it were final: which blocks would be so with it, oldest first, and which would be dropped."""
        finals = tuple(reversed(tuple(self._upward(self._places[block]))))
        kept = {place.id for place in (*finals, *self._standing_upon(block))} | {self._final}
        return finals, tuple(each for each in self._places if each not in kept)

    def finalize(self, block: BlockId) -> tuple[tuple[Place, ...], Switch | None]:
        """A block that is here is final: those that are so with it, oldest first; and if another branch counts now.

        Cost: that of all blocks that are not final.
        """
        finals = tuple(reversed(tuple(self._upward(self._places[block]))))
        if not finals:
            return (), None
        upon = self._standing_upon(block)
        if not any(place.id == self._justified for place in upon):
            self._justified = block
        switch = self._switch_within(self._standing_upon(self._justified))
        for place in finals:
            self._base.take(place.layer.changes)
        self._places = self._seen_from(upon)
        self._final = block
        return finals, switch

    def stands_upon(self, place: Place, block: BlockId) -> bool:
        """Whether ``block`` is here, and ``place`` is it or after it."""
        return block == self._final or any(each.id == block for each in self._upward(place))

    def ends(self) -> list[BlockId]:
        """Of all branches, the one that came last first."""
        parents = {place.header.parent for place in self._places.values()}
        return [block for block in reversed(self._places) if block not in parents]

    def places(self) -> tuple[Place, ...]:
        """The last final block and all upon it, in the order in which they came."""
        return tuple(self._places.values())

    def line(self) -> Iterator[Place]:
        """The branch that counts, from its end to the last final block, without that."""
        return self._upward(self.tip)

    # -- inside -----------------------------------------------------------------------------------

    def _upward(self, place: Place) -> Iterator[Place]:
        """From ``place`` to the last final block, without that."""
        while place.id != self._final:
            yield place
            place = self._places[place.header.parent]

    def _switch_within(self, places: list[Place]) -> Switch | None:
        """The tip is among ``places``, or the longest of them is from now on, the first that came."""
        if any(place.id == self._tip for place in places):
            return None
        return self._switch_to(max(places, key=_rank))

    def _switch_to(self, place: Place) -> Switch:
        old, new = list(self.line()), list(self._upward(place))
        while old and new and old[-1] is new[-1]:
            old.pop()
            new.pop()
        self._tip = place.id
        return Switch(tuple(old), tuple(reversed(new)))

    def _standing_upon(self, block: BlockId) -> list[Place]:
        """``block`` and all upon it, in the order in which they came: parents first."""
        found = {block: self._places[block]}
        for each in self._places.values():
            if each.header.parent in found:
                found[each.id] = each
        return list(found.values())

    def _seen_from(self, places: list[Place]) -> dict[BlockId, Place]:
        """The first is final; what changed by then lies in the base."""
        root = replace(places[0], layer=first_layer(self._base))
        seen = {root.id: root}
        for place in places[1:]:
            below = seen[place.header.parent].layer
            seen[place.id] = replace(place, layer=below.above(place.layer.changes))
        return seen


def _rank(place: Place) -> tuple[int, int]:
    """Higher counts. In turn there is one maker for a slot: nothing but the length."""
    proof = place.header.proof
    drawn = 0
    if isinstance(proof, PraosProof):
        drawn = int.from_bytes(blake2b(proof.vrf_proof[:POINT_SIZE_BYTES], digest_size=8).digest())
    return place.header.chain_length, -drawn
