"""The branch that counts, from the first block to its end, by length; and how others find where they part from it. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tetrarch.ledger.applying import Place
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.tree import Switch, Tree

ENDS_MAX: Final = 16  # of branches that others are told of


class MainChain:
    """``finals`` are all final blocks, from the first on; ``tree`` has what stands upon the last of them."""

    def __init__(self, tree: Tree, finals: Iterable[BlockId]) -> None:
        self._tree = tree
        self._blocks = list(finals)
        self._finals = {block: length for length, block in enumerate(self._blocks)}

    @property
    def block0(self) -> BlockId:
        """The first block."""
        return self._blocks[0]

    @property
    def length(self) -> int:
        """How many blocks are before its end."""
        return len(self._blocks) - 1

    def last(self, count: int) -> tuple[BlockId, ...]:
        """Its last ones, oldest first."""
        return tuple(self._blocks[-count:])

    def switched(self, switch: Switch) -> None:
        """Another block is its end."""
        done = switch.done
        del self._blocks[done[0].header.chain_length :]
        self._blocks += [place.id for place in done]

    def made_final(self, places: Iterable[Place]) -> None:
        """They are on it, for good."""
        self._finals.update((place.id, place.header.chain_length) for place in places)

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
        is_on = length is not None and length <= self.length and self._blocks[length] == block
        return length if is_on else None

    def checkpoints(self) -> tuple[BlockId, ...]:
        """Its end, the ends of other branches, then 1, 2, 4, 8, ... blocks below its own, and the first."""
        step, found = 1, [self._blocks[-1], *self._tree.ends()[:ENDS_MAX]]
        while self.length - step > 0:
            found.append(self._blocks[self.length - step])
            step *= 2
        return tuple(dict.fromkeys((*found, self.block0)))

    def path(
        self, checkpoints: Sequence[BlockId], to: BlockId | None, *, count_max: int
    ) -> tuple[BlockId, ...]:
        """Its blocks after the first checkpoint that is on it, up to ``to`` or its end."""
        places = map(self.place_of, checkpoints)
        first = next((place for place in places if place is not None), 0) + 1
        last = None if to is None else self.place_of(to)
        end = (self.length if last is None else last) + 1
        return tuple(self._blocks[first : min(end, first + count_max)])

    def fork_depth(self, block: BlockId) -> int | None:
        """Its blocks since the last that it has in common with ``block``'s branch; None: that is not here."""
        if self.place_of(block) is not None:
            return 0
        place = self._tree.get(block)
        while place is not None and self.place_of(place.id) is None:
            place = self._tree.get(place.header.parent)
        return None if place is None else self.length - place.header.chain_length

    def branches(self, known: Sequence[BlockId]) -> Iterator[BlockId]:
        """All blocks that are here, on whichever branch, parents first, without ``known`` and what is below them."""
        places, below = self._tree.places(), set[BlockId]()
        for each in known:
            place = self._tree.get(each)
            while place is not None and place.id not in below:
                below.add(place.id)
                place = self._tree.get(place.header.parent)
        final = self._tree.final.header.chain_length
        known_finals = (self._finals[each] for each in known if each in self._finals)
        begin = final if below else max(known_finals, default=-1)
        yield from self._blocks[begin + 1 : final + 1]
        for place in places[1:]:
            if place.id not in below:
                yield place.id
