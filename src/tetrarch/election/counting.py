"""How an enclave sees that its sealed state is the newest: by a counter that no backup sets back.

Without one, a new life asks the others (``promises.take_receipts``). With one it need not, if all that
they could tell it is in the state: what it reserved, and what it keeps for them. So a state that
changes one of these is *counted*: sealed with the counter's next value, then the counter is advanced, and only
then does anything follow from it. A state whose value is the counter's is the newest counted one.
Votes need not be counted: a new life begins above all terms that former ones reserved.

It holds only if all states of a member are sealed under one counter, from its birth to its end; a
second copy of it that runs beside it notices that the counter moved, and stops. Pure.
"""

from collections.abc import Callable
from typing import Protocol

from tetrarch.election.promises import Promises
from tetrarch.election.voter import Sealed
from tetrarch.errors import OperatorError


class CounterMoved(OperatorError):
    """The counter of this member's state was advanced by somebody else: by a second copy of it."""

    code = "election_counter_moved"
    mend = "stop the other copy of this member, then start this one again: it asks the others"


class Counter(Protocol):
    """Only grows, and outlives everything. Both may raise what hardware raises."""

    def read(self) -> int:
        """Its value."""
        ...

    def advance(self) -> int:
        """Make it greater by one; its value then."""
        ...


def must_count(before: Sealed, after: Sealed) -> bool:
    """Whether the others would be asked for what is new in ``after``."""
    return after.registry != before.registry or _life(after.promises) != _life(before.promises)


def _life(promises: Promises) -> tuple[int, bytes, int]:
    return promises.incarnation, promises.boot, promises.asked_to


class Counting:
    """Seals states of one member under its counter. ``count``: the value in the state that it has."""

    def __init__(self, counter: Counter, count: int) -> None:
        self._counter = counter
        self._count = count

    def is_newest(self) -> bool:
        """Whether the state is the newest counted one. To be asked once, at the start."""
        value = self._counter.read()
        if value + 1 == self._count:  # it was sealed, and the machine stopped before it was counted
            value = self._counter.advance()
        is_newest = value == self._count
        self._count = value
        return is_newest

    def seal(self, store: Callable[[int], None], *, counted: bool) -> None:
        """Have ``store`` seal a state with a value.

        Raises:
            CounterMoved: nothing may follow from that state.
        """
        if not counted:
            store(self._count)
            return
        store(self._count + 1)
        value = self._counter.advance()
        if value != self._count + 1:
            raise CounterMoved("count state", expected=self._count + 1, got=value)
        self._count = value
