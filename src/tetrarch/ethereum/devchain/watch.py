"""Finds slashable messages: two blocks for a slot, double votes, surround votes.

Only messages whose signature was verified are noted here. Source: EIP-3076; phase0 slashings.
"""

from dataclasses import dataclass
from typing import Any

FINDINGS_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One slashable message. ``kind``: double_vote, surround_vote or double_proposal."""

    kind: str
    validator_index: int
    slot: int
    earlier_root: bytes
    later_root: bytes

    def to_json(self) -> dict[str, Any]:
        """As the report shows it."""
        return {
            "kind": self.kind,
            "validator_index": self.validator_index,
            "slot": self.slot,
            "earlier_root": "0x" + self.earlier_root.hex(),
            "later_root": "0x" + self.later_root.hex(),
        }


@dataclass(frozen=True, slots=True)
class _Vote:
    source: int
    target: int
    root: bytes


class SlashingWatch:
    """Remembers every signed vote and proposal of every validator."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._votes: dict[int, dict[int, _Vote]] = {}
        self._proposals: dict[tuple[int, int], bytes] = {}

    def see_vote(self, validator: int, data: Any) -> Finding | None:
        """Note a signed vote; what it contradicts, if anything, is also added to ``findings``."""
        vote = _Vote(data.source.epoch, data.target.epoch, data.hash_tree_root())
        known = self._votes.setdefault(validator, {})
        same = known.get(vote.target)
        if same is not None and same.root == vote.root:
            return None
        contradicted = same or next(
            (each for each in known.values() if _surround(each, vote) or _surround(vote, each)),
            None,
        )
        known.setdefault(vote.target, vote)
        if contradicted is None:
            return None
        return self._found(
            "double_vote" if same else "surround_vote",
            validator,
            slot=data.slot,
            earlier=contradicted.root,
            later=vote.root,
        )

    def see_proposal(self, validator: int, slot: int, root: bytes) -> Finding | None:
        """Note a signed block."""
        known = self._proposals.setdefault((validator, slot), root)
        if known == root:
            return None
        return self._found("double_proposal", validator, slot=slot, earlier=known, later=root)

    def _found(
        self, kind: str, validator: int, *, slot: int, earlier: bytes, later: bytes
    ) -> Finding:
        finding = Finding(
            kind=kind,
            validator_index=validator,
            slot=slot,
            earlier_root=earlier,
            later_root=later,
        )
        if finding not in self.findings and len(self.findings) < FINDINGS_MAX:
            self.findings.append(finding)
        return finding


def _surround(outer: _Vote, inner: _Vote) -> bool:
    return outer.source < inner.source and inner.target < outer.target
