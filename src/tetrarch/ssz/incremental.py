"""Roots of big values that change little: hash only what changed since the last time.

A beacon state has lists of many thousands of elements, of which a block changes a handful. A
cache remembers the elements it saw and the tree over them; asked for the root of the next value,
it finds the differences by itself, so that its user can never forget to report one.

Cost: a comparison of all elements (identity first: 65,536 unchanged roots take about 1 ms) and
``depth`` hashes for each change.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from tetrarch.errors import invariant
from tetrarch.ssz.container import Container
from tetrarch.ssz.hashing import CHUNK_SIZE_BYTES, ZERO_HASHES, hash_pair, merkleize, mix_in_length
from tetrarch.ssz.sequence import List, Vector

_BLOCK = 256  # elements compared at once while looking for differences


class MerkleTree:
    """A tree over chunks in which single leaves can be replaced; holds every inner node.

    Only the part over existing leaves is stored; the rest, up to ``depth``, is zero.
    """

    def __init__(self, depth: int, leaves: Sequence[bytes] = ()) -> None:
        invariant(len(leaves) <= 1 << depth, "leaves fit the tree")
        self.depth = depth
        self._levels: list[list[bytes]] = [[]]
        self.update(dict(enumerate(leaves)), len(leaves))

    def __len__(self) -> int:
        return len(self._levels[0])

    def update(self, changes: dict[int, bytes], count: int) -> None:
        """Replace leaves by position, and make the tree ``count`` leaves long.

        Positions beyond the present end must all be given.
        """
        before = len(self)
        invariant(count <= 1 << self.depth, "leaves fit the tree")
        level = self._levels[0]
        del level[count:]
        level.extend([b""] * (count - len(level)))
        for index, leaf in changes.items():
            level[index] = leaf
        dirty = set(changes)
        if count < before and count:
            dirty.add(count - 1)  # its right neighbours became zero
        self._rehash(dirty)

    def root(self) -> bytes:
        """32 bytes."""
        top = len(self._levels) - 1
        if not self._levels[top]:
            return ZERO_HASHES[self.depth]
        node = self._levels[top][0]
        for zero in ZERO_HASHES[top : self.depth]:
            node = hash_pair(node, zero)
        return node

    def _rehash(self, dirty: Iterable[int]) -> None:
        height = 0
        while len(self._levels[height]) > 1:
            below = self._levels[height]
            height += 1
            if len(self._levels) == height:
                self._levels.append([])
                dirty = range(len(below))
            above = self._levels[height]
            size = (len(below) + 1) // 2
            del above[size:]
            above.extend([b""] * (size - len(above)))
            zero = ZERO_HASHES[height - 1]
            parents = {index >> 1 for index in dirty if index < len(below)}
            for parent in parents:
                right = 2 * parent + 1
                above[parent] = hash_pair(
                    below[2 * parent], below[right] if right < len(below) else zero
                )
            dirty = parents
        del self._levels[height + 1 :]


class SequenceRootCache:
    """Roots of successive values of one Vector or List whose elements are immutable."""

    def __init__(self, kind: Vector | List) -> None:
        self._kind = kind
        self._per_chunk = kind.elements_per_chunk()
        self._tree = MerkleTree(kind.depth)
        self._seen: tuple[Any, ...] = ()

    def hash_tree_root(self, value: Sequence[Any]) -> bytes:
        """The root of ``value``, equal to that of the type itself."""
        values = tuple(value)
        if values != self._seen:
            self._refresh(values)
        root = self._tree.root()
        return mix_in_length(root, len(values)) if isinstance(self._kind, List) else root

    def _refresh(self, values: tuple[Any, ...]) -> None:
        seen, per_chunk = self._seen, self._per_chunk
        step = _BLOCK * per_chunk
        chunks: set[int] = set()
        for start in range(0, len(values), step):
            new, old = values[start : start + step], seen[start : start + step]
            if new == old:
                continue
            chunks.update(
                (start + index) // per_chunk
                for index, element in enumerate(new)
                if index >= len(old) or element != old[index]
            )
        if len(values) < len(seen) and values:
            chunks.add((len(values) - 1) // per_chunk)  # its last elements may have gone
        leaves = {chunk: self._leaf(values, chunk) for chunk in chunks}
        self._tree.update(leaves, -(-len(values) // per_chunk))
        self._seen = values

    def _leaf(self, values: tuple[Any, ...], chunk: int) -> bytes:
        kind = self._kind
        element = kind.element
        if not kind.packed:
            if isinstance(element, Container):
                immutable = type(values[chunk]) is element.record
                invariant(immutable, "cached elements are records, which cannot change")
            return element.hash_tree_root(values[chunk])
        some = values[chunk * self._per_chunk : (chunk + 1) * self._per_chunk]
        return kind.encode(some).ljust(CHUNK_SIZE_BYTES, b"\0")


class ContainerRootCache:
    """Roots of successive values of one container, a beacon state above all.

    The value may be a ``Record`` or any object with the container's attributes; elements of its
    sequences must be immutable (numbers, bytes, records).
    """

    def __init__(self, kind: Container) -> None:
        self._kind = kind
        self._fields = [
            (name, SequenceRootCache(each) if isinstance(each, Vector | List) else each)
            for name, each in kind.fields.items()
        ]

    def hash_tree_root(self, value: Any) -> bytes:
        """The root of ``value``, equal to that of the type itself."""
        roots = [each.hash_tree_root(getattr(value, name)) for name, each in self._fields]
        return merkleize(roots, self._kind.depth)
