"""ParSigDB's memory of one validator in one duty. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from tetrarch.duties.parsig_rows import Status
from tetrarch.duties.types import Duty, PartialSignature, Payload, PubKey, ShareIndex

GroupKey = tuple[PubKey, int]  # root key, sub-index


class Outcome(IntEnum):
    """What became of an incoming partial."""

    NEW = 1
    KNOWN = 2
    EQUIVOCATION = 3


@dataclass(slots=True)
class Group:
    """All partials of one validator in one duty: at most one per share."""

    partials: dict[ShareIndex, PartialSignature] = field(default_factory=dict)
    false: set[ShareIndex] = field(default_factory=set)
    aggregated: bool = False  # the group signature is made
    durable: bool = False  # and on disk
    aggregating: bool = False

    @property
    def busy(self) -> bool:
        """Whether SigAgg has its partials just now."""
        return self.aggregating and not self.aggregated

    def is_complete(self, threshold: int) -> bool:
        """Whether another partial is needed no more."""
        return self.aggregated or self.busy or self.match(threshold) is not None

    def add(self, partial: PartialSignature) -> Outcome:
        """Take ``partial``, unless its share has signed already."""
        known = self.partials.get(partial.share_index)
        if known is None:
            self.partials[partial.share_index] = partial
            return Outcome.NEW
        return Outcome.KNOWN if known == partial else Outcome.EQUIVOCATION

    def status_of(self, share: ShareIndex) -> Status:
        """The state that a peer's partial has by now."""
        if share in self.false:
            return Status.EXPIRED
        return Status.AGGREGATED if self.durable else Status.BROADCASTED

    def match(self, threshold: int) -> tuple[Payload, tuple[tuple[ShareIndex, bytes], ...]] | None:
        """The payload that at least ``threshold`` shares signed, with those signatures."""
        rest = [p for share, p in sorted(self.partials.items()) if share not in self.false]
        while len(rest) >= threshold:
            payload = rest[0].payload
            same = [p for p in rest if p.payload == payload]  # nearly always all of them
            if len(same) >= threshold:
                return payload, tuple((p.share_index, p.signature) for p in same)
            rest = [p for p in rest if p.payload != payload]
        return None


def surplus(
    open_groups: Mapping[Duty, Mapping[GroupKey, Group]],
    duty: Duty,
    partial: PartialSignature,
    *,
    kept_max: int,
) -> tuple[Duty, ...]:
    """The oldest duties of the kind in which the share has signed for the validator, but
    ``kept_max``, and but ``duty`` itself. Cost: all open duties are looked at.
    """
    key = partial.pubkey, partial.sub_index
    held = sorted(
        other
        for other, groups in open_groups.items()
        if other.type is duty.type
        and other != duty
        and key in groups
        and partial.share_index in groups[key].partials
    )
    return tuple(held[: max(len(held) - kept_max, 0)])
