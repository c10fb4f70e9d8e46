"""From the ledger's blocks to plans, the same at all."""

from dataclasses import replace

import pytest
from tests.custody.planning_world import LIMITS, Rate, external, payment

from tetrarch.custody.crediting import Terms
from tetrarch.custody.custodian import (
    Acted,
    Custodian,
    Ordered,
    Position,
    held_amount,
    plan_ids,
)
from tetrarch.custody.instructions import Deposit
from tetrarch.custody.outputs import Output, OutputId, OutputKind, PlanId
from tetrarch.custody.planner import Plan, Planner
from tetrarch.custody.scanned import Broken, Done, Incoming, ScannedBlock
from tetrarch.errors import InvariantBroken

FEES = Rate()
CUSTODIAN = Custodian(
    Planner(b"key", LIMITS),
    Terms(network=1, coin=0, join_cost=100, dust=500),
    lambda address: address.startswith(b"address"),
)


def block(number: int, *incoming: Incoming, done: tuple[Done, ...] = ()) -> ScannedBlock:
    empty = ScannedBlock(number=number, id=b"%032d" % number, parent=b"p" * 32, time_s=0)
    return replace(empty, incoming=incoming, done=done)


def deposit(number: int, amount: int) -> Incoming:
    return Incoming(external(number, amount), Deposit(b"a" * 32), ())


def act(position: Position, **ordered: object) -> Acted:
    height = position.height + 1
    return CUSTODIAN.act(position, Ordered(height=height, **ordered), FEES)  # type: ignore[arg-type]


def done(plan: Plan) -> Done:
    transaction = b"tx" + plan.id[:30]
    branches = tuple(
        Output(OutputId(transaction + b"%d" % place), OutputKind.BRANCH, amount)
        for place, (_, amount) in enumerate(plan.branches)
    )
    change = Output(OutputId(transaction + b"c"), OutputKind.CHANGE, plan.change)
    return Done(plan.id, transaction, branches, change if plan.change else None)


def test_a_deposit_is_held_and_a_burn_paid_from_it() -> None:
    acted = act(Position(), blocks=(block(7, deposit(1, 50_000)),))
    assert (acted.plans, held_amount(acted.position), acted.position.block) == ((), 50_000, 7)
    acted = act(acted.position, burns=(payment(1, 20_000),))
    (plan,) = acted.plans
    assert plan_ids(acted.plans) == (plan.id,)
    assert acted.position.plans == (plan,)
    assert held_amount(acted.position) == 50_000, "until its transaction is there"
    acted = act(acted.position, blocks=(block(9, done=(done(plan),)),))
    assert (acted.plans, acted.position.plans) == ((), ())
    assert held_amount(acted.position) == plan.change
    assert acted.position.holdings.outputs[0].kind is OutputKind.CHANGE


def test_branches_are_planned_once_their_transaction_is_there() -> None:
    position = act(Position(), blocks=(block(1, deposit(1, 100_000)),)).position
    acted = act(position, burns=tuple(payment(number) for number in range(5)))
    (plan,) = acted.plans
    assert len(plan.branches) == 1
    acted = act(acted.position, blocks=(block(2, done=(done(plan),)),))
    (child,) = acted.plans
    assert len(child.payments) == 3
    assert acted.position.plans == (child,)


def test_what_has_no_instruction_goes_back() -> None:
    incoming = Incoming(external(1, 9_000), None, (), b"address of sender")
    acted = act(Position(), blocks=(block(1, incoming),))
    (plan,) = acted.plans
    assert [each.address for each, _ in plan.payments] == [b"address of sender"]
    assert held_amount(acted.position) == 9_000
    acted = act(acted.position, blocks=(block(2, done=(done(plan),)),))
    assert held_amount(acted.position) == 0


def test_burns_that_cannot_be_paid_are_told() -> None:
    position = act(Position(), blocks=(block(1, deposit(1, 50_000)),)).position
    nowhere = replace(payment(1), address=b"nowhere")
    small = payment(2, 501)
    acted = act(position, burns=(nowhere, small, payment(3)))
    assert acted.unpaid == (
        (nowhere, "its address is none"),
        (small, "it is too small for its fee"),
    )
    (plan,) = acted.plans
    assert [each for each, _ in plan.payments] == [payment(3)]


def test_a_burn_is_paid_once_however_often_the_ledger_is_read() -> None:
    """The same ledger gives the same plans, and a height comes once."""
    ordered = [
        Ordered(height=3, blocks=(block(1, deposit(1, 50_000), deposit(2, 8_000)),)),
        Ordered(height=4, burns=(payment(1), payment(2, 30_000))),
        Ordered(height=8, burns=(payment(3, 5_000),)),
    ]

    def run() -> list[Acted]:
        position, acted = Position(), []
        for each in ordered:
            acted.append(CUSTODIAN.act(position, each, FEES))
            position = acted[-1].position
        return acted

    assert run() == run()
    last = run()[-1].position
    for old in ordered:
        with pytest.raises(InvariantBroken):
            CUSTODIAN.act(last, old, FEES)


def test_what_must_never_be_acted_on() -> None:
    position = act(Position(), blocks=(block(5, deposit(1, 50_000)),)).position
    unknown = Done(PlanId(b"?" * 32), b"t", (), None)
    broken = replace(block(6), broken=(Broken(external(1, 1).id, b"thief"),))
    for blocks in (
        (block(5),),
        (block(4),),
        (block(7), block(6)),
        (block(6, deposit(1, 50_000)),),
        (broken,),
        (block(6, done=(unknown,)),),
    ):
        with pytest.raises(InvariantBroken):
            act(position, blocks=blocks)
