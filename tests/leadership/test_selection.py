"""A block carries what holds, in order, as long as there is room and time."""

from collections.abc import Iterator

from tests.ledger.chain_maker import bft_genesis
from tests.ledger.makers import account_id, signed_fragment

from tetrarch.leadership.selection import select
from tetrarch.ledger.accounts import account_of
from tetrarch.ledger.applying import draft_upon, first_place
from tetrarch.ledger.blocks import LENGTH_SIZE_BYTES, Fragment, FragmentId
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.fragments.kind import where_upon
from tetrarch.ledger.fragments.signed import encode_fragment
from tetrarch.ledger.fragments.transfer import Output, Transfer
from tetrarch.ledger.genesis import genesis_block
from tetrarch.ledger.mempool import Waiting
from tetrarch.ledger.tables import Base, Draft

ROOT = first_place(genesis_block(bft_genesis()), Base())
DATE = BlockDate(0, 1)


def waiting(number: int, value: int, *, counter: int = 0, outputs: int = 1) -> Waiting:
    body = Transfer(tuple(Output(account_id(9 + each), value) for each in range(outputs)))
    fragment = signed_fragment(number, body, counter=counter, block0=ROOT.id)
    data = Fragment(encode_fragment(fragment))
    return Waiting(FragmentId(bytes(32)), data, fragment, 0)


def selected(some: list[Waiting], draft: Draft | None = None, **how: object) -> list[Waiting]:
    draft = draft or draft_upon(ROOT, DATE)
    where = where_upon(draft, DATE, height=1, block0=ROOT.id)
    given = {"where": where, "size_bytes": 10_000, "is_over": lambda: False, **how}
    found = select(draft, some, **given)  # type: ignore[arg-type]
    return [each for each in some if each.data in found]


def test_what_holds_is_taken_in_order_and_changes_the_state() -> None:
    draft = draft_upon(ROOT, DATE)
    some = [waiting(0, 10), waiting(0, 20, counter=1), waiting(1, 30)]
    assert selected(some, draft) == some
    assert account_of(draft, account_id(9)).value == 60


def test_what_does_not_hold_is_left_and_leaves_nothing() -> None:
    draft = draft_upon(ROOT, DATE)
    some = [waiting(0, 5000), waiting(1, 10, counter=1), waiting(2, 10)]
    assert selected(some, draft) == some[2:]
    assert account_of(draft, account_id(0)).value == 1000


def test_who_is_paid_first_may_pay_on() -> None:
    some = [waiting(0, 700), waiting(0, 700, counter=1), waiting(0, 300, counter=1)]
    assert selected(some) == [some[0], some[2]]


def test_there_is_so_much_room_and_a_smaller_one_may_still_fit() -> None:
    some = [waiting(number, 10) for number in range(3)]
    size_bytes = LENGTH_SIZE_BYTES + len(some[0].data)
    assert selected(some, size_bytes=2 * size_bytes) == some[:2]
    assert selected(some, size_bytes=2 * size_bytes - 1) == some[:1]
    assert selected(some, size_bytes=0) == []
    some[0] = waiting(0, 10, outputs=2)
    assert selected(some, size_bytes=size_bytes) == some[1:2]


def test_at_the_soft_deadline_what_is_there_is_the_block() -> None:
    def overs() -> Iterator[bool]:
        yield from (False, False)
        while True:
            yield True

    over = overs()
    some = [waiting(number, 10) for number in range(4)]
    assert selected(some, is_over=lambda: next(over)) == some[:2]
