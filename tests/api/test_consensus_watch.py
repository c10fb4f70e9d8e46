"""What consensus tells its operator: events counted by bounded labels, logged at fitting levels."""

import io
import json

import pytest

from tetrarch.api.consensus_watch import ConsensusWatch
from tetrarch.consensus.codec import MessageInvalid
from tetrarch.consensus.instance import Misbehaviour
from tetrarch.duties.types import Duty, DutyType
from tetrarch.errors import PeerFault
from tetrarch.observability.logs import LogFormat, LogLevel, build_log
from tetrarch.observability.metrics import Metrics


class FixedClock:
    def wall_s(self) -> float:
        return 1_700_000_000.0


class World:
    def __init__(self, level: LogLevel = LogLevel.DEBUG) -> None:
        self.metrics, self._stream = Metrics(), io.StringIO()
        log = build_log(self._stream, clock=FixedClock(), log_format=LogFormat.JSON, level=level)
        self.watch = ConsensusWatch(self.metrics, log)

    def count(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"tetrarch_consensus_{name}_total", labels)

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]


def test_round_change_is_told_with_its_reason() -> None:
    world = World(LogLevel.INFO)
    world.watch.round_changed(Duty(9, DutyType.ATTESTER), 2, "no_proposal")
    assert world.count("round_changes", type="attester", reason="no_proposal") == 1
    (line,) = world.lines
    assert (line["event"], line["level"]) == ("round_changed", "info")
    assert (line["duty"], line["round"], line["reason"]) == ("9/attester", 2, "no_proposal")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Misbehaviour("take message", kind="two_proposals"), "two_proposals"),
        (MessageInvalid("decode consensus payload", reason="length"), "consensus_message_invalid"),
    ],
)
def test_fault_is_told_by_peer_and_kind(fault: PeerFault, kind: str) -> None:
    world = World()
    world.watch.fault(3, fault)
    assert world.count("faults", peer="3", kind=kind) == 1
    warning, detail = world.lines
    assert (warning["level"], warning["peer"], warning["kind"]) == ("warning", 3, kind)
    assert (detail["level"], detail["fault"]) == ("debug", str(fault))


def test_flood_of_faults_is_counted_and_told_once() -> None:
    world = World(LogLevel.INFO)
    for number in range(1000):  # what a peer sends chooses no label and no field of a warning
        world.watch.fault(1, MessageInvalid("decode duty", field="type", got=number))
    assert world.count("faults", peer="1", kind="consensus_message_invalid") == 1000
    assert len(world.lines) == 1


def test_drop_is_counted_and_told_to_who_looks_closely() -> None:
    for level, lines in ((LogLevel.DEBUG, 1), (LogLevel.INFO, 0)):
        world = World(level)
        world.watch.dropped(2, "inbox_full")
        assert world.count("dropped_messages", peer="2", reason="inbox_full") == 1
        assert len(world.lines) == lines
