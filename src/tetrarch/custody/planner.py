"""Which outputs are spent, and for what: the same at all who saw the same outputs and payments, in the same order. Pure.

An output is used at once, or accumulated for later. Payments wait in one line, and none overtakes the one in front of it
(who could, would have large ones wait for ever). What is left over comes back as change; more payments than a transaction
has outputs for are a tree of transactions, each of whose outputs is a payment or a ``Branch``: an output to ourselves that
the next transaction spends once it is there. More outputs than a transaction spends are put together.

    accept   outputs that the ledger ordered: of branches, their payments are planned at once
    pay      payments, which wait
    plan     what can be paid now, and what must be put together
    refund   an output goes back where it came from

Of a plan the inputs are fixed for good; its transaction may be made anew with another fee, and is the same payment.

Nothing is made or lost: outputs held, with those that plans give us, and ``costs`` (fees of ours that no payment bore yet),
are what is owed: payments that wait, in line or in branches, and what others leave with us.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final, Protocol

from tetrarch.custody.amortising import amortise
from tetrarch.custody.outputs import Output, OutputId, Payment, PlanId
from tetrarch.errors import invariant

LABEL: Final = b"tetrarch/custody/plan/1"


class Fees(Protocol):
    """What a transaction costs at the rate of now, by what it spends and pays."""

    def __call__(self, *, inputs: int, addresses: Sequence[bytes]) -> int:
        """The fee; more inputs or addresses never cost less."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of the chain, and of transactions that all nodes relay."""

    inputs_max: int
    outputs_max: int
    dust: int  # the lowest amount that is worth an output of ours, and that is paid
    own_address: bytes  # one of ours: all have the same size

    def __post_init__(self) -> None:
        """A tree needs two branches, and room for change."""
        invariant(self.inputs_max >= 2 and self.outputs_max >= 3, "a transaction has room")


