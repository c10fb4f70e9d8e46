"""Draws stories and lists of duties for a terminal. What peers claim is drawn as text alone."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from tetrarch.duties.failure_reasons import REASONS
from tetrarch.duties.report import DutyReport, Outcome, PeerPart, Standing, Step, Verdict, printable
from tetrarch.duties.stories import NodeStory, Story

SCALE_WIDTH = 36
SHOWN_MS_MAX = 100_000_000.0  # more than a day: an epoch is the longest that a duty lasts
FAULTS_SHOWN_MAX = 24
_WALL_S_MAX = 253_402_300_799  # year 9999
_STYLES = {
    Outcome.DONE: "bold green",
    Outcome.FAILED: "bold red",
    Outcome.OPEN: "bold cyan",
    Outcome.IDLE: "dim",
    Outcome.NOT_OURS: "dim",
}
_PART_STYLES = {
    Standing.ON_TIME: "green",
    Standing.LATE: "yellow",
    Standing.MISSING: "red",
    Standing.BAD: "bold red",
}


def draw_story(story: Story) -> RenderableType:
    """The whole story: how it ended, why, when what happened on which node, who took part."""
    name = f"{story.slot}/{story.type}"
    own = next((node for node in story.nodes if node.is_own), None)
    told = [(node, report) for node in story.nodes if (report := _of(node, name)) is not None]
    mine = None if own is None else _of(own, name)
    parts: list[RenderableType] = [_heading(name, mine or (told[0][1] if told else None))]
    if story.from_database_alone:
        parts.append(_note("from this node's database alone: it does not run, nobody was asked"))
    if not told:
        parts.append(_note("no node knows this duty: none of the cluster's, or too long ago"))
    else:
        shown = mine or told[0][1]
        parts += [*_verdict(shown), *_timeline(told), *_rounds(story, told)]
        parts += [*_signatures(story, told), *_disagreement(story, told), *_faults(story, told)]
        parts += _rests_on(own)
    parts += _silent(story)
    return Group(*parts)


def draw_list(reports: Sequence[DutyReport], *, from_database_alone: bool) -> RenderableType:
    """A table, the newest last."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("duty", "outcome", "reason"):
        table.add_column(column, no_wrap=True)
    for column in ("validators", "round", "leader", "submitted ms", "on chain"):
        table.add_column(column, justify="right")
    table.add_column("missing, late, bad")
    for report in reports:
        table.add_row(
            Text(report.name),
            Text(report.outcome.value, _STYLES[report.outcome]),
            Text(report.reason),
            str(report.validators),
            _or_dash(report.round),
            "-" if report.leader is None else f"node{report.leader}",
            _ms(report.at_ms.get(Step.SUBMITTED)),
            _on_chain(report),
            _absent(report),
        )
    parts: list[RenderableType] = [table]
    if not reports:
        parts = [_note("no duties are kept that match")]
    if from_database_alone:
        parts.append(_note("from the database alone: the node does not answer"))
    return Group(*parts)


# --- how it ended ------------------------------------------------------------------------------


def _heading(name: str, report: DutyReport | None) -> RenderableType:
    title = Text(f"duty {name}", "bold")
    if report is not None and 0 < report.started_s < _WALL_S_MAX:
        begun = datetime.fromtimestamp(report.started_s, UTC)
        title.append(
            f"   began {begun:%Y-%m-%d %H:%M:%S}.{begun.microsecond // 1000:03d} UTC", "dim"
        )
        title.append(f"   validators: {report.validators}", "dim")
    return Rule(title, align="left", style="dim")


def _verdict(report: DutyReport) -> Iterator[RenderableType]:
    line = Text("  ")
    line.append(report.outcome.value, _STYLES[report.outcome])
    if report.reason:
        line.append(f": {report.reason}", _STYLES[report.outcome])
    if not report.ended:
        line.append("  (not over yet)", "dim")
    yield line
    reason = REASONS.get(report.reason)
    if reason is not None and report.outcome is Outcome.FAILED:
        yield Text(f"    what   {reason.meaning}")
        yield Text(f"    mend   {reason.mend}")
    if report.detail:
        yield Text(f"    detail {report.detail}")
    yield Text("  on chain: ", "").append(*_inclusion(report))
    yield Text("")


