"""Reads PromQL as far as tests need it: which metrics a query asks for, and by which labels."""

import re
from dataclasses import dataclass

_WORDS = {"by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset"}
_WORDS |= {"and", "or", "unless", "le", "inf", "nan"}
_GROUPING = re.compile(
    r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)", re.IGNORECASE
)
_SELECTOR = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{[^}]*\})?(\s*\()?")


@dataclass(frozen=True)
class Query:
    """Metrics (sample names) with the labels that their selectors name, and grouping labels."""

    selectors: tuple[tuple[str, frozenset[str]], ...]
    grouping: frozenset[str]


def parse(expression: str) -> Query:
    """What ``expression`` needs. Strings and ranges do not matter."""
    text = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    text = re.sub(r"\[[^\]]*\]", "", text)
    grouping = {
        label.strip() for match in _GROUPING.finditer(text) for label in match[1].split(",")
    } - {""}
    text = _GROUPING.sub(" ", text)
    selectors = []
    for name, labels, call in _SELECTOR.findall(text):
        if call or name.lower() in _WORDS:
            continue
        named = re.findall(r"([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)", labels)
        selectors.append((name, frozenset(named)))
    return Query(tuple(selectors), frozenset(grouping))
