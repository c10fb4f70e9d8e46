"""What is spent for what: every coin is accounted for, and each payment made once."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.custody.planning_world import (
    LIMITS,
    OWN,
    Rate,
    World,
    external,
    payment,
    payments,
)

from tetrarch.custody.outputs import Output, OutputId, OutputKind
from tetrarch.custody.planner import Holdings, Planner, plan_id
from tetrarch.errors import InvariantBroken

FEES = Rate()


def test_one_payment_has_its_fee_taken_off_and_the_rest_comes_back() -> None:
    world = World()
    world.deposit(1, 50_000)
    world.ask([payment(1, 20_000)])
    (plan,) = world.plan()
    fee = FEES(inputs=1, addresses=[payment(1).address, OWN])
    assert plan.payments == ((payment(1, 20_000), 20_000 - fee),)
    assert (plan.change, plan.fee, plan.branches) == (30_000, fee, ())
    assert world.holdings == Holdings()
    assert plan.id == plan_id(b"key", [external(1, 0).id])


def test_nobody_overtakes_the_one_in_front() -> None:
    world = World()
    world.deposit(1, 50_000)
    large, small = payment(1, 60_000), payment(2, 5_000)
    world.ask([large, small])
    assert world.plan() == ()
    assert world.holdings.waiting == (large, small)
    world.deposit(2, 20_000)
    (plan,) = world.plan()
    assert [each for each, _ in plan.payments] == [large, small]


def test_as_few_outputs_are_spent_as_it_takes() -> None:
    world = World()
    for number, amount in enumerate((1_000, 30_000, 20_000, 9_000)):
        world.deposit(number, amount)
    world.ask([payment(1, 40_000)])
    (plan,) = world.plan()
    assert [each.amount for each in plan.inputs] == [30_000, 20_000]
    assert {each.amount for each in world.holdings.outputs} == {1_000, 9_000}


def test_what_is_left_pays_the_next() -> None:
    """A tree at a time: payments of a second one need not wait for the first one's change."""
    world = World()
    world.deposit(1, 16 * 10_000)
    world.deposit(2, 40_000)
    world.ask(payments(18))
    first, second = world.plan()
    assert len(first.branches) + len(first.payments) == 3
    assert len(second.payments) == 2
    world.run()
    assert world.settled()


def test_change_that_is_dust_is_left_and_charged_to_who_is_paid_next() -> None:
    world = World()
    world.deposit(1, 20_300)
    world.ask([payment(1, 20_000)])
    (plan,) = world.plan()
    assert plan.change == 0
    assert world.holdings.costs == 300
    world.deposit(2, 20_000)
    world.ask([payment(2, 10_000)])
    (plan,) = world.plan()
    fee = FEES(inputs=1, addresses=[payment(2).address, OWN])
    assert plan.payments[0][1] == 10_000 - fee - 300
    assert plan.change == 10_300, "which makes good for it"
    assert world.holdings.costs == 0


def test_more_outputs_than_a_transaction_spends_are_put_together() -> None:
    world = World()
    for number in range(2 * LIMITS.inputs_max + 1):
        world.deposit(number, 10_000)
    (join,) = world.plan()
    assert len(join.inputs) == LIMITS.inputs_max
    assert join.payments == ()
    assert join.change == 4 * 10_000 - FEES(inputs=4, addresses=[OWN])
    assert world.holdings.costs == join.fee
    assert len(world.holdings.outputs) == LIMITS.inputs_max + 1, "a single one is not put together"
    world.confirm(join)
    world.ask([payment(1, 9_000)])
    plan, again = world.plan()
    assert plan.payments[0][1] == 9_000 - plan.fee - join.fee
    assert (len(again.inputs), world.holdings.costs) == (2, again.fee)


def test_who_needs_more_outputs_than_a_transaction_spends_gets_them_joined() -> None:
    world = World()
    for number in range(LIMITS.inputs_max + 1):
        world.deposit(number, 10_000)
    world.ask([payment(1, 45_000)])
    (join,) = world.plan()
    assert (len(join.inputs), join.payments) == (2, ())
    world.run()
    assert world.settled()


