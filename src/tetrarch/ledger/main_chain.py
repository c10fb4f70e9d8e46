"""The branch that counts, to its end, by length; and how others find where they part from it. Pure.

It may begin above the first block, which is always known: what is between them is here no more.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tetrarch.ledger.applying import Place
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.tree import Switch, Tree

ENDS_MAX: Final = 16  # of branches that others are told of


class MainChain:
    """``finals`` are all final blocks from the height ``lowest`` on; ``tree`` has what stands upon the last of them."""

    def __init__(self, tree: Tree, finals: Iterable[BlockId], *, lowest: int = 0) -> None:
        self._tree = tree
        self.lowest = lowest
        self._blocks = list(finals)
        self._finals = {block: length for length, block in enumerate(self._blocks, start=lowest)}
        self._finals[self.block0] = 0

    @property
    def block0(self) -> BlockId:
        """The first block."""
        return self._tree.final.block0

    @property
    def length(self) -> int:
        """How many blocks are before its end."""
        return self.lowest + len(self._blocks) - 1

    def last(self, count: int) -> tuple[BlockId, ...]:
        """Its last ones, oldest first."""
        return tuple(self._blocks[-count:])

    def switched(self, switch: Switch) -> None:
        """Another block is its end."""
        done = switch.done
        del self._blocks[done[0].header.chain_length - self.lowest :]
        self._blocks += [place.id for place in done]

    def made_final(self, places: Iterable[Place]) -> None:
        """They are on it, for good."""
        self._finals.update((place.id, place.header.chain_length) for place in places)

    def pruned(self, lowest: int) -> None:
        """Final blocks below a height are here no more, but for the first."""
        for block in self._blocks[: lowest - self.lowest]:
            if block != self.block0:
                del self._finals[block]
        del self._blocks[: lowest - self.lowest]
        self.lowest = lowest

    def is_final(self, block: BlockId) -> bool:
        """Whether it is on it for good."""
        return block in self._finals

    def length_of(self, block: BlockId) -> int | None:
        """How many blocks are before one that is here, on whichever branch."""
        place = self._tree.get(block)
        return place.header.chain_length if place is not None else self._finals.get(block)

    def place_of(self, block: BlockId) -> int | None:
        """The same of one that is on it."""
        length = self.length_of(block)
        return length if length is not None and self._at(length) == block else None

    def checkpoints(self) -> tuple[BlockId, ...]:
        """Its end, the ends of other branches, then 1, 2, 4, 8, ... blocks below its own, and the first."""
        step, found = 1, [self._blocks[-1], *self._tree.ends()[:ENDS_MAX]]
        while (block := self._at(self.length - step)) is not None:
            found.append(block)
            step *= 2
        return tuple(dict.fromkeys((*found, self.block0)))

    def path(
        self, checkpoints: Sequence[BlockId], to: BlockId | None, *, count_max: int
    ) -> tuple[BlockId, ...]:
        """Its blocks after the first checkpoint that is on it, up to ``to`` or its end; none, if they are here no more."""
        places = map(self.place_of, checkpoints)
        first = next((place for place in places if place is not None), 0) + 1
        last = None if to is None else self.place_of(to)
        end = (self.length if last is None else last) + 1
        return tuple(self._from(first, min(end, first + count_max)))

    def fork_depth(self, block: BlockId) -> int | None:
        """Its blocks since the last that it has in common with ``block``'s branch; None: that is not here."""
        if self.place_of(block) is not None:
            return 0
        place = self._tree.get(block)
        while place is not None and self.place_of(place.id) is None:
            place = self._tree.get(place.header.parent)
        return None if place is None else self.length - place.header.chain_length

    def branches(self, known: Sequence[BlockId]) -> Iterator[BlockId]:
        """All blocks that are here, on whichever branch, parents first, without ``known`` and what is below them.

        None, if what follows upon ``known`` is here no more.
        """
        places, below = self._tree.places(), set[BlockId]()
        for each in known:
            place = self._tree.get(each)
            while place is not None and place.id not in below:
                below.add(place.id)
                place = self._tree.get(place.header.parent)
        final = self._tree.final.header.chain_length
        known_finals = (self._finals[each] for each in known if each in self._finals)
        begin = final if below else max(known_finals, default=-1)
        if max(begin + 1, 1) < self.lowest:
            return
        yield from self._from(begin + 1, final + 1)
        for place in places[1:]:
            if place.id not in below:
                yield place.id

    def _at(self, length: int) -> BlockId | None:
        """The block before which there are so many; None: it is not here."""
        if length == 0:
            return self.block0
        place = length - self.lowest
        return self._blocks[place] if 0 <= place < len(self._blocks) else None

    def _from(self, begin: int, end: int) -> list[BlockId]:
        """Those of such lengths."""
        if begin < self.lowest:
            return []
        return self._blocks[begin - self.lowest : max(end, begin) - self.lowest]
