"""What a group does for its ledger: the same at all members, as it follows from the ledger's final blocks alone. Pure.

For each final block of the ledger that concerns a network, in order: the blocks outside whose last batch is in it, and the
burns in it. Outputs of those blocks become usable, plans whose transaction is there are over (and their branches are
planned), what goes back is planned, burns wait to be paid; then all that can be paid is planned. What comes of it is a list of plans, to
be ordered by the ledger before any is signed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tetrarch.custody.crediting import Terms, credit
from tetrarch.custody.outputs import Payment, PlanId
from tetrarch.custody.planner import Fees, Holdings, Plan, Planner, Step
from tetrarch.custody.scanned import Done, ScannedBlock
from tetrarch.errors import invariant


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """What a final block of the ledger has for a network. ``blocks``: outside, whose last batch it has."""

    height: int
    blocks: tuple[ScannedBlock, ...] = ()
    burns: tuple[Payment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """``plans``: those whose transaction is not there, by the order in which they were made. ``height``: the ledger's."""

    holdings: Holdings = field(default_factory=Holdings)
    plans: tuple[Plan, ...] = ()
    height: int = -1
    block: int = -1  # number of the latest block outside


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """``unpaid``: payments that are never made, with the reason."""

    position: Position
    plans: tuple[Plan, ...]
    unpaid: tuple[tuple[Payment, str], ...]


@dataclass(frozen=True, slots=True)
class Custodian:
    """For one key of one network."""

    planner: Planner
    terms: Terms
    can_be_paid: Callable[[bytes], bool]

    def act(self, position: Position, ordered: Ordered, fees: Fees) -> Acted:
        """Take what the ledger ordered. Cost: 10 us for each output and payment."""
        invariant(ordered.height > position.height, "the ledger's blocks come in order")
        numbers = [position.block, *(each.number for each in ordered.blocks)]
        invariant(numbers == sorted(set(numbers)), "blocks outside come in order, once")
        step = Step(position.holdings)
        plans = {plan.id: plan for plan in position.plans}
        for block in ordered.blocks:
            invariant(not block.broken, "nobody acts on after what is held was taken")
            for done in block.done:
                invariant(plans.pop(done.plan, None) is not None, "what is done was planned")
                step = step.then(self._confirm(step.holdings, done, fees))
            step = step.then(self._use(step.holdings, block, fees))
        good = tuple(each for each in ordered.burns if self.can_be_paid(each.address))
        bad = tuple(each for each in ordered.burns if not self.can_be_paid(each.address))
        step = step.then(Step(self.planner.pay(step.holdings, good)))
        step = step.then(self.planner.plan(step.holdings, fees))
        unpaid = [(each, "its address is none") for each in bad]
        unpaid += [(each, "it is too small for its fee") for each in step.dropped]
        after = Position(
            holdings=step.holdings,
            plans=(*plans.values(), *step.plans),
            height=ordered.height,
            block=numbers[-1],
        )
        return Acted(position=after, plans=step.plans, unpaid=tuple(unpaid))

    def _confirm(self, holdings: Holdings, done: Done, fees: Fees) -> Step:
        step = Step(holdings)
        if done.change is not None:
            step = Step(self.planner.accept(holdings, [done.change]))
        if done.branches:
            step = step.then(self.planner.confirmed(step.holdings, done.plan, done.branches, fees))
        return step

    def _use(self, holdings: Holdings, block: ScannedBlock, fees: Fees) -> Step:
        credited = credit(block, self.terms, self.can_be_paid)
        step = Step(self.planner.accept(holdings, credited.held))
        for output, payment in credited.refunds:
            step = step.then(self.planner.refund(step.holdings, output, payment, fees))
        return step


def plan_ids(plans: Sequence[Plan]) -> tuple[PlanId, ...]:
    """As the ledger lists them."""
    return tuple(sorted(plan.id for plan in plans))


def held_amount(position: Position) -> int:
    """What is there outside for us, confirmed: outputs that are held, and those that plans spend, until they are spent."""
    held = sum(each.amount for each in position.holdings.outputs)
    return held + sum(each.amount for plan in position.plans for each in plan.inputs)
