"""A fragment holds once, in its order, for as long as it says, on its chain, and whole or not at all."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.makers import BLOCK0, account_id, bft_public, draft_of, signed_fragment

from tetrarch.errors import PeerFault
from tetrarch.ledger.accounts import ACCOUNTS, Account, account_of
from tetrarch.ledger.dates import BlockDate, Era, TimeFrame
from tetrarch.ledger.fragments.kind import FragmentRefused, Where
from tetrarch.ledger.fragments.parameter_vote import ParameterVote
from tetrarch.ledger.fragments.registry import KINDS
from tetrarch.ledger.fragments.signed import (
    SignedFragment,
    apply_fragment,
    check_signature,
    decode_fragment,
    encode_fragment,
)
from tetrarch.ledger.fragments.transfer import Output, Transfer
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.membership import alike, begin_membership
from tetrarch.ledger.parameters import Fees, Parameters
from tetrarch.ledger.settings import Settings, put_settings
from tetrarch.ledger.tables import Draft
from tetrarch.ledger.treasury import pots_of
from tetrarch.ledger.wire import U32_MAX, BytesInvalid

PARAMETERS = Parameters(fees=Fees(constant=3))
TEN = Transfer((Output(account_id(1), 10),))
FRAGMENT = signed_fragment(0, TEN, fee=3)


def apply(
    draft: Draft,
    fragment: SignedFragment,
    *,
    epoch: int = 0,
    parameters: Parameters = PARAMETERS,
    size_bytes: int | None = None,
) -> None:
    if size_bytes is None:
        size_bytes = len(encode_fragment(fragment))
    where = Where(date=BlockDate(epoch, 5), slot=5, height=6, block0=BLOCK0, parameters=parameters)
    apply_fragment(draft, fragment, size_bytes=size_bytes, where=where)


def refused(draft: Draft, fragment: SignedFragment, match: str, **how: int) -> None:
    before = dict(draft.changes)
    with pytest.raises(PeerFault, match=match):
        apply(draft, fragment, **how)  # type: ignore[arg-type]
    assert draft.changes == before, "nothing of it is left"


def test_bytes_are_those_of_the_description() -> None:
    data = encode_fragment(FRAGMENT)
    assert data == (
        b"\1"
        + account_id(0)
        + bytes(4)
        + (1).to_bytes(4, "big")
        + (3).to_bytes(8, "big")
        + b"\1"
        + account_id(1)
        + (10).to_bytes(8, "big")
        + FRAGMENT.signature
    )
    assert decode_fragment(data) == FRAGMENT


@given(st.data())
def test_no_changed_byte_is_taken(data: st.DataObject) -> None:
    encoded = bytearray(encode_fragment(FRAGMENT))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(PeerFault):
        check_signature(decode_fragment(bytes(encoded)), BLOCK0)


@given(st.binary(max_size=300))
def test_noise_is_a_fragment_or_refused(data: bytes) -> None:
    try:
        fragment = decode_fragment(data)
    except (BytesInvalid, FragmentRefused):
        return
    assert encode_fragment(fragment) == data


def test_an_unknown_kind_is_named() -> None:
    data = bytearray(encode_fragment(FRAGMENT))
    data[0] = 200
    with pytest.raises(FragmentRefused, match="no such kind"):
        decode_fragment(bytes(data))


def test_kinds_have_numbers_and_names_of_their_own() -> None:
    assert len({kind.name for kind in KINDS.values()}) == len(KINDS)
    assert 0 not in KINDS


def test_a_signature_is_for_one_chain_and_one_payer() -> None:
    check_signature(FRAGMENT, BLOCK0)
    with pytest.raises(FragmentRefused, match="signature"):
        check_signature(FRAGMENT, BlockId(bytes(32)))
    with pytest.raises(FragmentRefused, match="signature"):
        check_signature(replace(FRAGMENT, payer=account_id(1)), BLOCK0)


def test_it_pays_its_fee_and_counts() -> None:
    draft = draft_of(100)
    apply(draft, FRAGMENT)
    assert account_of(draft, account_id(0)) == Account(value=87, counter=1)
    assert account_of(draft, account_id(1)) == Account(value=10)
    assert pots_of(draft).fees == 3


def test_it_holds_once() -> None:
    draft = draft_of(100)
    apply(draft, FRAGMENT)
    refused(draft, FRAGMENT, "expected=1")


def test_fragments_hold_in_their_order() -> None:
    draft = draft_of(100)
    later = signed_fragment(0, TEN, counter=1, fee=3)
    refused(draft, later, "expected=0")
    apply(draft, FRAGMENT)
    apply(draft, later)
    assert account_of(draft, account_id(1)).value == 20


def test_it_holds_as_long_as_it_says_and_does_not_say_for_ever() -> None:
    draft = draft_of(100)
    refused(draft, FRAGMENT, "lowest=2", epoch=2)
    refused(draft, signed_fragment(0, TEN, fee=3, last_epoch=3), "highest=2")
    apply(draft, FRAGMENT, epoch=1)


def test_the_fee_is_what_the_chain_asks_or_more() -> None:
    draft = draft_of(100)
    refused(draft, signed_fragment(0, TEN, fee=2), "needed=3")
    per_byte = replace(PARAMETERS, fees=Fees(constant=3, per_byte=2))
    with pytest.raises(FragmentRefused, match=f"needed={3 + 2 * len(encode_fragment(FRAGMENT))}"):
        apply(draft, FRAGMENT, parameters=per_byte)
    apply(draft, signed_fragment(0, TEN, fee=50))
    assert pots_of(draft).fees == 50


def test_what_is_too_large_is_refused() -> None:
    draft = draft_of(100)
    limit = PARAMETERS.fragment_size_bytes_max
    refused(draft, FRAGMENT, f"maximum={limit}", size_bytes=limit + 1)
    apply(draft, FRAGMENT, size_bytes=limit)


@pytest.mark.parametrize("value", [0, 2, 12])
def test_without_the_value_nothing_is_left_of_it(value: int) -> None:
    refused(draft_of(value), FRAGMENT, f"holds={value if value < 3 else value - 3}")


def test_a_payer_signs_only_so_many() -> None:
    draft = draft_of(100)
    ACCOUNTS.put(draft, account_id(0), Account(value=100, counter=U32_MAX))
    refused(draft, signed_fragment(0, TEN, counter=U32_MAX, fee=3), "as many as there can be")


def test_voters_vote_for_nothing_and_pay_for_all_else() -> None:
    draft = draft_of(100, 100)
    begin_membership(draft, alike([account_id(0)]))
    vote = ParameterVote(2, replace(PARAMETERS, expiry_epochs_max=9))
    put_settings(
        draft,
        Settings(
            parameters=PARAMETERS,
            era=Era(slots_per_epoch=10),
            frame=TimeFrame(start_s=0, slot_duration_s=1),
            leaders=(bft_public(0),),
        ),
    )
    refused(draft, signed_fragment(1, vote), "needed=")
    refused(draft, signed_fragment(0, TEN), "needed=")
    apply(draft, signed_fragment(0, vote))
