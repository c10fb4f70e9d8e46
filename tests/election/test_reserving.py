"""An enclave comes by its terms: it recovers after a start, and reserves some ahead."""

from tests.election.support import configuration, signed

from tetrarch.election.effects import Ask, Send
from tetrarch.election.requests import Reserve, Standing, TakeReceipts, TakeRefusal
from tetrarch.election.reserving import Reserving
from tetrarch.election.statements import Receipt, Reservation, Signed
from tetrarch.election.timing import Timing
from tetrarch.election.witnesses import Kept

C = configuration()  # n = 4: q - 1 = 2 others keep a reservation, 3 answer a recovery
TIMING = Timing(terms_ahead=8, retry_s=0.2)


def reservation(reserved_to: int, boot: bytes = b"b" * 32) -> Signed[Reservation]:
    return signed(Reservation(C.hash, 0, 1, boot, reserved_to))


def standing(
    asked_to: int, *, recovered: bool = True, floor: int = 0, reserved_to: int = 0
) -> Standing:
    return Standing(recovered, floor, reserved_to, reservation(asked_to), None)


def receipt(source: int, asked_to: int, boot: bytes = b"b" * 32) -> Signed[Receipt]:
    return signed(Receipt(source, reservation(asked_to, boot).what, recovered=True))


def fresh() -> Reserving:
    reserving = Reserving(C, TIMING)
    assert reserving.begin() == [Ask(Reserve())]
    return reserving


def test_new_enclave_reserves_ahead_at_once() -> None:
    reserving = fresh()
    assert (reserving.recovered, reserving.votes_from) == (False, 0)
    assert reserving.take_standing(standing(0), 0.0) == [Ask(Reserve(8))]
    assert (reserving.recovered, reserving.votes_from) == (True, 1)
    asked = standing(8)
    assert reserving.take_standing(asked, 0.0) == [Send(None, asked.reservation)]


def test_receipts_of_a_quorum_are_handed_in_together() -> None:
    reserving = fresh()
    reserving.take_standing(standing(8), 0.0)
    first, second = receipt(1, 8), receipt(3, 8)
    assert reserving.take_receipt(1, first) == []
    assert reserving.take_receipt(1, first) == []
    assert reserving.take_receipt(3, second) == [Ask(TakeReceipts((first, second)))]
    assert reserving.take_standing(standing(8, reserved_to=8), 0.0) == []


def test_later_receipts_wait_for_the_next_try() -> None:
    reserving = fresh()
    asked = standing(8)
    reserving.take_standing(asked, 1.0)
    receipts = tuple(receipt(source, 8) for source in (1, 2, 3))
    reserving.take_receipt(1, receipts[0])
    assert reserving.take_receipt(2, receipts[1]) == [Ask(TakeReceipts(receipts[:2]))]
    assert reserving.take_receipt(2, receipts[1]) == []
    assert reserving.take_receipt(3, receipts[2]) == []
    # One of them was false, for the enclave is still open: all that came since may be enough.
    again = [Send(None, asked.reservation), Ask(TakeReceipts(receipts))]
    assert reserving.look(1.2) == again


def test_recovery_needs_all_three_others() -> None:
    reserving = fresh()
    asked = standing(5, recovered=False)
    assert reserving.take_standing(asked, 0.0) == [Send(None, asked.reservation)]
    receipts = tuple(receipt(source, 5) for source in (1, 2, 3))
    assert reserving.take_receipt(1, receipts[0]) == []
    assert reserving.take_receipt(2, receipts[1]) == []
    assert reserving.take_receipt(3, receipts[2]) == [Ask(TakeReceipts(receipts))]
    assert reserving.take_standing(standing(5, floor=5, reserved_to=0), 0.0) == [Ask(Reserve(13))]
    assert reserving.votes_from == 6


def test_receipt_for_something_else_is_passed_over() -> None:
    reserving = fresh()
    assert reserving.take_receipt(1, receipt(1, 8)) == []  # nothing was asked for yet
    reserving.take_standing(standing(8), 0.0)
    others = [
        (1, receipt(1, 7)),
        (2, receipt(2, 8, boot=b"o" * 32)),
        (3, receipt(1, 8)),  # of another member than who sends it
    ]
    for source, each in others:
        assert reserving.take_receipt(source, each) == []
    assert reserving.take_receipt(1, receipt(1, 8)) == []
    assert reserving.take_receipt(2, receipt(2, 8)) != []


def test_receipts_of_a_former_reservation_do_not_count_for_the_next() -> None:
    reserving = fresh()
    reserving.take_standing(standing(8), 0.0)
    reserving.take_receipt(1, receipt(1, 8))
    reserving.take_standing(standing(16), 0.0)
    assert reserving.take_receipt(2, receipt(2, 16)) == []
    assert reserving.take_receipt(3, receipt(3, 16)) != []


def test_silent_members_are_asked_again() -> None:
    reserving = fresh()
    assert reserving.look(9.0) == []
    asked = standing(8)
    reserving.take_standing(asked, 1.0)
    assert reserving.look(1.1) == []
    assert reserving.look(1.2) == [Send(None, asked.reservation)]
    assert reserving.look(1.3) == []
    assert reserving.look(1.4) == [Send(None, asked.reservation)]
    reserving.take_standing(standing(8, reserved_to=8), 1.5)
    assert reserving.look(9.0) == []


def test_more_is_reserved_when_half_of_it_is_used() -> None:
    reserving = fresh()
    reserving.take_standing(standing(8, reserved_to=8), 0.0)
    assert reserving.want(4) == []
    assert reserving.want(5) == [Ask(Reserve(13))]
    assert reserving.want(3) == [Ask(Reserve(13))]  # the highest stays wanted
    reserving.take_standing(standing(13, reserved_to=8), 0.0)
    assert reserving.want(6) == []  # under way


def test_refusal_matters_to_a_recovery_alone() -> None:
    kept = Kept(reservation(9, b"o" * 32), reservation(9, b"o" * 32))
    reserving = fresh()
    assert reserving.take_refusal(kept) == []
    reserving.take_standing(standing(5, recovered=False), 0.0)
    assert reserving.take_refusal(kept) == [Ask(TakeRefusal(kept))]
    reserving.take_standing(standing(9, recovered=True, floor=9), 0.0)
    assert reserving.take_refusal(kept) == []
