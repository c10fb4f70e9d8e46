"""The state of a chain as tables of values, layer upon layer: one layer for each block that is not final. Pure.

What a block changes lies in a layer of its own above its parent's, so branches stand beside each other and nothing is
ever undone: who changes the branch looks from another layer. Below all lies the state of the last final block.

Layers are looked through from the newest. They are merged by twos as a binary counter adds, so that n blocks take
log n looks, and each change is copied log n times.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from tetrarch.errors import invariant

V = TypeVar("V")
Cell: TypeAlias = tuple[str, bytes]  # a table's name, and a key in it
Changes: TypeAlias = Mapping[Cell, Any]  # None: there is nothing any more


class Base:
    """The state of the last final block, as plain tables."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[bytes, Any]] = {}

    def get(self, cell: Cell) -> Any:
        """What is there, or None."""
        name, key = cell
        return self._tables.get(name, {}).get(key)

    def table(self, name: str) -> Mapping[bytes, Any]:
        """All of one table."""
        return self._tables.get(name, {})

    def replace(self, cells: Changes) -> None:
        """All of it is another state."""
        self._tables.clear()
        self.take(cells)

    def take(self, changes: Changes) -> None:
        """They are final."""
        for (name, key), value in changes.items():
            if value is None:
                self._tables.get(name, {}).pop(key, None)
            else:
                self._tables.setdefault(name, {})[key] = value


@dataclass(frozen=True, slots=True)
class _Run:
    """What so many blocks changed together."""

    blocks: int
    changes: Changes


class Layer:
    """What can be seen from one block. It changes no more once it is made."""

    __slots__ = ("_base", "_runs", "changes", "notes")

    def __init__(self, base: Base, runs: tuple[_Run, ...], changes: Changes) -> None:
        """``first_layer`` and ``above`` make them."""
        self._base = base
        self._runs = runs  # the newest first
        self.changes = changes  # of its own block
        self.notes: dict[str, object] = {}  # what was reckoned of it, so that it is so once

    def get(self, cell: Cell) -> Any:
        """What is there, or None."""
        for run in self._runs:
            if cell in run.changes:
                return run.changes[cell]
        return self._base.get(cell)

    def items(self, name: str) -> Iterator[tuple[bytes, Any]]:
        """All of one table, by its keys. Cost: that of sorting it."""
        found = dict(self._base.table(name))
        for run in reversed(self._runs):
            found.update(
                (key, value) for (table, key), value in run.changes.items() if table == name
            )
        for key in sorted(found):
            if found[key] is not None:
                yield key, found[key]

    def above(self, changes: Changes) -> "Layer":
        """The layer of a block after this one, that changes so much."""
        run = _Run(1, changes)
        older = list(self._runs)
        while older and older[0].blocks == run.blocks:
            before = older.pop(0)
            run = _Run(2 * run.blocks, {**before.changes, **run.changes})
        return Layer(self._base, (run, *older), changes)

    def draft(self) -> "Draft":
        """For what comes after it."""
        return Draft(self)


def first_layer(base: Base) -> Layer:
    """As the last final block left it."""
    return Layer(base, (), {})


class Draft:
    """Changes that are being made, over a layer or over another draft."""

    __slots__ = ("_below", "changes")

    def __init__(self, below: "Layer | Draft") -> None:
        self._below = below
        self.changes: dict[Cell, Any] = {}

    def get(self, cell: Cell) -> Any:
        """What is there, or None."""
        if cell in self.changes:
            return self.changes[cell]
        return self._below.get(cell)

    def put(self, cell: Cell, value: Any) -> None:
        """None: there is nothing any more."""
        self.changes[cell] = value

    def items(self, name: str) -> Iterator[tuple[bytes, Any]]:
        """All of one table, by its keys."""
        found = dict(self._below.items(name))
        found.update((key, value) for (table, key), value in self.changes.items() if table == name)
        for key in sorted(found):
            if found[key] is not None:
                yield key, found[key]

    def trial(self) -> "Draft":
        """Changes that may be dropped: ``take`` them, or leave them."""
        return Draft(self)

    def take(self, trial: "Draft") -> None:
        """What was tried holds."""
        invariant(trial._below is self, "a trial is taken by what it was made of")  # noqa: SLF001
        self.changes.update(trial.changes)


View: TypeAlias = Layer | Draft


@dataclass(frozen=True, slots=True)
class Table(Generic[V]):
    """One table by its name, whose values are of one type."""

    name: str
    kind: type[V]

    def get(self, view: View, key: bytes) -> V | None:
        """What is there."""
        value: V | None = view.get((self.name, key))
        return value

    def put(self, draft: Draft, key: bytes, value: V) -> None:
        """It is there from now on."""
        draft.put((self.name, key), value)

    def remove(self, draft: Draft, key: bytes) -> None:
        """There is nothing any more."""
        draft.put((self.name, key), None)

    def items(self, view: View) -> Iterator[tuple[bytes, V]]:
        """All of it, by its keys."""
        return view.items(self.name)
