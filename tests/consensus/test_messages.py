"""Numbers of the protocol and bounds of its values."""

import pytest
from tests.consensus.building import DUTY

from tetrarch.consensus.messages import (
    ROUNDS_MAX,
    Message,
    MessageType,
    ValueHash,
    faulty_max,
    leader,
    quorum,
)
from tetrarch.duties.types import Duty, DutyType
from tetrarch.errors import InputInvalid


def test_quorum_and_faults_of_usual_clusters() -> None:
    assert [(n, quorum(n), faulty_max(n)) for n in (1, 3, 4, 7, 10)] == [
        (1, 1, 0),
        (3, 2, 0),
        (4, 3, 1),
        (7, 5, 2),
        (10, 7, 3),
    ]


def test_two_quorums_share_an_honest_node() -> None:
    for node_count in range(1, 100):
        shared = 2 * quorum(node_count) - node_count
        assert shared > faulty_max(node_count)
        assert quorum(node_count) <= node_count - faulty_max(node_count), "liars cannot stop it"


def test_leader_goes_round() -> None:
    duty = Duty(5, DutyType.PROPOSER)
    assert [leader(duty, round_, 4) for round_ in (1, 2, 3, 4, 5)] == [3, 0, 1, 2, 3]
    assert leader(Duty(5, DutyType.ATTESTER), 1, 4) == 0


@pytest.mark.parametrize("round_", [0, -1, ROUNDS_MAX + 1])
def test_round_out_of_range_is_refused(round_: int) -> None:
    with pytest.raises(InputInvalid):
        Message(MessageType.PREPARE, DUTY, 0, round_)


def test_prepared_round_and_hash_lengths_are_checked() -> None:
    with pytest.raises(InputInvalid):
        Message(MessageType.ROUND_CHANGE, DUTY, 0, 2, prepared_round=ROUNDS_MAX + 1)
    with pytest.raises(InputInvalid):
        Message(MessageType.PREPARE, DUTY, 0, 2, ValueHash(b"short"))
