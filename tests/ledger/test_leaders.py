"""A header is believed if its maker proves that the slot is his, and for no other reason."""

from collections import Counter
from dataclasses import replace

import pytest
from tests.ledger.makers import bft_key, bft_public, bft_signed, header_at, pool_keys

from tetrarch.crypto.kes import PERIODS
from tetrarch.ledger.dates import BlockDate, Era
from tetrarch.ledger.headers import BftProof, Header, PraosProof
from tetrarch.ledger.leaders import (
    LEADERS_MAX,
    BftLeaders,
    LeaderRefused,
    LeadersInvalid,
    PraosLeaders,
    verify,
)
from tetrarch.ledger.praos import FIRST_NONCE, Nonce

ERA = Era(slots_per_epoch=100)
KEYS = tuple(bft_public(number) for number in range(3))
BFT = BftLeaders(epoch=1, era=ERA, leaders=KEYS)
A, B = pool_keys(0), pool_keys(1)
PRAOS = PraosLeaders(
    epoch=1,
    era=ERA,
    nonce=FIRST_NONCE,
    coefficient_milli=500,
    slots_per_kes_period=30,
    pools={A.pool: A.registered(60), B.pool: B.registered(40)},
)
SLOT = A.slots_drawn(PRAOS)[3]


def refused(leaders: BftLeaders | PraosLeaders, header: Header, match: str) -> None:
    with pytest.raises(LeaderRefused, match=match):
        verify(leaders, header)


# -- in turn ----------------------------------------------------------------------------------------


def test_leaders_take_turns_across_epochs() -> None:
    """With 100 slots the reference's first of three leads 34 times an epoch, the others 33."""
    era = Era(slots_per_epoch=100)
    led = Counter(
        BftLeaders(epoch=epoch, era=era, leaders=KEYS).leader(slot)
        for epoch in range(3)
        for slot in range(100)
    )
    assert set(led.values()) == {100}
    as_reference = [
        BftLeaders(epoch=epoch, era=era, leaders=KEYS, compat=True).leader(0) for epoch in range(3)
    ]
    assert as_reference == [KEYS[0]] * 3


def test_the_leader_of_the_slot_is_believed() -> None:
    assert verify(BFT, bft_signed(header_at(BlockDate(1, 2)), 0)) is None, "slot 102 of the chain"


def test_another_leader_signature_or_version_is_not() -> None:
    header = header_at(BlockDate(1, 2))
    refused(BFT, bft_signed(header, 1), "turn")
    refused(BFT, bft_signed(header, 7), "turn")
    refused(BFT, header, "expected=BFT")
    refused(BFT, A.signed(header, PRAOS), "expected=BFT")
    signed = bft_signed(header, 0)
    refused(BFT, replace(signed, chain_length=2), "signature")
    refused(BFT, replace(signed, proof=BftProof(KEYS[0], bytes(64))), "signature")
    refused(
        replace(BFT, leaders=(b"\xff" * 32,)),
        replace(signed, proof=BftProof(b"\xff" * 32)),
        "false",
    )


@pytest.mark.parametrize("leaders", [BFT, PRAOS], ids=["BFT", "Praos"])
def test_another_epoch_is_not(leaders: BftLeaders | PraosLeaders) -> None:
    refused(leaders, bft_signed(header_at(BlockDate(2, 2)), 0), "epoch=1")


@pytest.mark.parametrize("count", [0, LEADERS_MAX + 1])
def test_somebody_leads(count: int) -> None:
    with pytest.raises(LeadersInvalid):
        replace(BFT, leaders=KEYS[:1] * count)


def test_two_leaders_are_two_keys() -> None:
    assert bft_key(0).public_key() != bft_key(1).public_key()


# -- by stake ---------------------------------------------------------------------------------------


def test_who_was_drawn_is_believed_and_gives_what_was_drawn() -> None:
    header = A.signed(header_at(BlockDate(1, SLOT)), PRAOS)
    assert isinstance(header.proof, PraosProof)
    assert verify(PRAOS, header) == header.proof.vrf_proof[:32]


def test_who_was_not_drawn_is_not_believed() -> None:
    slot = next(slot for slot in range(100) if slot not in A.slots_drawn(PRAOS))
    refused(PRAOS, A.signed(header_at(BlockDate(1, slot)), PRAOS), "not drawn")


def test_without_stake_nobody_is_drawn() -> None:
    leaders = replace(PRAOS, pools={A.pool: A.registered(0), B.pool: B.registered(40)})
    refused(leaders, A.signed(header_at(BlockDate(1, SLOT)), leaders), "not drawn")


def test_unknown_pools_and_other_versions_are_refused() -> None:
    header = header_at(BlockDate(1, SLOT))
    leaders = replace(PRAOS, pools={B.pool: B.registered(40)})
    refused(leaders, A.signed(header, PRAOS), "no such pool")
    refused(PRAOS, header, "expected=Praos")
    refused(PRAOS, bft_signed(header, 0), "expected=Praos")


def test_what_was_drawn_is_of_this_nonce_slot_and_key() -> None:
    header = A.signed(header_at(BlockDate(1, SLOT)), PRAOS)
    other = replace(PRAOS, nonce=Nonce(b"n" * 32))
    refused(other, header, "what was drawn is false")
    refused(PRAOS, replace(header, date=BlockDate(1, SLOT + 1)), "what was drawn is false")
    assert isinstance(header.proof, PraosProof)
    borrowed = replace(header.proof, pool=B.pool)
    refused(PRAOS, replace(header, proof=borrowed), "what was drawn is false")


def test_the_signature_is_over_all_of_the_header() -> None:
    header = A.signed(header_at(BlockDate(1, SLOT)), PRAOS)
    for changed in (
        replace(header, chain_length=2),
        replace(header, content_hash=bytes(32)),
        replace(header, parent=header.id),
    ):
        refused(PRAOS, changed, "signature is false")


def test_the_key_is_that_of_the_slots_period() -> None:
    """The reference never compares the two, so a key of the first period signs for ever."""
    header = header_at(BlockDate(1, SLOT))
    period = PRAOS.kes_period(A.pool, SLOT)
    assert period == (100 + SLOT) // 30
    for other in (0, period - 1, period + 1):
        refused(PRAOS, A.signed(header, PRAOS, period=other), f"expected={period}")


def test_a_key_is_used_from_its_start_for_as_long_as_it_has_periods() -> None:
    def starting(slot: int) -> PraosLeaders:
        pools = {A.pool: A.registered(60, kes_start_slot=slot), B.pool: B.registered(40)}
        return replace(PRAOS, pools=pools)

    assert starting(100 + SLOT).kes_period(A.pool, SLOT) == 0
    late = starting(100 + SLOT + 1)
    assert late.kes_period(A.pool, SLOT) is None
    refused(late, A.signed(header_at(BlockDate(1, SLOT)), late), "not in use")
    spent = replace(PRAOS, epoch=PERIODS)
    assert spent.kes_period(A.pool, 0) is None
    assert replace(PRAOS, era=Era(slots_per_epoch=30), epoch=PERIODS - 1).kes_period(
        A.pool, 29
    ) == (PERIODS - 1)


def test_the_total_is_of_all_pools() -> None:
    assert PRAOS.total == 100
    assert PRAOS.threshold(A.pool) > PRAOS.threshold(B.pool) > 0