def _inclusion(report: DutyReport) -> tuple[str, str]:
    found = report.inclusion
    if found is None:
        waits = Step.SUBMITTED in report.at_ms and report.type in (
            "attester",
            "proposer",
            "sync_message",
        )
        return ("not answered yet" if waits and not report.ended else "-", "dim")
    count = f"{found.included} of {found.due}"
    match found.verdict:
        case Verdict.INCLUDED:
            slots = "in its slot" if found.distance == 0 else f"after {found.distance} slot(s)"
            return f"{count}, {slots}", "green"
        case Verdict.NOT_INCLUDED:
            return f"{count}; not included: {', '.join(found.missing)}", "red"
        case Verdict.OTHER_HEAD:
            missing = ", ".join(found.missing)
            return f"{count}; not included, for another head than the chain's: {missing}", "red"
        case Verdict.NO_BLOCK:
            return f"{count}: no block came that could have taken it", "yellow"
        case Verdict.UNKNOWN:
            return f"{count} seen; the beacon node did not tell of the rest", "yellow"


# --- when what happened ------------------------------------------------------------------------


def _timeline(told: Sequence[tuple[NodeStory, DutyReport]]) -> Iterator[RenderableType]:
    """One row a step, one column a node, and all nodes on one scale."""
    steps = [step for step in Step if any(step in report.at_ms for _, report in told)]
    if not steps:
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("milliseconds after its start")
    for node, _ in told:
        table.add_column(Text(_name(node)), justify="right")
    shown = [ms for _, report in told for ms in report.at_ms.values() if abs(ms) <= SHOWN_MS_MAX]
    scale = (min(shown, default=0.0), max(shown, default=0.0))
    ends = _ms(scale[0]), _ms(scale[1])
    table.add_column(f"{ends[0]} {'─' * max(SCALE_WIDTH - 2 - sum(map(len, ends)), 0)} {ends[1]}")
    for step in steps:
        cells = [_ms(report.at_ms.get(step)) for _, report in told]
        places = {node.peer: report.at_ms.get(step) for node, report in told}
        table.add_row(step.value, *cells, Text(_scale(places, *scale), "cyan"))
    yield Padding(table, (0, 0, 1, 2))


def _scale(places: dict[int, float | None], first_ms: float, last_ms: float) -> str:
    """Each node's number where it was at; a star where several were."""
    cells = ["·"] * SCALE_WIDTH
    for peer, ms in places.items():
        if ms is None or not first_ms <= ms <= last_ms:
            continue
        share = (ms - first_ms) / (last_ms - first_ms) if last_ms > first_ms else 0.0
        place = round(share * (SCALE_WIDTH - 1))
        mark = str(peer) if peer < 10 else "+"
        cells[place] = mark if cells[place] == "·" else "*"
    return "".join(cells)


def _rounds(story: Story, told: Sequence[tuple[NodeStory, DutyReport]]) -> Iterator[RenderableType]:
    """Who led which round, and what became of it, by how many nodes say so."""
    said: dict[str, list[str]] = {}
    for node, report in told:
        for change in report.round_changes:
            text = (
                f"round {change.round - 1} led by {_peer(story, change.leader)} was left"
                f" for round {change.round}: {change.lacked}"
            )
            said.setdefault(text, []).append(f"{_name(node)} at {_ms(change.at_ms)} ms")
        if report.round is not None and report.leader is not None:
            text = f"round {report.round} led by {_peer(story, report.leader)} decided"
            at_ms = report.at_ms.get(Step.DECIDED)
            said.setdefault(text, []).append(f"{_name(node)} at {_ms(at_ms)} ms")
    if not said:
        return
    yield Text("  consensus", "bold")
    for text, nodes in sorted(said.items()):
        yield Text(f"    {text}  ").append(f"({', '.join(nodes)})", "dim")
    yield Text("")


# --- who took part -----------------------------------------------------------------------------