def test_outputs_that_are_worth_less_than_their_fee_wait_for_lower_ones() -> None:
    world = World(fees=Rate(100))
    for number in range(6):
        world.deposit(number, 2_000)
    assert world.plan() == ()
    world.fees = Rate(1)
    assert len(world.plan()) == 1


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9, 12, 13, 16, 17, 40])
def test_payments_without_room_are_a_tree(count: int) -> None:
    """One less than, as many as, and one more than there is room for, on each level."""
    world = World()
    world.deposit(1, count * 10_000 + 5_000)
    world.ask(payments(count))
    world.run()
    assert world.settled()
    assert not world.dropped
    assert len(world.paid) == count


@pytest.mark.parametrize(("count", "outputs_max"), [(258, 16), (15, 16), (256, 16), (257, 16)])
def test_trees_as_the_reference_names_them(count: int, outputs_max: int) -> None:
    limits = replace(LIMITS, outputs_max=outputs_max)
    world = World(planner=Planner(b"key", limits))
    world.deposit(1, count * 10_000 + 5_000)
    world.ask(payments(count))
    assert len(world.plan()) == 1
    assert len(world.holdings.waiting) == max(count - outputs_max**2, 0), "the change pays them"
    depth = 0
    while world.unconfirmed:
        depth += 1
        for plan in tuple(world.unconfirmed):
            world.confirm(plan)
        world.plan()
    assert world.settled()
    assert not world.dropped
    assert depth <= 3


def test_who_waits_longest_is_paid_first_in_a_tree() -> None:
    world = World()
    world.deposit(1, 200_000)
    world.ask(payments(5))
    (plan,) = world.plan()
    assert [each.id for each, _ in plan.payments] == [b"p0", b"p1"]
    ((branch, amount),) = plan.branches
    assert [each.id for each in branch.payments] == [b"p2", b"p3", b"p4"]
    assert branch.amount - 1 <= amount + plan.fee // 3 + 1
    (child,) = world.confirm(plan)
    assert (len(child.inputs), child.change) == (1, 0)
    assert [each.id for each, _ in child.payments] == [b"p2", b"p3", b"p4"]
    assert sum(paid for _, paid in child.payments) + child.fee == amount


def test_branches_of_equal_amounts_are_not_mixed_up() -> None:
    world = World()
    world.deposit(1, 9 * 10_000 + 1_000)
    world.ask(payments(9))
    (plan,) = world.plan()
    first, second = (branch for branch, _ in plan.branches[:2])
    assert {each.id for each in first.payments}.isdisjoint(each.id for each in second.payments)
    world.run()
    assert len(world.paid) == 9


def test_a_branch_that_got_less_pays_less() -> None:
    """Its transaction was made anew, with a higher fee."""
    world = World()
    world.deposit(1, 100_000)
    world.ask(payments(5))
    (plan,) = world.plan()
    holdings, (branch, amount) = world.holdings, plan.branches[0]
    output = Output(OutputId(b"b"), OutputKind.BRANCH, amount - 900)
    (child,) = world.planner.confirmed(holdings, plan.id, [output], FEES).plans
    assert len(child.payments) == len(branch.payments)
    assert sum(paid for _, paid in child.payments) + child.fee == amount - 900
    gone = Output(OutputId(b"b"), OutputKind.BRANCH, 501)
    step = world.planner.confirmed(world.holdings, plan.id, [gone], FEES)
    assert (step.plans, step.dropped) == ((), branch.payments)
    assert gone in step.holdings.outputs, "all its payments are dust: it is held"


def test_all_children_dust() -> None:
    world = World()
    world.deposit(1, 110_000)
    world.ask([*payments(2, amount=50_000), *payments(3, amount=520, first=2)])
    (plan,) = world.plan()
    world.fees = Rate(20)
    assert world.confirm(plan) == ()
    assert world.dropped == {b"p2", b"p3", b"p4"}
    assert world.settled()
    assert world.holdings.outputs[-1].kind is OutputKind.BRANCH, "what was for them is held"


