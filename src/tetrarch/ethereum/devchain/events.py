"""What the chain tells its listeners, in the words of the beacon API's event stream."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tetrarch.ethereum.devchain.tree import BlockTree, Node


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainEvent:
    """One event as the beacon API's stream names it."""

    topic: str
    data: Mapping[str, Any]


def block_data(node: Node) -> dict[str, Any]:
    """A block was taken."""
    return {
        "slot": str(node.slot),
        "block": "0x" + node.root.hex(),
        "execution_optimistic": False,
    }


def finalized_data(node: Node, epoch: int) -> dict[str, Any]:
    """``node`` is final since ``epoch``."""
    return {
        "block": "0x" + node.root.hex(),
        "state": "0x" + node.state_root.hex(),
        "epoch": str(epoch),
        "execution_optimistic": False,
    }


def reorg_data(tree: BlockTree, old: Node, new: Node, *, slots_per_epoch: int) -> dict[str, Any]:
    """The head moved to another branch."""
    on_new = {node.root for node in tree.chain(new.root)}
    common = next(node for node in tree.chain(old.root) if node.root in on_new)
    return {
        "slot": str(new.slot),
        "depth": str(max(1, old.slot - common.slot)),
        "old_head_block": "0x" + old.root.hex(),
        "new_head_block": "0x" + new.root.hex(),
        "old_head_state": "0x" + old.state_root.hex(),
        "new_head_state": "0x" + new.state_root.hex(),
        "epoch": str(new.slot // slots_per_epoch),
        "execution_optimistic": False,
    }


def head_data(
    old: Node, new: Node, *, slots_per_epoch: int, dependent_roots: tuple[bytes, bytes]
) -> dict[str, Any]:
    """The head is another block; ``dependent_roots`` are of the previous and the current epoch."""
    previous, current = dependent_roots
    return {
        "slot": str(new.slot),
        "block": "0x" + new.root.hex(),
        "state": "0x" + new.state_root.hex(),
        "epoch_transition": new.slot // slots_per_epoch > old.slot // slots_per_epoch,
        "previous_duty_dependent_root": "0x" + previous.hex(),
        "current_duty_dependent_root": "0x" + current.hex(),
        "execution_optimistic": False,
    }
