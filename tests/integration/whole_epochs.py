"""What whole epochs on the development chain must show: every duty of every kind, none missed.

What the nodes' records and what the chain say is held against the slots that there were.

Slots last 3 s. A block lives for a third of its slot, a contribution from two thirds to its end:
with two such clusters on two cores, which take half of them, nothing came late, and nothing under
a load of 10 beside them; with 2.5 s blocks were missed then, and with 3 s under a load of 20.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.integration.processes import Devchain, NodeProcess, get_json

SLOTS_PER_EPOCH = 8
SLOT_S = 3.0
# In the first epoch the nodes find each other, and agree on what all of them can do.
SLOTS = range(1 * SLOTS_PER_EPOCH, 6 * SLOTS_PER_EPOCH)
SYNC_COMMITTEE_SIZE = 32
# Two members share it, each in all four subcommittees: 8 contributions in each slot are enough.
SYNC_MEMBERS = ("--sync-members", "0,2")
# Kinds that every slot has, as far as the cluster attests in it. The chain reports the first two.
REPORTED = ("attester", "proposer")
OTHERS = (
    "randao",
    "prepare_aggregator",
    "aggregator",
    "sync_message",
    "prepare_sync_contribution",
    "sync_contribution",
)
INFO_SYNC = "info_sync"  # once an epoch, in its last slot
SUBMITTED = ("aggregator", "sync_message", "sync_contribution")


@dataclass(frozen=True, slots=True)
class Done:
    """What became of the duties of some slots; none was missed."""

    votes_and_blocks: int
    late: int
    by_kind: dict[str, int]  # duties of one node; all nodes have as many
    submitted: int
    tried: int

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.by_kind.items())
        return (
            f"{self.votes_and_blocks} votes and blocks on chain, none missed, {self.late} late;"
            f" on each node {kinds}, none missed;"
            f" {self.submitted} of {self.tried} submissions in time"
        )


def check_every_duty(chain: Devchain, nodes: Sequence[NodeProcess], slots: range) -> Done:
    """Of ``slots``, whole epochs that are over: the chain and every node have every duty."""
    report = chain.report()
    assert report["slashable"] == []
    due = [duty for duty in report["duties"] if duty["slot"] in slots]
    missed = [duty for duty in due if duty["status"] not in {"in_time", "late"}]
    assert not missed, f"{missed}\n{_told(nodes, {duty['slot'] for duty in missed})}"
    for kind in REPORTED:
        assert {duty["slot"] for duty in due if duty["type"] == kind} == set(slots), kind
    expected = {kind: set(slots) for kind in (*REPORTED, *OTHERS)}
    expected[INFO_SYNC] = set(slots[SLOTS_PER_EPOCH - 1 :: SLOTS_PER_EPOCH])
    submitted = dict.fromkeys(SUBMITTED, 0)
    for node in nodes:
        for kind, wanted in expected.items():
            records = records_of(node, kind, slots)
            # Of the cluster's own agreement nothing is signed.
            lacking = wanted - _slots_with(records, "stored" if kind == INFO_SYNC else "aggregated")
            assert not lacking, f"{node.name}: no {kind} in {lacking}\n{_told(nodes, lacking)}"
            if kind in SUBMITTED:
                submitted[kind] += len(_slots_with(records, "submitted"))
    # One chain process takes what four nodes submit: on a busy machine some of it is late.
    tried = len(nodes) * len(slots)
    assert all(count > tried // 2 for count in submitted.values()), f"{submitted} of {tried}"
    bits = sync_bits(chain, slots)
    assert set(bits) == {SYNC_COMMITTEE_SIZE}, f"sync messages in the blocks: {bits}"
    return Done(
        votes_and_blocks=len(due),
        late=sum(duty["status"] == "late" for duty in due),
        by_kind={kind: len(wanted) for kind, wanted in expected.items()},
        submitted=sum(submitted.values()),
        tried=len(SUBMITTED) * tried,
    )


def records_of(node: NodeProcess, kind: str, slots: range) -> list[dict[str, Any]]:
    """The node's records of the duties of one kind in ``slots``."""
    listed = get_json(f"{node.url}/duty/list?type={kind}&since_slot={slots.start}")["duties"]
    return [record for record in listed if record["slot"] in slots]


def _slots_with(records: list[dict[str, Any]], step: str) -> set[int]:
    """The slots whose duty has come to ``step``."""
    return {record["slot"] for record in records if step in record["at_ms"]}


def _told(nodes: Sequence[NodeProcess], slots: set[int]) -> str:
    """What the nodes' logs say of the duties of ``slots``."""
    names = tuple(f"duty={slot}/" for slot in slots)
    return "\n".join(
        line
        for node in nodes
        for line in node.text.splitlines()
        if any(name in line for name in names)
    )


def sync_bits(chain: Devchain, slots: range) -> list[int]:
    """How many of the sync committee's messages of each of ``slots`` the next block carries."""
    counts = []
    for slot in slots:
        block = get_json(f"{chain.url}/eth/v2/beacon/blocks/{slot + 1}")["data"]["message"]
        bits = bytes.fromhex(block["body"]["sync_aggregate"]["sync_committee_bits"][2:])
        counts.append(sum(byte.bit_count() for byte in bits))
    return counts
