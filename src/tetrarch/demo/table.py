"""The demo's picture: a table of the latest duties, the nodes, and the way through the slots."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tetrarch.demo.summary import ChainDuty, NodeDuty, Summary

ROWS_MAX = 16
HIDDEN_TYPES = frozenset({"randao", "prepare_aggregator", "prepare_sync_contribution"})  # of others


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """All that one picture shows."""

    slot: int
    slot_count: int
    alive: tuple[bool, ...]
    nodes: Sequence[NodeDuty]
    chain: Sequence[ChainDuty]
    keys: bool


def _milliseconds(values: Sequence[float]) -> str:
    return f"{min(values):.0f}..{max(values):.0f}" if values else "-"


def duty_rows(frame: Frame) -> list[tuple[str, ...]]:
    """The latest duties, newest last: one row of text cells each."""
    by_duty: dict[tuple[int, str], list[NodeDuty]] = {}
    for duty in frame.nodes:
        if duty.type not in HIDDEN_TYPES:
            by_duty.setdefault((duty.slot, duty.type), []).append(duty)
    seen: dict[tuple[int, str], list[ChainDuty]] = {}
    for row in frame.chain:
        seen.setdefault((row.slot, row.type), []).append(row)
    rows: list[tuple[str, ...]] = []
    for (slot, kind), duties in sorted(by_duty.items())[-ROWS_MAX:]:
        rounds = sorted({d.round for d in duties if d.round is not None})
        leaders = sorted({d.leader for d in duties if d.leader is not None})
        on_chain = seen.get((slot, kind), [])
        taken = sum(row.status == "in_time" for row in on_chain)
        rows.append(
            (
                str(slot),
                kind,
                str(max(d.validators for d in duties)),
                ",".join(map(str, rounds)) or "-",
                ",".join(f"node{leader}" for leader in leaders) or "-",
                _milliseconds([d.at_ms["decided"] for d in duties if "decided" in d.at_ms]),
                _milliseconds([d.at_ms["threshold"] for d in duties if "threshold" in d.at_ms]),
                _milliseconds([d.at_ms["submitted"] for d in duties if "submitted" in d.at_ms]),
                f"{taken}/{len(on_chain)}" if on_chain else "-",
            )
        )
    return rows


def draw(frame: Frame) -> RenderableType:
    """The whole picture."""
    table = Table(title="duties of the cluster, newest last", title_justify="left", expand=False)
    for name in ("slot", "duty", "validators", "round", "leader"):
        table.add_column(name, justify="right" if name != "duty" else "left")
    for name in ("decided ms", "threshold ms", "broadcast ms", "included"):
        table.add_column(name, justify="right")
    for row in duty_rows(frame):
        included = row[-1].split("/")
        style = "red" if len(included) == 2 and included[0] == "0" else ""
        table.add_row(*row, style=style)
    alive = Text("nodes ")
    for node, is_alive in enumerate(frame.alive):
        alive.append(f" {node}:{'up' if is_alive else 'DOWN'} ", "green" if is_alive else "red")
    if frame.keys:
        alive.append("  press a node's number to kill or restart it, q to stop")
    done = max(0, min(frame.slot, frame.slot_count))
    bar = ProgressBar(total=frame.slot_count, completed=done, width=48)
    position = "before genesis" if frame.slot < 0 else f"slot {done} of {frame.slot_count}"
    return Group(table, alive, Text(position), bar)


def progress_line(frame: Frame) -> str:
    """One line for a log instead of a picture."""
    down = [str(node) for node, is_alive in enumerate(frame.alive) if not is_alive]
    bad = sum(duty.status in ("missed", "late") for duty in frame.chain)
    position = f"slot {frame.slot} of {frame.slot_count}" if frame.slot >= 0 else "before genesis"
    return (
        f"{position}: {len(frame.chain)} duties seen, {bad} missed or late"
        f"{', nodes down: ' + ','.join(down) if down else ''}"
    )


def draw_summary(summary: Summary) -> RenderableType:
    """The result, for people."""
    table = Table(title="summary", title_justify="left", show_header=False)
    for name, value in summary.to_json().items():
        shown = ", ".join(value) if isinstance(value, tuple) else value
        table.add_row(name, "-" if shown in (None, "") else str(shown))
    return table
