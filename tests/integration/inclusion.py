"""What of a set of validators a real chain has taken up, read from its blocks and committees."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError

from tests.integration.lodestar import SLOTS_PER_EPOCH, LodestarBeaconNode
from tests.integration.processes import get_json, post_json

Duty = tuple[int, int]  # slot, validator index


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """Duties that were due and those that are on chain."""

    votes_due: frozenset[Duty]
    votes_included: frozenset[Duty]
    blocks_due: frozenset[Duty]
    blocks_included: frozenset[Duty]

    @property
    def votes_share(self) -> float:
        return len(self.votes_included) / len(self.votes_due)

    @property
    def blocks_share(self) -> float:
        return len(self.blocks_included) / len(self.blocks_due)

    def __str__(self) -> str:
        return (
            f"votes {len(self.votes_included)}/{len(self.votes_due)}, blocks "
            f"{len(self.blocks_included)}/{len(self.blocks_due)}, "
            f"votes missing: {sorted(self.votes_due - self.votes_included)}, "
            f"blocks missing: {sorted(self.blocks_due - self.blocks_included)}"
        )


@dataclass(slots=True, kw_only=True)
class ChainWatch:
    """Notes the duties of each of ``epochs`` while it runs: a node tells of past ones no more."""

    node: LodestarBeaconNode
    epochs: range
    _seats: dict[tuple[int, int, int], int] = field(default_factory=dict)
    _proposers: set[Duty] = field(default_factory=set)

    def run(self) -> None:
        """Return when the last of ``epochs`` ends, having noted each."""
        for epoch in self.epochs:
            self.node.wait_slot(epoch * SLOTS_PER_EPOCH + 1.5)
            self._note(epoch)
        self.node.wait_slot(self.epochs.stop * SLOTS_PER_EPOCH)

    def inclusion(self, validators: Collection[int], *, last_slot: int) -> Inclusion:
        """How much of the noted epochs the canonical chain holds, up to ``last_slot``.

        Votes of a committee in which nobody else sits do not count: this beacon node puts only
        aggregates into blocks, and to aggregate is not among the cluster's duties.
        """
        aggregated = {
            (slot, committee)
            for (slot, committee, _), member in self._seats.items()
            if member not in validators
        }
        votes_due = {
            (slot, member)
            for (slot, committee, _), member in self._seats.items()
            if member in validators and (slot, committee) in aggregated
        }
        blocks_due = {duty for duty in self._proposers if duty[1] in validators}
        votes: set[Duty] = set()
        blocks: set[Duty] = set()
        for slot in range(self.epochs.start * SLOTS_PER_EPOCH, last_slot + 1):
            block = self._block(slot)
            if block is not None:
                blocks.add((slot, int(block["proposer_index"])))
                for attestation in block["body"]["attestations"]:
                    votes |= self._voters(attestation)
        return Inclusion(
            votes_due=frozenset(votes_due),
            votes_included=frozenset(votes & votes_due),
            blocks_due=frozenset(blocks_due),
            blocks_included=frozenset(blocks & blocks_due),
        )

    def _note(self, epoch: int) -> None:
        everyone = [str(index) for index in range(self.node.options.validators)]
        path = f"/eth/v1/validator/duties/attester/{epoch}"
        for each in post_json(self.node.url + path, everyone)["data"]:
            place = (each["slot"], each["committee_index"], each["validator_committee_index"])
            slot, committee, seat = map(int, place)
            self._seats[slot, committee, seat] = int(each["validator_index"])
        for each in get_json(f"{self.node.url}/eth/v1/validator/duties/proposer/{epoch}")["data"]:
            self._proposers.add((int(each["slot"]), int(each["validator_index"])))

    def _block(self, slot: int) -> dict[str, Any] | None:
        try:
            answer = get_json(f"{self.node.url}/eth/v2/beacon/blocks/{slot}")
        except HTTPError as error:
            if error.code == 404:
                return None
            raise
        found: dict[str, Any] = answer["data"]["message"]
        return found if int(found["slot"]) == slot else None

    def _voters(self, attestation: dict[str, Any]) -> set[Duty]:
        slot, committee = int(attestation["data"]["slot"]), int(attestation["data"]["index"])
        bits = bytes.fromhex(attestation["aggregation_bits"].removeprefix("0x"))
        voters = set()
        for seat in range(len(bits) * 8):
            if bits[seat // 8] >> (seat % 8) & 1 and (slot, committee, seat) in self._seats:
                voters.add((slot, self._seats[slot, committee, seat]))
        return voters
