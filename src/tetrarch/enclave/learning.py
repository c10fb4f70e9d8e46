"""What a history learns from outside: its key has signed something that it does not hold.

A history restored from an old backup has forgotten signatures that others saw. What it learns
becomes a floor: denied is then everything that could clash with it, and more, never less.
"""

import sqlite3
from collections.abc import Sequence

from tetrarch.enclave.history import raise_floors, raise_slot_floor
from tetrarch.enclave.lookups import KeyHistory
from tetrarch.enclave.rules import Block, Vote, Wish


def unknown(connection: sqlite3.Connection, signed: Sequence[Wish]) -> tuple[int, ...]:
    """Positions of what is neither recorded nor wholly below the floors. Changes nothing."""
    return tuple(
        position for position, each in enumerate(signed) if not _is_known(connection, each)
    )


def learn(connection: sqlite3.Connection, signed: Sequence[Wish]) -> None:
    """Deny from now on all that could clash with ``signed``; in the caller's transaction."""
    for each in signed:
        match each.what:
            case Vote() as vote:
                raise_floors(connection, each.pubkey, vote)
            case Block(slot=slot):
                raise_slot_floor(connection, each.pubkey, slot)


def _is_known(connection: sqlite3.Connection, signed: Wish) -> bool:
    history = KeyHistory(connection, signed.pubkey)
    match signed.what:
        case Block(slot=slot, signing_root=root):
            block, floor = history.at_slot(slot), history.floor_slot()
            # A record without a root came by an import, and denies every root.
            recorded = block is not None and block.signing_root in (root, None)
            return recorded or (floor is not None and slot <= floor)
        case Vote(source=source, target=target, signing_root=root):
            vote, bounds = history.at_target(target), history.bounds()
            if vote is not None and vote.source == source and vote.signing_root in (root, None):
                return True
            return bounds is not None and (
                source <= bounds.floor_source and target <= bounds.floor_target
            )
