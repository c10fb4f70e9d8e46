"""What a block outside is worth on the ledger: accounts are credited, coins go back, or stay as gifts. Pure.

Of each deposit twice the cost of joining two outputs is kept: so much it costs to use it later. Whoever sends with an
instruction that is none, or too little for one, gets his coins back, less the fee, where it can be told where they came from.

A block's instructions are in the order of their outputs, in batches of a bounded size. A notable block has one batch at
least, though it may be empty: it says that the block was dealt with.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tetrarch.custody.outputs import Output, Payment, PaymentId
from tetrarch.custody.scanned import Incoming, ScannedBlock
from tetrarch.ledger.accounts import AccountId
from tetrarch.ledger.fragments.batch import INSTRUCTIONS_MAX, Batch, Instruction

BATCH_SIZE_BYTES_MAX: Final = 25_000
_SIGNATURE_SIZE_BYTES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Of a coin of a network. ``join_cost``: what it costs to make one output of two; ``dust``: the least that is credited."""

    network: int
    coin: int
    join_cost: int
    dust: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Credited:
    """``held`` are the outputs that the planner gets, of deposits and gifts; ``refunds`` go back whole."""

    instructions: tuple[Instruction, ...]
    refunds: tuple[tuple[Output, Payment], ...]
    held: tuple[Output, ...]


def credit(block: ScannedBlock, terms: Terms, can_be_paid: Callable[[bytes], bool]) -> Credited:
    """Judge what came in with ``block``. ``can_be_paid``: whether an address is one on that chain."""
    instructions: list[Instruction] = []
    refunds: list[tuple[Output, Payment]] = []
    held: list[Output] = list(block.strays)
    for incoming in block.incoming:
        output = incoming.output
        amount = output.amount - 2 * terms.join_cost
        if incoming.deposit is not None and amount >= terms.dust:
            instructions.append(
                Instruction(
                    output=output.id,
                    account=AccountId(incoming.deposit.account),
                    coin=terms.coin,
                    amount=amount,
                )
            )
            held.append(output)
            continue
        address = _back_to(incoming, can_be_paid)
        if address and amount >= terms.dust:
            payment = Payment(PaymentId(output.id), address, output.amount)
            refunds.append((output, payment))
        else:
            held.append(output)
    return Credited(
        instructions=tuple(sorted(instructions, key=lambda each: each.output)),
        refunds=tuple(refunds),
        held=tuple(held),
    )


def batches_of(
    instructions: Sequence[Instruction], *, network: int, block: bytes, session: int, first: int
) -> tuple[Batch, ...]:
    """One batch after the other, from id ``first`` on; an empty one if there are no instructions. Cost: 5 us an instruction."""
    groups: list[list[Instruction]] = [[]]
    size = empty = _size(network, block, session, ())
    for each in instructions:
        more = _size(network, block, session, (each,)) - empty
        if size + more > BATCH_SIZE_BYTES_MAX or len(groups[-1]) == INSTRUCTIONS_MAX:
            groups.append([])
            size = empty
        groups[-1].append(each)
        size += more
    return tuple(
        Batch(network=network, id=number, session=session, block=block, instructions=tuple(group))
        for number, group in enumerate(groups, first)
    )


def _size(network: int, block: bytes, session: int, some: tuple[Instruction, ...]) -> int:
    batch = Batch(network=network, id=0, session=session, block=block, instructions=some)
    return len(batch.unsigned) + _SIGNATURE_SIZE_BYTES


def _back_to(incoming: Incoming, can_be_paid: Callable[[bytes], bool]) -> bytes:
    """The address that the sender named, or the one that he sent from; empty: neither can be paid."""
    named = incoming.deposit.back_to if incoming.deposit is not None else b""
    return next((each for each in (named, incoming.origin) if each and can_be_paid(each)), b"")
