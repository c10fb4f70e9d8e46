"""Writes the generated parts of retention.md, duty-reasons.md and workflow.md under docs.

Run ``python -m tests.duties.pages`` after a change of ``duties/retention.py``,
``duties/failure_reasons.py`` or ``duties/wire.py``.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tetrarch.duties.failure_reasons import REASONS
from tetrarch.duties.retention import RETENTION
from tetrarch.duties.wire import Components, wire

DOCS = Path(__file__).resolve().parents[2] / "docs"
RETENTION_PAGE = DOCS / "reference" / "retention.md"
REASONS_PAGE = DOCS / "reference" / "duty-reasons.md"
WORKFLOW_PAGE = DOCS / "explanation" / "workflow.md"
BEGIN, END = "<!-- generated: begin -->\n", "<!-- generated: end -->\n"

Edge = tuple[str, str, str, str]  # component, output, component, input

# The field's name in ``Components``, where the map of the node has another word.
WORDS = {"agreement": "consensus", "deadlines": "deadline"}


class _Port:
    """An output, or an input, of a component that is only named."""

    def __init__(self, component: str, name: str, edges: list[Edge]) -> None:
        self.component, self.name = component, name
        self._edges = edges

    def subscribe(self, target: "_Port") -> None:
        self._edges.append((self.component, self.name, target.component, target.name))


class _Component:
    def __init__(self, name: str, edges: list[Edge]) -> None:
        self._name, self._edges = name, edges

    def __getattr__(self, port: str) -> _Port:
        return _Port(self._name, port, self._edges)


def wired() -> tuple[list[Edge], list[str]]:
    """All edges in the order of wiring, and the names that ``on`` was told of them."""
    edges: list[Edge] = []
    names: list[str] = []

    def on(name: str, handler: Callable[[Any], Awaitable[None]], /) -> Any:
        names.append(name)
        return handler

    parts: Any = {
        field: _Component(WORDS.get(field, field), edges)
        for field in Components.__dataclass_fields__
    }
    wire(Components(**parts), on=on)
    return edges, names


def retention_table() -> str:
    """One line per row of the table in the code."""
    lines = [
        "| database | duty types | kept, in epochs after the slot's | why |",
        "|---|---|---|---|",
    ]
    for row in RETENTION:
        types = ", ".join(each.name.lower() for each in row.duty_types)
        epochs = "never deleted by age" if row.epochs is None else str(row.epochs)
        lines.append(f"| `{row.database}` | {types} | {epochs} | {row.reason} |")
    return "\n".join(lines) + "\n"


def reasons_table() -> str:
    """One line per code."""
    lines = ["| code | what it means | how to mend it |", "|---|---|---|"]
    lines += [f"| `{code}` | {each.meaning} | {each.mend} |" for code, each in REASONS.items()]
    return "\n".join(lines) + "\n"


def workflow_map() -> str:
    """The diagram, then the list of edges."""
    edges, _ = wired()
    lines = ["```mermaid", "flowchart LR"]
    lines += [f"  {source} -- {output} --> {target}" for source, output, target, _ in edges]
    lines += ["```", "", "| from | output | to | input |", "|---|---|---|---|"]
    lines += [f"| {a} | `{output}` | {b} | `{taken}` |" for a, output, b, taken in edges]
    return "\n".join(lines) + "\n"


def with_generated(page: str, generated: str) -> str:
    """``page`` with what stands between the marks replaced."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + generated + END + after


PAGES = (
    (RETENTION_PAGE, retention_table),
    (REASONS_PAGE, reasons_table),
    (WORKFLOW_PAGE, workflow_map),
)

if __name__ == "__main__":
    for path, generate in PAGES:
        path.write_text(with_generated(path.read_text(), generate()))
