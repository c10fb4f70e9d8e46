"""Value goes from one to others; none is made and none is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.makers import BLOCK0, account_id, draft_of

from tetrarch.errors import PeerFault
from tetrarch.ledger.accounts import ACCOUNTS, VALUE_MAX, ValueInvalid, account_of
from tetrarch.ledger.dates import BlockDate
from tetrarch.ledger.fragments.kind import Context, FragmentRefused
from tetrarch.ledger.fragments.transfer import OUTPUTS_MAX, Output, Transfer
from tetrarch.ledger.parameters import Parameters
from tetrarch.ledger.wire import BytesInvalid, Reader, Writer

CONTEXT = Context(
    date=BlockDate(0, 1),
    slot=1,
    height=1,
    block0=BLOCK0,
    parameters=Parameters(),
    payer=account_id(0),
)


def read(data: bytes) -> Transfer:
    reader = Reader(data, what="transfer")
    transfer = Transfer.read(reader)
    reader.end()
    return transfer


def written(transfer: Transfer) -> bytes:
    writer = Writer()
    transfer.write(writer)
    return writer.data


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 400)), min_size=1, max_size=6))
def test_what_one_gives_others_get(outputs: list[tuple[int, int]]) -> None:
    draft = draft_of(1000, 7)
    transfer = Transfer(tuple(Output(account_id(to), value) for to, value in outputs))
    assert read(written(transfer)) == transfer
    given_away = sum(value for _, value in outputs)
    try:
        transfer.apply(draft.trial(), CONTEXT)
    except ValueInvalid:
        assert given_away > 1000
        return
    transfer.apply(draft, CONTEXT)
    assert account_of(draft, account_id(0)).value == 1000 - given_away
    assert sum(account.value for _, account in ACCOUNTS.items(draft)) == 1007


def test_nothing_to_nobody_and_too_many_are_no_transfer() -> None:
    for data in (b"\0", b"\1" + bytes(32) + bytes(8), b"\2" + bytes(32) + b"\1" * 8):
        with pytest.raises(BytesInvalid):
            read(data)
    most = Transfer((Output(account_id(1), 1),) * OUTPUTS_MAX)
    assert read(written(most)) == most


def test_nobody_pays_himself() -> None:
    with pytest.raises(FragmentRefused, match="payer"):
        Transfer((Output(account_id(0), 1),)).apply(draft_of(10), CONTEXT)


def test_no_account_holds_more_than_can_be_written() -> None:
    draft = draft_of(10, VALUE_MAX)
    with pytest.raises(PeerFault, match=f"holds={VALUE_MAX}"):
        Transfer((Output(account_id(1), 1),)).apply(draft, CONTEXT)
