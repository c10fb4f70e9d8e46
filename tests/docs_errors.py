"""Writes docs/reference/errors.md from the error classes of the package.

``python -m tests.docs_errors`` renews the page; tests/test_docs_errors.py holds it to the code.
"""

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

import tetrarch
from tetrarch.errors import InputInvalid, OperatorError, PeerFault, TetrarchError, Transient

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "errors.md"
HEAD = """# Errors

Every expected error has a code that never changes. A command that fails prints one line,

```
error: WHAT: CODE (WHERE); HOW TO MEND
```

and ends with the exit code of its kind: [exit codes](exit-codes.md). In a node's log the code stands in the field
`code` or in the text of `reason`. What is not listed here is a bug: the command prints a traceback and exits 70.

This page is written by `python -m tests.docs_errors` and held to the code by a test.
"""
FAMILIES = (
    (
        OperatorError,
        "For the operator",
        "A person must change something. The command stops; nothing that was stored is lost.",
    ),
    (
        PeerFault,
        "Of a peer",
        "Another node broke the protocol. It is logged and counted; the node goes on.",
    ),
    (
        Transient,
        "Passing",
        "The world was busy or away. The node tries again until the duty's deadline.",
    ),
    (
        InputInvalid,
        "Of input",
        "Bytes or text from outside have the wrong form; whoever read them decides what it means.",
    ),
)
REST = (
    "Answers",
    "An answer to another part of the node, or to a validator client: not found, late.",
)


def error_classes() -> list[type[TetrarchError]]:
    """Every class below ``TetrarchError`` in the package, itself left out."""
    for module in pkgutil.walk_packages(tetrarch.__path__, "tetrarch."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = dict.fromkeys(_below(TetrarchError))
    # Not those of a mutant's module, which other tests have loaded and dropped.
    return [
        error
        for error in found
        if error.__module__.startswith("tetrarch.")
        and vars(sys.modules[error.__module__]).get(error.__name__) is error
    ]


def _below(family: type[TetrarchError]) -> Iterator[type[TetrarchError]]:
    for error in family.__subclasses__():
        yield error
        yield from _below(error)


def page() -> str:
    """The page's whole text."""
    left = [error for error in error_classes() if error not in {f for f, _, _ in FAMILIES}]
    parts = [HEAD]
    for family, title, about in FAMILIES:
        members = [error for error in left if issubclass(error, family)]
        left = [error for error in left if error not in members]
        # The family itself is raised for single cases.
        parts.append(_section(title, about, [family, *members]))
    parts.append(_section(*REST, left))
    return "\n".join(parts)


def _section(title: str, about: str, members: list[type[TetrarchError]]) -> str:
    for_operator = issubclass(members[0], OperatorError)
    head = "| code | exit | meaning | how to mend |\n|---|---|---|---|"
    lines = [
        f"## {title}\n",
        f"{about}\n",
        head if for_operator else "| code | meaning |\n|---|---|",
    ]
    for error in sorted(members, key=lambda each: each.code):
        meaning = (
            (inspect.getdoc(error) or "")
            .split("\n\n")[0]
            .replace("\n", " ")
            .replace("|", "/")
            .replace("``", "`")
        )
        if issubclass(error, OperatorError):
            mend = error.mend or "see the text of the error"
            lines.append(f"| `{error.code}` | {error.exit_code} | {meaning} | {mend} |")
        else:
            lines.append(f"| `{error.code}` | {meaning} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
