import ast
import io
import json
import re
from pathlib import Path

import pytest

from tetrarch.errors import ListenFailed
from tetrarch.observability.logs import LogFormat, LogLevel, SilentLog, build_log, error_fields


class FixedClock:
    def wall_s(self) -> float:
        return 1_700_000_000.25


def test_json_line_starts_with_its_event_and_carries_bound_fields() -> None:
    stream = io.StringIO()
    log = build_log(stream, clock=FixedClock(), log_format=LogFormat.JSON, node=2)
    log.bind(peer=1).info("peer_connected", lock_hash=b"\x01\x02")
    assert stream.getvalue().startswith('{"event": "peer_connected"')
    assert json.loads(stream.getvalue()) == {
        "event": "peer_connected",
        "level": "info",
        "time": "2023-11-14T22:13:20.250Z",
        "node": 2,
        "peer": 1,
        "lock_hash": "0x0102",
    }


def test_two_logs_in_one_process_share_nothing() -> None:
    first, second = io.StringIO(), io.StringIO()
    lines: list[str] = []
    one = build_log(
        first,
        clock=FixedClock(),
        level=LogLevel.DEBUG,
        on_line=lambda level, _topic: lines.append(level),
        node=1,
    )
    two = build_log(second, clock=FixedClock(), node=2)
    one.debug("duty_done")
    two.debug("not_written")
    two.warning("peer_absent", mend="start the peer")
    assert "duty_done" in first.getvalue()
    assert "node=1" in first.getvalue()
    assert "not_written" not in second.getvalue()
    assert "mend='start the peer'" in second.getvalue()
    assert lines == ["debug"]


@pytest.mark.parametrize("log_format", LogFormat)
def test_neither_secret_fields_nor_local_variables_get_out(log_format: LogFormat) -> None:
    stream = io.StringIO()
    log = build_log(stream, clock=FixedClock(), log_format=log_format)
    share = "in" + "visible"
    try:
        int(f"{len(share)} bytes")
    except ValueError as error:
        log.warning("task_crashed", keystore_password=share, exc_info=error)
    assert "invisible" not in stream.getvalue()
    assert "<redacted>" in stream.getvalue()
    assert "ValueError" in stream.getvalue()


def test_error_fields_say_what_and_how_to_mend() -> None:
    fields = error_fields(ListenFailed("open listener", address="127.0.0.1:1"))
    assert fields["code"] == "listen_failed"
    assert fields["address"] == "127.0.0.1:1"
    assert fields["mend"] == ListenFailed.mend


def test_silent_log_accepts_everything() -> None:
    SilentLog().bind(node=1).warning("anything", field=1)


class Now:
    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def wall_s(self) -> float:
        return self.now_s


def test_equal_warnings_are_told_once_in_a_while() -> None:
    stream, clock, counted = io.StringIO(), Now(), list[str]()
    log = build_log(
        stream,
        clock=clock,
        log_format=LogFormat.JSON,
        on_line=lambda level, _topic: counted.append(level),
    )
    for _ in range(5):
        log.warning("step_failed", worker="store")
        log.warning("step_failed", worker="send")
        log.info("duty_done")
        clock.now_s += 1
    clock.now_s += 10
    log.warning("step_failed", worker="store")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    told = [(line["worker"], line.get("left_out")) for line in lines if "worker" in line]
    assert told == [("store", None), ("send", None), ("store", 4)]
    assert len([line for line in lines if line["event"] == "duty_done"]) == 5
    assert counted.count("warning") == 3


def test_memory_for_repeats_is_bounded() -> None:
    stream = io.StringIO()
    log = build_log(stream, clock=FixedClock())
    for number in range(1000):
        log.warning("step_failed", number=number)
    log.warning("step_failed", number=0)
    assert len(stream.getvalue().splitlines()) == 1001


def test_a_line_that_cannot_be_written_harms_nobody() -> None:
    class FullDisk(io.StringIO):
        def write(self, _text: str, /) -> int:
            raise OSError(28, "No space left on device")

    build_log(FullDisk(), clock=FixedClock()).error("disk_full")


def test_every_warning_and_error_has_a_code_to_group_it_by() -> None:
    stream = io.StringIO()
    log = build_log(stream, clock=FixedClock(), log_format=LogFormat.JSON)
    log.info("peer_connected")
    log.warning("slots_skipped", count=2)
    log.error("aggregation_failed", code="storage_full")
    codes = [json.loads(line).get("code") for line in stream.getvalue().splitlines()]
    assert codes == [None, "slots_skipped", "storage_full"]


def test_lines_that_tell_an_error_tell_its_code_and_events_are_plain_names() -> None:
    untold, odd = [], []
    for path in sorted((Path(__file__).parents[2] / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr not in {"warning", "error", "critical"} or not node.args:
                continue
            event = node.args[0]
            where = f"{path.name}:{node.lineno}"
            if isinstance(event, ast.Constant) and not re.fullmatch(r"[a-z_]+", str(event.value)):
                odd.append(where)
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if given.get("reason") == "str(error)" and "code" not in given:
                untold.append(where)
    assert untold == []
    assert odd == []
