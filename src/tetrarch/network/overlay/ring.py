"""The nodes of one topic in the order of their places on its ring. Pure."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from itertools import islice

from tetrarch.network.overlay.profile import NodeId


class Ring:
    """Places are 64 bits, and after the last comes the first.

    Cost: a change moves pointers of one list, 1 µs at 1,000 nodes; a neighbour is found by bisection.
    """

    def __init__(self) -> None:
        self._places: list[tuple[int, NodeId]] = []

    def __len__(self) -> int:
        return len(self._places)

    def add(self, position: int, node: NodeId) -> None:
        """``node`` stands at ``position``; it was not there."""
        insort(self._places, (position, node))

    def remove(self, position: int, node: NodeId) -> None:
        """Take ``node`` away, who stands there."""
        del self._places[bisect_left(self._places, (position, node))]

    def successors(self, position: int, node: NodeId, count: int) -> tuple[NodeId, ...]:
        """The next ``count`` nodes after ``node``'s place, itself left out, nearest first."""
        start = bisect_left(self._places, (position, node))
        return self._picked(range(start, start + len(self._places)), node, count)

    def predecessors(self, position: int, node: NodeId, count: int) -> tuple[NodeId, ...]:
        """The ``count`` nodes before ``node``'s place, itself left out, nearest first."""
        start = bisect_left(self._places, (position, node))
        return self._picked(range(start - 1, start - 1 - len(self._places), -1), node, count)

    def _picked(self, indices: range, node: NodeId, count: int) -> tuple[NodeId, ...]:
        return tuple(islice(self._others(indices, node), count))

    def _others(self, indices: range, node: NodeId) -> Iterator[NodeId]:
        size = len(self._places)
        for index in indices:
            other = self._places[index % size][1]
            if other != node:
                yield other
