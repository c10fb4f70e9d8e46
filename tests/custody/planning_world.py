"""A chain that confirms each plan's transaction as it is, and keeps account of all coins."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tetrarch.custody.outputs import Output, OutputId, OutputKind, Payment, PaymentId
from tetrarch.custody.planner import Holdings, Limits, Plan, Planner, Step

OWN = b"own address of us"
LIMITS = Limits(inputs_max=4, outputs_max=4, dust=500, own_address=OWN)


@dataclass(frozen=True)
class Rate:
    """So much for each unit of weight."""

    rate: int = 1

    def __call__(self, *, inputs: int, addresses: Sequence[bytes]) -> int:
        return self.rate * (11 + 58 * inputs + sum(9 + len(each) for each in addresses))


def payment(number: int, amount: int = 10_000) -> Payment:
    return Payment(PaymentId(b"p%d" % number), b"address %d" % number, amount)


def payments(count: int, amount: int = 10_000, first: int = 0) -> list[Payment]:
    return [payment(first + number, amount) for number in range(count)]


def external(number: int, amount: int) -> Output:
    return Output(OutputId(b"e%d" % number), OutputKind.EXTERNAL, amount)


@dataclass
class World:
    """``check`` after each step: it holds what is there against what is owed."""

    planner: Planner = field(default_factory=lambda: Planner(b"key", LIMITS))
    holdings: Holdings = field(default_factory=Holdings)
    fees: Rate = field(default_factory=Rate)
    unconfirmed: list[Plan] = field(default_factory=list)
    came: int = 0
    left: int = 0  # of deposits, with us: what they were not worth as payments
    asked: dict[PaymentId, int] = field(default_factory=dict)
    paid: dict[PaymentId, int] = field(default_factory=dict)
    dropped: set[PaymentId] = field(default_factory=set)
    spent: set[OutputId] = field(default_factory=set)
    fees_paid: int = 0

    def deposit(self, number: int, amount: int) -> None:
        self.came += amount
        self.holdings = self.planner.accept(self.holdings, [external(number, amount)])
        self.check()

    def ask(self, some: Sequence[Payment]) -> None:
        self.asked |= {each.id: each.amount for each in some}
        self.holdings = self.planner.pay(self.holdings, some)
        self.check()

    def plan(self) -> tuple[Plan, ...]:
        return self._take(self.planner.plan(self.holdings, self.fees))

    def confirm(self, plan: Plan, *, short: int = 0) -> tuple[Plan, ...]:
        """Its transaction is there; each branch has ``short`` less, as it was made anew with a higher fee."""
        self.unconfirmed.remove(plan)
        self.fees_paid += plan.fee + short * len(plan.branches)
        if plan.change:
            change = Output(OutputId(plan.id + b"c"), OutputKind.CHANGE, plan.change)
            self.holdings = self.planner.accept(self.holdings, [change])
        outputs = [
            Output(OutputId(plan.id + b"%d" % place), OutputKind.BRANCH, amount - short)
            for place, (_, amount) in enumerate(plan.branches)
        ]
        if not outputs:
            return ()
        return self._take(self.planner.confirmed(self.holdings, plan.id, outputs, self.fees))

    def run(self) -> None:
        """Until nothing more is planned and all is confirmed."""
        while self.plan() or self.unconfirmed:
            for plan in tuple(self.unconfirmed):
                self.confirm(plan)

    def _take(self, step: Step) -> tuple[Plan, ...]:
        limits = self.planner.limits
        self.holdings = step.holdings
        for plan in step.plans:
            assert len(plan.inputs) <= limits.inputs_max
            outputs = (*plan.payments, *plan.branches)
            count = len(outputs) + bool(plan.change)
            assert 1 <= count <= limits.outputs_max
            assert all(amount >= limits.dust for _, amount in outputs)
            assert plan.change == 0 or plan.change >= limits.dust
            own = [OWN] * (len(plan.branches) + bool(plan.change))
            addresses = [each.address for each, _ in plan.payments] + own
            assert plan.fee >= self.fees(inputs=len(plan.inputs), addresses=addresses)
            for output in plan.inputs:
                assert output.id not in self.spent, "an output is spent once"
                self.spent.add(output.id)
            for each, amount in plan.payments:
                assert each.id not in self.paid, "a payment is made once"
                assert amount <= self.asked[each.id]
                self.paid[each.id] = amount
        for each in step.dropped:
            assert each.id not in self.dropped
            self.dropped.add(each.id)
        assert not self.dropped & self.paid.keys()
        self.unconfirmed += step.plans
        self.check()
        return step.plans

    def check(self) -> None:
        """Whatever came is held, on its way, paid, or a fee; and what is held is enough for what is owed."""
        held = sum(each.amount for each in self.holdings.outputs)
        on_its_way = sum(
            plan.change + sum(amount for _, amount in plan.branches) for plan in self.unconfirmed
        )
        gone = sum(self.paid.values())
        fees = self.fees_paid + sum(plan.fee for plan in self.unconfirmed)
        assert self.came == held + on_its_way + gone + fees
        owed_for_good = self.came - sum(self.asked.values())  # what others leave with us
        waiting = sum(each.amount for each in self.holdings.waiting)
        branches = sum(amount for plan in self.unconfirmed for _, amount in plan.branches)
        assert held + on_its_way + self.holdings.costs >= owed_for_good + waiting + branches
        assert self.holdings.costs >= 0

    def settled(self) -> bool:
        """Whether each payment was made or dropped."""
        return self.asked.keys() == self.paid.keys() | self.dropped and not self.holdings.open