def test_payments_that_are_too_small_for_their_fee_are_dropped_and_said() -> None:
    world = World()
    world.deposit(1, 50_000)
    world.ask([payment(1, 501)])
    assert world.plan() == ()
    assert world.holdings.waiting == ()
    world.ask([payment(2, 510), payment(3, 20_000)])
    (plan,) = world.plan()
    assert world.dropped == {b"p1", b"p2"}
    assert [each for each, _ in plan.payments] == [payment(3, 20_000)]


def test_a_refund_sends_all_but_the_fee() -> None:
    planner = World().planner
    output = external(1, 10_000)
    back = replace(payment(1), amount=10_000)
    step = planner.refund(Holdings(), output, back, FEES)
    (plan,) = step.plans
    fee = FEES(inputs=1, addresses=[back.address])
    assert (plan.payments, plan.change, plan.fee) == (((back, 10_000 - fee),), 0, fee)
    assert step.holdings == Holdings()
    small = external(2, 500 + fee - 1)
    step = planner.refund(Holdings(), small, back, FEES)
    assert (step.holdings.outputs, step.plans, step.dropped) == ((small,), (), (back,))


def test_an_output_that_came_before_is_a_fault_of_ours() -> None:
    world = World()
    world.deposit(1, 1_000)
    with pytest.raises(InvariantBroken):
        world.planner.accept(world.holdings, [external(1, 1_000)])
    with pytest.raises(InvariantBroken):
        world.planner.confirmed(world.holdings, plan_id(b"", []), [external(2, 1)], FEES)


def test_two_with_the_same_input_plan_the_same() -> None:
    def plans(order: int) -> list[object]:
        world = World()
        for number in (1, 2, 3)[::order]:
            world.deposit(number, 30_000)
        world.ask(payments(7))
        return [world.plan(), sorted(each.id for each in world.holdings.outputs)]

    assert plans(1) == plans(-1)


@given(st.integers(0, 2**32))
@settings(deadline=None, max_examples=150)
def test_nothing_is_made_or_lost(seed: int) -> None:
    """Whatever comes in whatever order: ``World.check`` after each step."""
    rng = Random(seed)
    limits = replace(LIMITS, inputs_max=rng.randint(2, 6), outputs_max=rng.randint(3, 6))
    world = World(planner=Planner(b"key", limits))
    balance = 0
    for step in range(rng.randint(1, 25)):
        match rng.randrange(5):
            case 0:
                amount = rng.choice((500, 700, rng.randint(1_000, 200_000)))
                world.deposit(step, amount)
                balance += amount
            case 1:
                some = []
                for number in range(rng.randint(1, 12)):
                    amount = rng.choice((501, 900, 20_000, rng.randint(500, 60_000)))
                    if amount <= balance:
                        balance -= amount
                        some.append(payment(100 * step + number, amount))
                world.ask(some)
            case 2:
                world.fees = Rate(rng.choice((1, 1, 2, 9)))
            case 3:
                world.plan()
            case _:
                for plan in rng.sample(world.unconfirmed, len(world.unconfirmed) // 2):
                    world.confirm(plan)
    world.fees = Rate(1)
    world.run()
    waits = sum(each.amount for each in world.holdings.waiting)
    held = sum(each.amount for each in world.holdings.outputs)
    assert world.settled() or waits > held, "only fees that nobody bore yet keep anybody waiting"


def test_a_plan_is_its_key_and_what_it_spends_in_any_order() -> None:
    one, two = OutputId(b"one"), OutputId(b"two")
    assert plan_id(b"key", [one, two]) == plan_id(b"key", [two, one])
    others = (
        plan_id(b"other", [one, two]),
        plan_id(b"key", [one]),
        plan_id(b"key", [OutputId(b"onetwo")]),
        plan_id(b"ke", [OutputId(b"yone"), two]),
    )
    assert len({plan_id(b"key", [one, two]), *others}) == 5