def _signatures(
    story: Story, told: Sequence[tuple[NodeStory, DutyReport]]
) -> Iterator[RenderableType]:
    """Whose partials came when, as each node saw it."""
    if not any(report.parts for _, report in told):
        return
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("partial signatures, as seen by")
    peers = [node.peer for node in story.nodes]
    if story.from_database_alone:  # nobody else is there to be asked
        peers = sorted({part.peer for _, report in told for part in report.parts})
    for peer in peers:
        table.add_column(Text(f"of {_peer(story, peer)}"), justify="right")
    for node, report in told:
        by_peer = {part.peer: part for part in report.parts}
        table.add_row(
            Text(_name(node) + ("" if node.is_own else " (its word)")),
            *(_part(by_peer.get(peer)) for peer in peers),
        )
    yield Padding(table, (0, 0, 1, 2))


def _part(part: PeerPart | None) -> Text:
    if part is None:
        return Text("-", "dim")
    style = _PART_STYLES[part.standing]
    match part.standing:
        case Standing.ON_TIME:
            return Text(f"{_ms(part.first_ms)} ms", style)
        case Standing.LATE:
            return Text(f"late, {_ms(part.first_ms)} ms", style)
        case Standing.MISSING:
            return Text("MISSING", style)
        case Standing.BAD:
            return Text(f"BAD, {part.bad}", style)


def _disagreement(
    story: Story, told: Sequence[tuple[NodeStory, DutyReport]]
) -> Iterator[RenderableType]:
    for node, report in told:
        if report.cohorts:
            yield Text(f"  shares signed different things, as {_name(node)} saw it", "bold yellow")
            for cohort in report.cohorts:
                peers = ", ".join(_peer(story, peer) for peer in cohort.peers)
                yield Text(f"    {cohort.said}: {peers}")
            yield Text("")


def _faults(story: Story, told: Sequence[tuple[NodeStory, DutyReport]]) -> Iterator[RenderableType]:
    lines: dict[str, list[str]] = {}
    for node, report in told:
        for fault in report.faults:
            where = "" if fault.of_duty else ", while its slot lasted"
            text = f"{_peer(story, fault.peer)}: {fault.kind}{where}"
            lines.setdefault(text, []).append(f"{_name(node)} x{fault.count}")
    if not lines:
        return
    yield Text("  broke the protocol", "bold red")
    for text, nodes in sorted(lines.items())[:FAULTS_SHOWN_MAX]:
        yield Text(f"    {text}  ", "red").append(f"(seen by {', '.join(nodes)})", "dim")
    yield Text("")


def _rests_on(own: NodeStory | None) -> Iterator[RenderableType]:
    """The duties of the slot that this one needs, as this node saw them."""
    for report in () if own is None else own.reports[1:]:
        line = Text(f"  rests on {report.name}: ")
        line.append(f"{report.outcome.value} {report.reason}".strip(), _STYLES[report.outcome])
        yield line


def _silent(story: Story) -> Iterator[RenderableType]:
    for node in story.nodes:
        if node.trouble:
            yield _note(f"{_name(node)} told nothing: {node.trouble}")
    others = [node for node in story.nodes if not node.is_own and node.reports]
    if others:
        yield _note("* this node; what the others say is their word")


# --- small things ------------------------------------------------------------------------------


def _of(node: NodeStory, name: str) -> DutyReport | None:
    return next((report for report in node.reports if report.name == name), None)


def _name(node: NodeStory) -> str:
    name = printable(node.name, length_max=40)
    return f"{name}*" if node.is_own else name


def _peer(story: Story, peer: int) -> str:
    return next((_name(node) for node in story.nodes if node.peer == peer), f"node{peer}")


def _ms(ms: float | None) -> str:
    """Short, whatever the number is."""
    if ms is None:
        return "-"
    if not abs(ms) <= SHOWN_MS_MAX:
        return "?"
    return f"{ms:.1f}" if abs(ms) < 10 else f"{ms:.0f}"


def _on_chain(report: DutyReport) -> Text:
    found = report.inclusion
    if found is None:
        return Text("-", "dim")
    style = "green" if found.verdict is Verdict.INCLUDED else "red"
    return Text(f"{found.included}/{found.due}", style)


def _absent(report: DutyReport) -> Text:
    text = Text()
    for standing in (Standing.MISSING, Standing.LATE, Standing.BAD):
        for peer in report.peers_that_are(standing):
            text.append(f"node{peer} {standing.value}  ", _PART_STYLES[standing])
    return text


def _or_dash(value: int | None) -> str:
    return "-" if value is None else str(value)


def _note(text: str) -> Text:
    return Text(f"  {text}", "dim")
