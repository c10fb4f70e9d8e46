"""The demo's picture: rows of the latest duties, and what stands in them."""

from dataclasses import replace

from rich.console import Console

from tetrarch.demo.summary import ChainDuty, NodeDuty, summarise
from tetrarch.demo.table import ROWS_MAX, Frame, draw, draw_summary, duty_rows, progress_line


def at_node(node: int, slot: int, kind: str = "attester", **at_ms: float) -> NodeDuty:
    return NodeDuty(
        node=node,
        slot=slot,
        type=kind,
        outcome="done",
        reason="",
        validators=node,
        round=1,
        leader=2,
        at_ms=at_ms,
    )


def on_chain(slot: int, status: str = "in_time") -> ChainDuty:
    return ChainDuty(slot=slot, type="attester", validator_index=7, status=status, arrived_ms=1.0)


FRAME = Frame(
    slot=3,
    slot_count=8,
    alive=(True, True, False, True),
    nodes=[at_node(1, 3, decided=12.4, submitted=50), at_node(2, 3, decided=20.0)],
    chain=[on_chain(3), on_chain(3, "missed")],
    keys=True,
)


def shown(frame: Frame) -> str:
    console = Console(width=160)
    with console.capture() as captured:
        console.print(draw(frame))
    return captured.get()


def test_row_gathers_what_all_nodes_say_of_a_duty() -> None:
    (row,) = duty_rows(FRAME)
    assert row == ("3", "attester", "2", "1", "node2", "12..20", "-", "50..50", "1/2")


def test_randao_is_not_shown_and_the_latest_rows_are() -> None:
    nodes = [at_node(0, slot, kind) for slot in range(30) for kind in ("attester", "randao")]
    rows = duty_rows(replace(FRAME, nodes=nodes, chain=[]))
    assert [row[0] for row in rows] == [str(slot) for slot in range(30 - ROWS_MAX, 30)]
    assert {row[-1] for row in rows} == {"-"}


def test_picture_shows_nodes_and_position() -> None:
    text = shown(FRAME)
    assert "2:DOWN" in text
    assert "slot 3 of 8" in text
    assert "press a node's number" in text
    assert "before genesis" in shown(replace(FRAME, slot=-2, keys=False))
    assert "slot 8 of 8" in shown(replace(FRAME, slot=20))


def test_progress_line_counts_what_is_bad_and_who_is_down() -> None:
    assert progress_line(FRAME) == "slot 3 of 8: 2 duties seen, 1 missed or late, nodes down: 2"
    calm = replace(FRAME, slot=-1, alive=(True,), chain=[])
    assert progress_line(calm) == "before genesis: 0 duties seen, 0 missed or late"


def test_summary_shows_every_figure() -> None:
    result = summarise(
        chain=[on_chain(1, "missed")],
        nodes=[],
        excused_slots=frozenset(),
        shape={"slots": 8, "nodes": 4, "validators": 1, "fork": "electra"},
        report={},
    )
    recorder = Console(width=160)
    with recorder.capture() as captured:
        recorder.print(draw_summary(result))
    for name in result.to_json():
        assert name in captured.get()
    assert "1/attester/7" in captured.get()
