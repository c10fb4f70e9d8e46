"""What of a set of validators a real chain has taken up, read from its blocks and committees."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError

from tests.integration.lodestar import SLOTS_PER_EPOCH
from tests.integration.processes import get_json



@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """Duties as (slot, validator index): those due and those that are on chain."""

    votes_due: frozenset[tuple[int, int]]
    votes_included: frozenset[tuple[int, int]]
    blocks_due: frozenset[tuple[int, int]]
    blocks_included: frozenset[tuple[int, int]]

    @property
    def votes_share(self) -> float:
        return len(self.votes_included) / len(self.votes_due)

    @property
    def blocks_share(self) -> float:
        return len(self.blocks_included) / len(self.blocks_due)

    def __str__(self) -> str:
        missing = sorted(self.votes_due - self.votes_included)
        return (
            f"votes {len(self.votes_included)}/{len(self.votes_due)}, blocks "
            f"{len(self.blocks_included)}/{len(self.blocks_due)}, votes missing: {missing}, "
            f"blocks missing: {sorted(self.blocks_due - self.blocks_included)}"
        )


def inclusion_on_chain(
    url: str, validators: Collection[int], *, epochs: range, last_slot: int
) -> Inclusion:
    """Read the canonical chain at ``url`` from the first of ``epochs`` up to ``last_slot``.

    Duties of ``epochs`` count; blocks up to ``last_slot`` may carry their votes.
    """
    first, end = epochs.start * SLOTS_PER_EPOCH, epochs.stop * SLOTS_PER_EPOCH
    committees: dict[tuple[int, int], list[int]] = {}
    blocks_due: set[tuple[int, int]] = set()
    for epoch in epochs:
        path = f"/eth/v1/beacon/states/head/committees?epoch={epoch}"
        for each in get_json(url + path)["data"]:
            members = [int(index) for index in each["validators"]]
            committees[int(each["slot"]), int(each["index"])] = members
    votes_due = {
        (slot, index)
        for (slot, _), members in committees.items()
        for index in members
        if index in validators
    }
    votes: set[tuple[int, int]] = set()
    blocks: set[tuple[int, int]] = set()
    for slot in range(max(first, 1), last_slot + 1):
        block = _block(url, slot)
        if block is None:
            continue
        proposer = int(block["proposer_index"])
        if proposer in validators and slot < end:
            blocks.add((slot, proposer))
        for attestation in block["body"]["attestations"]:
            votes |= _voters(attestation, committees)
    for epoch in epochs:
        for duty in _proposers(url, epoch):
            slot, index = int(duty["slot"]), int(duty["validator_index"])
            if index in validators and slot > 0:  # no one proposes the genesis block
                blocks_due.add((slot, index))
    return Inclusion(
        votes_due=frozenset(votes_due),
        votes_included=frozenset(votes & votes_due),
        blocks_due=frozenset(blocks_due | blocks),
        blocks_included=frozenset(blocks),
    )


def _block(url: str, slot: int) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = get_json(f"{url}/eth/v2/beacon/blocks/{slot}")["data"]["message"]
    except HTTPError as error:
        if error.code == 404:
            return None
        raise
    # Some nodes answer with the last block before an empty slot.
    return found if int(found["slot"]) == slot else None


def _proposers(url: str, epoch: int) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = get_json(f"{url}/eth/v1/validator/duties/proposer/{epoch}")[
            "data"
        ]
    except HTTPError as error:
        if error.code in (400, 500):  # it tells of current epochs only
            return []
        raise
    return found


def _voters(
    attestation: dict[str, Any], committees: dict[tuple[int, int], list[int]]
) -> set[tuple[int, int]]:
    slot, index = int(attestation["data"]["slot"]), int(attestation["data"]["index"])
    members = committees.get((slot, index), [])
    bits = bytes.fromhex(attestation["aggregation_bits"].removeprefix("0x"))
    voted = [bits[at // 8] >> (at % 8) & 1 for at in range(len(members))]
    return {(slot, member) for member, bit in zip(members, voted, strict=True) if bit}
