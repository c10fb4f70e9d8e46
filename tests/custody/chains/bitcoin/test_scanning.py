"""What a block has for us: deposits, plans carried out, strays, and what must stop everything."""

from dataclasses import replace

import pytest
from embit.transaction import Transaction
from tests.custody.chains.bitcoin.block_maker import block_of, coinbase, id_of, transaction
from tests.custody.chains.bitcoin.test_transactions import HELD, held, plan, signatures

from tetrarch.custody.chains.bitcoin.addresses import REGTEST
from tetrarch.custody.chains.bitcoin.blocks import BlockInvalid
from tetrarch.custody.chains.bitcoin.scanning import Watch, scan
from tetrarch.custody.chains.bitcoin.transactions import (
    Draft,
    draft_of,
    output_id,
    outputs_of,
    signed,
)
from tetrarch.custody.instructions import Deposit, encode_deposit
from tetrarch.custody.outputs import Output, OutputId, OutputKind
from tetrarch.custody.planner import Plan
from tetrarch.custody.scanned import Broken, Incoming, ScannedBlock

STRANGER = OutputId(b"s" * 36)
EXTERNAL = held(OutputKind.EXTERNAL).script
DEPOSIT = Deposit(b"a" * 32)
DATA = encode_deposit(DEPOSIT)
OP_RETURN = b"\x6a" + bytes((len(DATA),)) + DATA


def scanned(
    *made: Transaction, plans: tuple[Plan, ...] = (), idle: tuple[Output, ...] = ()
) -> ScannedBlock:
    outputs = {each.id: one for one in plans for each in one.inputs}
    watch = Watch(REGTEST, HELD, outputs | dict.fromkeys(each.id for each in idle), dust=330)
    return scan(watch, block_of([coinbase(1), *made]), number=7)


def carried_out(made: Plan) -> tuple[Draft, Transaction]:
    draft = draft_of(REGTEST, HELD, made)
    return draft, Transaction.parse(signed(draft, signatures(draft)))


def test_nothing_of_ours() -> None:
    block = scanned(transaction([STRANGER], [(1_000, b"\x51")]))
    assert not block.is_notable
    assert (block.number, block.parent, block.broken) == (7, b"\x11" * 32, ())


def test_a_deposit_comes_with_its_instruction_and_its_sender() -> None:
    made = transaction([STRANGER], [(5_000, EXTERNAL), (0, OP_RETURN)])
    block = scanned(made)
    output = Output(output_id(id_of(made), 0), OutputKind.EXTERNAL, 5_000)
    assert block.incoming == (Incoming(output, DEPOSIT, (STRANGER,)),)
    assert block.is_notable


def test_each_output_to_us_is_a_deposit() -> None:
    made = transaction(
        [STRANGER], [(5_000, EXTERNAL), (7, b"\x51"), (6_000, EXTERNAL), (0, OP_RETURN)]
    )
    assert [each.output.amount for each in scanned(made).incoming] == [5_000, 6_000]


def test_a_deposit_without_an_instruction_is_told_as_that() -> None:
    for script in (b"\x6a\x01x", b"\x6a", b"\x51"):
        (incoming,) = scanned(transaction([STRANGER], [(5_000, EXTERNAL), (0, script)])).incoming
        assert incoming.deposit is None


def test_dust_and_new_coins_are_left_alone() -> None:
    assert not scanned(transaction([STRANGER], [(329, EXTERNAL)])).is_notable
    assert scanned(transaction([STRANGER], [(330, EXTERNAL)])).is_notable
    mine = coinbase(1)
    mine.vout[0].script_pubkey.data = EXTERNAL
    mine.vout[0].value = 10_000
    watch = Watch(REGTEST, HELD, {}, dust=330)
    assert not scan(watch, block_of([mine]), number=1).is_notable


@pytest.mark.parametrize(("inputs", "payments"), [(1, 1), (3, 2), (4, 9)])
def test_an_eventuality_satisfied_by_our_transaction(inputs: int, payments: int) -> None:
    made = plan(inputs=inputs, payments=payments)
    draft, transaction_ = carried_out(made)
    block = scanned(transaction_, plans=(made,))
    (done,) = block.done
    assert (done.plan, done.transaction) == (made.id, draft.id)
    ours = (*done.branches, *([done.change] if done.change else []))
    assert ours == tuple(outputs_of(draft, made).values())
    assert len(done.branches) == len(made.branches)
    assert (block.incoming, block.strays, block.broken) == ((), (), ())


def test_an_eventuality_satisfied_by_another_that_does_the_same() -> None:
    """Made anew with a higher fee: it pays the same, less."""
    made = plan(inputs=4, payments=9)
    less = replace(
        made,
        payments=tuple((each, amount - 100) for each, amount in made.payments),
        branches=tuple((each, amount - 70) for each, amount in made.branches),
    )
    draft, transaction_ = carried_out(less)
    (done,) = scanned(transaction_, plans=(made,)).done
    assert (done.plan, done.transaction) == (made.id, draft.id)
    assert [each.amount for each in done.branches] == [amount - 70 for _, amount in made.branches]


def test_an_eventuality_never_satisfied() -> None:
    """What spends our outputs otherwise is no plan's: not part of them, not more, not to others."""
    made = plan(inputs=3, payments=2)
    _, right = carried_out(made)
    pays = [(each.value, bytes(each.script_pubkey.data)) for each in right.vout]
    spends = [each.id for each in made.inputs]
    wrong = (
        transaction(spends[:2], pays),
        transaction([*spends, STRANGER], pays),
        transaction(spends, pays[:-1]),
        transaction(spends, [*pays, (400, EXTERNAL)]),
        transaction(spends, [(pays[0][0] + 1, pays[0][1]), *pays[1:]]),
        transaction(spends, [(pays[0][0], b"\x51"), *pays[1:]]),
        transaction(spends, pays[::-1]),
    )
    for each in wrong:
        block = scanned(each, plans=(made,))
        assert block.broken == (Broken(spends[0], id_of(each)),), each
        assert (block.done, block.incoming) == ((), ())


def test_what_is_spent_without_a_plan_is_broken() -> None:
    idle = Output(output_id(b"i" * 32, 1), OutputKind.CHANGE, 9_000)
    made = transaction([STRANGER, idle.id], [(8_000, b"\x51")])
    assert scanned(made, idle=(idle,)).broken == (Broken(idle.id, id_of(made)),)


def test_look_alikes_of_branches_and_change_are_strays() -> None:
    scripts = [held(kind).script for kind in (OutputKind.BRANCH, OutputKind.CHANGE)]
    made = transaction([STRANGER], [(5_000, scripts[0]), (6_000, scripts[1])])
    block = scanned(made, plans=(plan(),))
    assert [(each.kind, each.amount) for each in block.strays] == [
        (OutputKind.BRANCH, 5_000),
        (OutputKind.CHANGE, 6_000),
    ]
    assert (block.done, block.incoming) == ((), ())


def test_what_is_no_block_is_refused() -> None:
    with pytest.raises(BlockInvalid):
        scan(Watch(REGTEST, HELD, {}, dust=330), b"x" * 100, number=1)