@dataclass(frozen=True, slots=True)
class Branch:
    """Payments that one output of ours is for. ``amount``: what it was to have when it was planned, before fees."""

    amount: int
    payments: tuple[Payment, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One transaction: its outputs are ``payments``, then ``branches``, then ``change``, each with what it gets."""

    id: PlanId
    inputs: tuple[Output, ...]
    payments: tuple[tuple[Payment, int], ...] = ()
    branches: tuple[tuple[Branch, int], ...] = ()
    change: int = 0  # 0: there is none

    @property
    def fee(self) -> int:
        """What it leaves to who mines it."""
        spent = sum(each.amount for each in self.inputs)
        kept = sum(amount for _, amount in (*self.payments, *self.branches))
        return spent - kept - self.change


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What a key holds and owes. ``open``: branches of plans whose transaction is not confirmed, by plan."""

    outputs: tuple[Output, ...] = ()
    waiting: tuple[Payment, ...] = ()
    open: tuple[tuple[PlanId, tuple[Branch, ...]], ...] = ()
    costs: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """What comes of one: ``dropped`` are payments that are never made, as they are too small for what they were to bear."""

    holdings: Holdings
    plans: tuple[Plan, ...] = ()
    dropped: tuple[Payment, ...] = ()

    def then(self, after: "Step") -> "Step":
        """Both, one after the other."""
        return Step(after.holdings, self.plans + after.plans, self.dropped + after.dropped)


@dataclass(frozen=True, slots=True)
class Planner:
    """For one key. Each step gives the holdings after it."""

    key: bytes
    limits: Limits

    def accept(self, holdings: Holdings, outputs: Sequence[Output]) -> Holdings:
        """Hold ``outputs``, which are new."""
        known = {each.id for each in holdings.outputs}
        invariant(not known & {each.id for each in outputs}, "an output comes once")
        return replace(holdings, outputs=(*holdings.outputs, *outputs))

    def pay(self, holdings: Holdings, payments: Sequence[Payment]) -> Holdings:
        """Have ``payments`` wait behind those that do."""
        return replace(holdings, waiting=(*holdings.waiting, *payments))

    def plan(self, holdings: Holdings, fees: Fees) -> Step:
        """Pay whom there is enough for, and put together what are too many. Cost: 5 us for each payment.

        No more than a transaction spends stays held.
        """
        outputs = sorted(holdings.outputs, key=lambda each: (-each.amount, each.id))
        first, rest = outputs[: self.limits.inputs_max], outputs[self.limits.inputs_max :]
        step = Step(holdings)
        while first:
            paying = self._pay_from(step.holdings, first, fees)
            if paying.holdings.waiting == step.holdings.waiting:
                break
            step = step.then(paying)
            held = {each.id for each in step.holdings.outputs}
            first = [each for each in first if each.id in held]
        if len(rest) == 1 and first and step.holdings.waiting:
            rest = [
                first[-1],
                *rest,
            ]  # who waits may need all there is, which one transaction cannot spend
        while len(rest) > 1:
            some, rest = rest[: self.limits.inputs_max], rest[self.limits.inputs_max :]
            step = step.then(self._join(step.holdings, some, fees))
        return step

    def refund(self, holdings: Holdings, output: Output, payment: Payment, fees: Fees) -> Step:
        """Send ``output``, which is not held, back whole, but for the fee; keep it if nothing would be left."""
        left = output.amount - fees(inputs=1, addresses=[payment.address])
        if left < self.limits.dust:
            return Step(self.accept(holdings, [output]), dropped=(payment,))
        return Step(holdings, (self._plan([output], payments=((payment, left),)),))

    def confirmed(
        self, holdings: Holdings, plan: PlanId, outputs: Sequence[Output], fees: Fees
    ) -> Step:
        """The plan's transaction is there: ``outputs`` are those of its branches, in their order.

        Its change comes as any output does. A transaction made anew may give branches less than planned.
        """
        branches = dict(holdings.open).get(plan, ())
        invariant(len(branches) == len(outputs), "each branch has its output")
        left = tuple(each for each in holdings.open if each[0] != plan)
        step = Step(replace(holdings, open=left))
        for branch, output in zip(branches, outputs, strict=True):
            step = step.then(self._grow(step.holdings, branch, output, fees))
        return step

    def _pay_from(self, holdings: Holdings, outputs: Sequence[Output], fees: Fees) -> Step:
        """The front of the line, from as few of ``outputs`` as it takes, the largest first."""
        balance = sum(each.amount for each in outputs)
        paid: list[Payment] = []
        total = 0
        for payment in holdings.waiting[: self._tree_max()]:
            if total + payment.amount > balance:
                break
            paid.append(payment)
            total += payment.amount
        if not paid:
            return Step(holdings)
        used: list[Output] = []
        spent = 0
        for output in outputs:
            if spent >= total:
                break
            used.append(output)
            spent += output.amount
        holdings = replace(holdings, waiting=holdings.waiting[len(paid) :])
        return self._spend(holdings, used, paid, fees)

    def _spend(
        self,
        holdings: Holdings,
        inputs: Sequence[Output],
        paid: Sequence[Payment],
        fees: Fees,
    ) -> Step:
        """One transaction that pays ``paid``, by itself or by a tree; what is left is change."""
        limits = self.limits
        items = _leaves(paid, limits.outputs_max - 1, limits.outputs_max)

        def fee(kept: Sequence[Payment | Branch]) -> int:
            addresses = [*self._addresses(kept), limits.own_address]
            return fees(inputs=len(inputs), addresses=addresses)

        borne = amortise(
            [(each, each.amount) for each in items],
            lambda kept: holdings.costs + fee(kept),
            dust=limits.dust,
        )
        dropped = _payments_of(borne.dropped)
        if not borne.paid:  # what they were worth goes towards what was spent for others
            gained = sum(each.amount for each in dropped)
            costs = max(holdings.costs - gained, 0)
            return Step(replace(holdings, costs=costs), dropped=dropped)
        spent = sum(each.amount for each in inputs)
        change = spent - sum(amount for _, amount in borne.paid) - fee([e for e, _ in borne.paid])
        invariant(change >= 0, "what is paid is there")
        lost = change if change < limits.dust else 0
        plan = self._plan(inputs, *_split(borne.paid), change=change - lost)
        return Step(self._made(replace(holdings, costs=lost), plan), (plan,), dropped)

    def _grow(self, holdings: Holdings, branch: Branch, output: Output, fees: Fees) -> Step:
        """The transaction that a branch is for: it spends that output alone, and has no change."""
        limits = self.limits
        items = _leaves(branch.payments, limits.outputs_max, limits.outputs_max)
        short = max(branch.amount - output.amount, 0)
        borne = amortise(
            [(each, each.amount) for each in items],
            lambda kept: short + fees(inputs=1, addresses=self._addresses(kept)),
            dust=limits.dust,
        )
        dropped = _payments_of(borne.dropped)
        if not borne.paid:
            return Step(self.accept(holdings, [output]), dropped=dropped)
        plan = self._plan([output], *_split(borne.paid))
        return Step(self._made(holdings, plan), (plan,), dropped)

    def _join(self, holdings: Holdings, outputs: Sequence[Output], fees: Fees) -> Step:
        """Make one output of many. What it costs is borne by payments to come."""
        fee = fees(inputs=len(outputs), addresses=[self.limits.own_address])
        left = sum(each.amount for each in outputs) - fee
        if left < self.limits.dust:
            return Step(holdings)  # they wait until fees are lower
        plan = self._plan(outputs, change=left)
        return Step(self._made(replace(holdings, costs=holdings.costs + fee), plan), (plan,))

    def _addresses(self, items: Sequence[Payment | Branch]) -> list[bytes]:
        own = self.limits.own_address
        return [each.address if isinstance(each, Payment) else own for each in items]

    def _made(self, holdings: Holdings, plan: Plan) -> Holdings:
        spent = {each.id for each in plan.inputs}
        branches = tuple(branch for branch, _ in plan.branches)
        return replace(
            holdings,
            outputs=tuple(each for each in holdings.outputs if each.id not in spent),
            open=(*holdings.open, (plan.id, branches)) if branches else holdings.open,
        )

    def _plan(
        self,
        inputs: Sequence[Output],
        payments: tuple[tuple[Payment, int], ...] = (),
        branches: tuple[tuple[Branch, int], ...] = (),
        *,
        change: int = 0,
    ) -> Plan:
        return Plan(
            id=plan_id(self.key, [each.id for each in inputs]),
            inputs=tuple(inputs),
            payments=payments,
            branches=branches,
            change=change,
        )

    def _tree_max(self) -> int:
        """Payments of one tree of two levels: more wait for the next."""
        return self.limits.outputs_max**2


def plan_id(key: bytes, inputs: Sequence[OutputId]) -> PlanId:
    """32 bytes: an output is spent once, so what a plan spends is what it is."""
    hashed = sha256(LABEL + len(key).to_bytes(2, "big") + key)
    for each in sorted(inputs):
        hashed.update(len(each).to_bytes(2, "big") + each)
    return PlanId(hashed.digest())


def _leaves(
    payments: Sequence[Payment], room: int, branch_room: int
) -> tuple[Payment | Branch, ...]:
    """At most ``room`` items: payments, and branches for those that have no room.

    The lowest tree that has them; branches are filled from the end of the line, so who waits longest is paid first.
    """
    if len(payments) <= room:
        return tuple(payments)
    size = branch_room
    while size * room < len(payments):
        size *= branch_room
    left = list(payments)
    branches: list[Branch] = []
    while len(left) + len(branches) > room:
        count = min(size, len(left) + len(branches) + 1 - room)
        some = tuple(left[len(left) - count :])
        del left[len(left) - len(some) :]
        branches.append(Branch(sum(each.amount for each in some), some))
    return (*left, *reversed(branches))


def _split(
    paid: Sequence[tuple[Payment | Branch, int]],
) -> tuple[tuple[tuple[Payment, int], ...], tuple[tuple[Branch, int], ...]]:
    return (
        tuple((each, amount) for each, amount in paid if isinstance(each, Payment)),
        tuple((each, amount) for each, amount in paid if isinstance(each, Branch)),
    )


def _payments_of(items: Sequence[Payment | Branch]) -> tuple[Payment, ...]:
    return tuple(
        payment
        for each in items
        for payment in ((each,) if isinstance(each, Payment) else each.payments)
    )
