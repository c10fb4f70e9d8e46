"""What counts as slashable."""

from types import SimpleNamespace
from typing import Any

import pytest

from tetrarch.ethereum.devchain.watch import SlashingWatch


def vote(source: int, target: int, root: bytes = b"") -> Any:
    name = bytes((source, target)) + root
    return SimpleNamespace(
        slot=target * 8,
        source=SimpleNamespace(epoch=source),
        target=SimpleNamespace(epoch=target),
        hash_tree_root=lambda: name.ljust(32, b"\0"),
    )


def test_same_vote_again_is_harmless() -> None:
    watch = SlashingWatch()
    assert watch.see_vote(1, vote(0, 1)) is None
    assert watch.see_vote(1, vote(0, 1)) is None
    assert watch.see_vote(2, vote(0, 1, b"other")) is None
    assert watch.see_vote(1, vote(1, 2)) is None
    assert watch.findings == []


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        (vote(0, 1), vote(0, 1, b"other"), "double_vote"),
        (vote(0, 4), vote(1, 3), "surround_vote"),
        (vote(1, 3), vote(0, 4), "surround_vote"),
    ],
)
def test_contradiction_is_found_once(first: Any, second: Any, kind: str) -> None:
    watch = SlashingWatch()
    watch.see_vote(1, first)
    for _ in range(2):
        finding = watch.see_vote(1, second)
        if kind == "double_vote":
            assert finding is not None
    assert [(each.kind, each.validator_index) for each in watch.findings] == [(kind, 1)]


def test_second_block_of_a_slot_is_found() -> None:
    watch = SlashingWatch()
    assert watch.see_proposal(3, 9, b"a" * 32) is None
    assert watch.see_proposal(3, 9, b"a" * 32) is None
    assert watch.see_proposal(3, 10, b"b" * 32) is None
    finding = watch.see_proposal(3, 9, b"c" * 32)
    assert finding is not None
    assert finding.kind == "double_proposal"
    assert watch.findings == [finding]
