"""All known blocks with the states after them, and the choice of the head.

The head is chosen by the latest votes (LMD-GHOST) from the highest justified block, without
proposer boost: between equals the larger root wins. Blocks can be put aside (the reorg fault).
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tetrarch.errors import InputInvalid, invariant
from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.slots import process_slots
from tetrarch.ssz.container import Record

ADVANCED_MAX = 48  # states kept that were advanced over empty slots


class StateForgotten(InputInvalid):
    """The state after an old block is no longer kept."""

    code = "devchain_state_forgotten"


@dataclass(slots=True, kw_only=True)
class Node:
    """One block. ``signed`` is None for genesis; ``state`` is None once forgotten."""

    root: bytes
    parent_root: bytes
    slot: int
    proposer_index: int
    signed: Record | None
    state: State | None
    state_root: bytes


class BlockTree:
    """Blocks by root; never empty, its first is genesis."""

    def __init__(self, genesis: Node) -> None:
        self.genesis = genesis
        self._nodes = {genesis.root: genesis}
        self._children: dict[bytes, list[bytes]] = {genesis.root: []}
        self._aside: set[bytes] = set()
        self._advanced: OrderedDict[tuple[bytes, int], State] = OrderedDict()

    def __contains__(self, root: bytes) -> bool:
        return root in self._nodes

    def get(self, root: bytes) -> Node | None:
        """The block with ``root``."""
        return self._nodes.get(root)

    def nodes(self) -> Iterator[Node]:
        """All blocks in order of arrival."""
        return iter(self._nodes.values())

    def add(self, node: Node) -> None:
        """Append a block whose parent is known."""
        invariant(node.parent_root in self._nodes, "a block's parent is known")
        self._nodes[node.root] = node
        self._children[node.root] = []
        self._children[node.parent_root].append(node.root)

    def tips(self) -> list[Node]:
        """Blocks without children."""
        return [self._nodes[root] for root, children in self._children.items() if not children]

    def chain(self, root: bytes) -> Iterator[Node]:
        """The block ``root`` and its ancestors, down to genesis."""
        node = self._nodes[root]
        while True:
            yield node
            if node.root == self.genesis.root:
                return
            node = self._nodes[node.parent_root]

    def ancestor(self, root: bytes, slot: int) -> Node:
        """The latest block not after ``slot`` on the chain of ``root``."""
        for node in self.chain(root):
            if node.slot <= slot:
                return node
        return self.genesis

    def is_ancestor(self, ancestor: bytes, root: bytes) -> bool:
        """Whether ``root`` is ``ancestor`` or descends from it."""
        known = self._nodes.get(ancestor)
        return known is not None and self.ancestor(root, known.slot).root == ancestor

    def put_aside(self, root: bytes) -> None:
        """Never choose ``root`` or what descends from it as head."""
        self._aside.add(root)

    def head(self, start: bytes, votes: Mapping[int, bytes], weights: Mapping[int, int]) -> Node:
        """Descend from ``start`` to where the votes lead; ``weights`` are by validator."""
        own: dict[bytes, int] = {}
        for validator, root in votes.items():
            own[root] = own.get(root, 0) + weights.get(validator, 0)
        order = [start]
        for root in order:
            order.extend(self._children[root])
        total: dict[bytes, int] = {}
        for root in reversed(order):
            total[root] = own.get(root, 0) + sum(total[each] for each in self._children[root])
        node = start
        while True:
            options = [each for each in self._children[node] if each not in self._aside]
            if not options:
                return self._nodes[node]
            node = max(options, key=lambda root: (total[root], root))

    def state_at(self, root: bytes, slot: int) -> State:
        """The state after block ``root``, advanced to ``slot``. Shared: copy it to change it.

        Raises:
            StateForgotten: the block is too old.
        """
        node = self._nodes[root]
        if node.state is None:
            raise StateForgotten("look up state", slot=node.slot)
        if slot <= node.slot:
            return node.state
        key = (root, slot)
        if key not in self._advanced:
            earlier = [at for at_root, at in self._advanced if at_root == root and at < slot]
            base = self._advanced[root, max(earlier)] if earlier else node.state
            state = base.copy()
            process_slots(state, slot)
            self._advanced[key] = state
            if len(self._advanced) > ADVANCED_MAX:
                self._advanced.popitem(last=False)
        return self._advanced[key]

    def forget_states(self, before_slot: int, keep: bytes) -> None:
        """Drop the states of blocks before ``before_slot``, except genesis and ``keep``."""
        for node in self._nodes.values():
            if node.slot < before_slot and node.root not in (keep, self.genesis.root):
                node.state = None
