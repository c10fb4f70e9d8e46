"""Whoever knocks fills no disk: few lines, and none that leaves out how many there were."""

import io
import json
from typing import Any

from tetrarch.clock import SystemClock
from tetrarch.network.overlay.refusals import ADDRESSES_MAX, OTHERS, WINDOW_S, Refusals
from tetrarch.observability.logs import LogFormat, LogLevel, build_log


class Said:
    """Refusals, and the lines that they wrote."""

    def __init__(self) -> None:
        self._text = io.StringIO()
        log = build_log(
            self._text, clock=SystemClock(), log_format=LogFormat.JSON, level=LogLevel.DEBUG
        )
        self.refusals = Refusals(log, "refused")

    @property
    def lines(self) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._text.getvalue().splitlines()]
        return [
            {name: line[name] for name in ("address", "reason", "left_out") if name in line}
            for line in lines
        ]


def test_the_first_is_said_at_once_and_the_rest_as_a_number() -> None:
    said = Said()
    for number in range(1000):
        said.refusals.note("a", f"reason {number}", now_s=0.0)
    said.refusals.note("b", "reason", now_s=1.0)
    first = [{"address": "a", "reason": "reason 0"}, {"address": "b", "reason": "reason"}]
    said.refusals.tell(now_s=WINDOW_S - 1)
    assert said.lines == first
    said.refusals.tell(now_s=WINDOW_S)
    assert said.lines == [*first, {"address": "a", "reason": "reason 999", "left_out": 999}]
    said.refusals.note("a", "again", now_s=WINDOW_S + 1)
    said.refusals.tell(now_s=2 * WINDOW_S)
    assert said.lines[3:] == [{"address": "a", "reason": "again", "left_out": 1}]


def test_who_comes_back_later_is_said_at_once() -> None:
    said = Said()
    said.refusals.note("a", "one", now_s=0.0)
    said.refusals.tell(now_s=WINDOW_S)
    said.refusals.note("a", "two", now_s=WINDOW_S)
    assert [line["reason"] for line in said.lines] == ["one", "two"]
    assert "left_out" not in said.lines[1]


def test_of_many_addresses_the_last_are_told_together() -> None:
    said = Said()
    for number in range(1000):
        said.refusals.note(f"host{number}", "reason", now_s=0.0)
    assert len(said.lines) == ADDRESSES_MAX + 1
    said.refusals.tell(now_s=WINDOW_S)
    rest = 1000 - ADDRESSES_MAX - 1
    assert said.lines[-1] == {"address": OTHERS, "reason": "reason", "left_out": rest}
