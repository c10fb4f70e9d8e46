"""A member's list of the payments that the group makes on an outside network, for all burns up to a final block. Pure.

    network u32 | height u64 | block 32 | count u32, so often: plan 32

A quorum's equal lists order them: whatever is asked to be signed and is on no list is its asker's fault. Burns up to that
block are planned then, and leave the state; a burn is in one list's range and no other's.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Final, Self

from tetrarch.ledger.checkpoints import is_ancestor, standing_of
from tetrarch.ledger.custody import BURNS, PLANS, burn_key, network_of, plan_key, put_network
from tetrarch.ledger.finality import Checkpoint
from tetrarch.ledger.fragments.kind import Context, FragmentRefused
from tetrarch.ledger.headers import ID_SIZE_BYTES, BlockId
from tetrarch.ledger.tables import Draft
from tetrarch.ledger.tallies import choice_of, vote
from tetrarch.ledger.wire import Reader, Writer

PLANS_MAX: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanList:
    """See the module."""

    number: ClassVar[int] = 19
    name: ClassVar[str] = "plan_list"
    free_for_voters: ClassVar[bool] = True

    network: int
    upto: Checkpoint
    plans: tuple[bytes, ...] = ()

    def write(self, writer: Writer) -> None:
        """See ``Body``."""
        writer.u32(self.network).u64(self.upto.height).raw(self.upto.block).u32(len(self.plans))
        for plan in self.plans:
            writer.raw(plan)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """See ``Body``."""
        network = reader.u32()
        upto = Checkpoint(reader.u64(), BlockId(reader.raw(ID_SIZE_BYTES)))
        count = reader.u32(highest=PLANS_MAX)
        plans = tuple(reader.raw(ID_SIZE_BYTES) for _ in range(count))
        return cls(network=network, upto=upto, plans=plans)

    def apply(self, draft: Draft, context: Context) -> None:
        """See ``Body``."""
        network = network_of(draft, self.network)
        if self.upto.height <= network.planned_height:
            raise FragmentRefused(
                "list plans", height=self.upto.height, planned=network.planned_height
            )
        final = standing_of(draft).final.height
        if self.upto.height > final:
            raise FragmentRefused("list plans", height=self.upto.height, final=final)
        if not is_ancestor(draft, self.upto, height=context.height):
            raise FragmentRefused("list plans", height=self.upto.height, reason="another block")
        is_twice = any(PLANS.get(draft, plan_key(self.network, each)) for each in self.plans)
        if is_twice or list(self.plans) != sorted(set(self.plans)):
            raise FragmentRefused("list plans", reason="they are not in order, or listed before")
        about = Writer().u8(self.number).u32(self.network).u64(self.upto.height).data
        writer = Writer()
        self.write(writer)
        choice, voter = choice_of(writer.data), context.payer
        if vote(draft, about=about, choice=choice, voter=voter, height=context.height):
            self._order(draft)

    def _order(self, draft: Draft) -> None:
        for plan in self.plans:
            PLANS.put(draft, plan_key(self.network, plan), self.upto.height)
        network = network_of(draft, self.network)
        number = network.next_unplanned
        while number < network.next_burn:
            burnt = BURNS.get(draft, burn_key(self.network, number))
            if burnt is None or burnt.height > self.upto.height:
                break
            BURNS.remove(draft, burn_key(self.network, number))
            number += 1
        changed = replace(network, planned_height=self.upto.height, next_unplanned=number)
        put_network(draft, self.network, changed)
