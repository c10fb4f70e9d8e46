"""What came in is credited, goes back, or stays."""

from dataclasses import replace

import pytest

from tetrarch.custody.crediting import BATCH_SIZE_BYTES_MAX, Terms, batches_of, credit
from tetrarch.custody.instructions import Deposit
from tetrarch.custody.outputs import Output, OutputId, OutputKind, PaymentId
from tetrarch.custody.scanned import Incoming, ScannedBlock
from tetrarch.ledger.accounts import AccountId
from tetrarch.ledger.fragments.batch import Batch, Instruction
from tetrarch.ledger.wire import Reader, Writer

TERMS = Terms(network=1, coin=0, join_cost=200, dust=1_000)
ACCOUNT = b"a" * 32
BLOCK = ScannedBlock(number=5, id=b"b" * 32, parent=b"p" * 32, time_s=0)


def output(number: int, amount: int = 10_000, kind: OutputKind = OutputKind.EXTERNAL) -> Output:
    return Output(OutputId(number.to_bytes(36, "big")), kind, amount)


def incoming(
    number: int, amount: int = 10_000, *, deposit: Deposit | None = None, origin: bytes = b""
) -> Incoming:
    return Incoming(output(number, amount), deposit, (), origin)


def is_good(address: bytes) -> bool:
    return address.startswith(b"good")


def test_accounts_are_credited_less_what_their_output_costs_later() -> None:
    block = replace(BLOCK, incoming=(incoming(2, deposit=Deposit(ACCOUNT)),))
    credited = credit(block, TERMS, is_good)
    (instruction,) = credited.instructions
    assert (instruction.account, instruction.coin, instruction.amount) == (ACCOUNT, 0, 9_600)
    assert instruction.output == output(2).id
    assert (credited.held, credited.refunds) == ((output(2),), ())


@pytest.mark.parametrize(
    ("amount", "is_credited"), [(1_400, True), (1_399, False), (400, False), (1, False)]
)
def test_too_little_is_a_gift(amount: int, is_credited: bool) -> None:
    block = replace(BLOCK, incoming=(incoming(1, amount, deposit=Deposit(ACCOUNT, b"good")),))
    credited = credit(block, TERMS, is_good)
    assert bool(credited.instructions) is is_credited
    assert credited.held == (output(1, amount),)
    assert credited.refunds == ()


@pytest.mark.parametrize(
    ("origin", "back_to"),
    [(b"good origin", b"good origin"), (b"", b""), (b"bad origin", b"")],
)
def test_without_an_instruction_it_goes_back_to_where_it_came_from(
    origin: bytes, back_to: bytes
) -> None:
    credited = credit(replace(BLOCK, incoming=(incoming(1, origin=origin),)), TERMS, is_good)
    assert credited.instructions == ()
    if back_to:
        ((refunded, payment),) = credited.refunds
        assert (refunded, payment.address, payment.amount) == (output(1), back_to, 10_000)
        assert payment.id == PaymentId(output(1).id)
        assert credited.held == ()
    else:
        assert (credited.refunds, credited.held) == ((), (output(1),))


def test_strays_are_held() -> None:
    stray = output(7, kind=OutputKind.CHANGE)
    assert credit(replace(BLOCK, strays=(stray,)), TERMS, is_good).held == (stray,)


def test_instructions_are_in_the_order_of_their_outputs() -> None:
    some = tuple(incoming(number, deposit=Deposit(ACCOUNT)) for number in (9, 2, 5))
    credited = credit(replace(BLOCK, incoming=some), TERMS, is_good)
    assert [each.output for each in credited.instructions] == [output(n).id for n in (2, 5, 9)]


def instructions(count: int) -> list[Instruction]:
    return [
        Instruction(output=output(number).id, account=AccountId(ACCOUNT), coin=0, amount=1)
        for number in range(count)
    ]


def encoded(batch: Batch) -> bytes:
    writer = Writer()
    batch.write(writer)
    return writer.data


def batches(count: int) -> tuple[Batch, ...]:
    return batches_of(instructions(count), network=1, block=b"b" * 32, session=3, first=40)


def test_a_block_without_instructions_has_an_empty_batch() -> None:
    (batch,) = batches(0)
    assert (batch.id, batch.session, batch.instructions) == (40, 3, ())


def test_batches_are_as_large_as_they_may_be_and_no_larger() -> None:
    room = (BATCH_SIZE_BYTES_MAX - len(encoded(batches(0)[0]))) // 78
    assert [len(each.instructions) for each in batches(room)] == [room]
    assert [len(each.instructions) for each in batches(room + 1)] == [room, 1]
    many = batches(3 * room + 5)
    assert [each.id for each in many] == [40, 41, 42, 43]
    assert [each for batch in many for each in batch.instructions] == instructions(3 * room + 5)
    for batch in many:
        assert len(encoded(batch)) <= BATCH_SIZE_BYTES_MAX
        assert Batch.read(Reader(encoded(batch), what="batch")) == batch
