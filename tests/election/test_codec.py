"""Every kind of value comes back as it was; bytes that are none are refused, whatever they are."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.election.support import certified, configuration, leading, signed, view_of

from tetrarch.election import codec, voter
from tetrarch.election.certificates import LeaderCertificate
from tetrarch.election.messages import Heartbeat, LeaderSignature, Message, SeedShare, Suggestion
from tetrarch.election.promises import Denied, Reason
from tetrarch.election.requests import (
    Answer,
    CastVote,
    Draw,
    Drawn,
    Elect,
    Elected,
    GrantLease,
    Keep,
    LearnLeader,
    Request,
    Reserve,
    Resign,
    Standing,
    TakeReceipts,
    TakeRefusal,
    TakeResignation,
)
from tetrarch.election.statements import (
    TERM_MAX,
    Grant,
    Leader,
    Receipt,
    Reservation,
    Resignation,
    Vote,
)
from tetrarch.election.voter import Sealed
from tetrarch.election.witnesses import Kept

C = configuration()
VIEW = view_of(C, (0, 2, 3), term=TERM_MAX, vacated=True)
LEADER = Leader(VIEW, 2, b"seed")
CERTIFICATE = leading(LEADER, (0, 2, 3))
RESERVED = signed(Reservation(C.hash, 1, 7, b"b" * 32, 40))
KEPT = Kept(RESERVED, signed(Reservation(C.hash, 1, 6, b"a" * 32, 50)))
RECEIPT = signed(Receipt(3, RESERVED.what, recovered=True, kept=KEPT.all))
GRANT = signed(Grant(LEADER.hash, 0, 1234))
RESIGNATION = signed(Resignation(LEADER.hash, 2))

MESSAGES: tuple[Message, ...] = (
    Heartbeat(5),
    Heartbeat(6, (0, 1), (255,), 9, 3, 77),
    Suggestion(VIEW),
    LeaderSignature(LEADER, b"s" * 64),
    SeedShare(VIEW, b"s" * 96),
    LeaderCertificate(LEADER, (), b"c" * 96),
    CERTIFICATE,
    KEPT,
    signed(Vote(VIEW, 2, 1)),
    RESERVED,
    RECEIPT,
    GRANT,
    RESIGNATION,
)
REQUESTS: tuple[Request, ...] = (
    CastVote(VIEW),
    Draw(certified(VIEW, (0, 2, 3))),
    Elect(certified(VIEW, (0, 2, 3))),
    Elect(certified(VIEW, (0, 2, 3)), b"s" * 96),
    LearnLeader(CERTIFICATE),
    Reserve(),
    Reserve(12),
    Keep(RESERVED),
    TakeReceipts((RECEIPT, RECEIPT)),
    TakeRefusal(KEPT),
    GrantLease(LEADER.hash, 5),
    Resign(),
    TakeResignation(RESIGNATION),
)
ANSWERS: tuple[Answer, ...] = (
    signed(Vote(VIEW, 2, 1)),
    RECEIPT,
    GRANT,
    RESIGNATION,
    KEPT,
    Drawn(VIEW, b"s" * 96),
    Elected(LEADER, b"s" * 64),
    Standing(recovered=True, floor=1, reserved_to=9, reservation=RESERVED, newest=CERTIFICATE),
    Standing(recovered=False, floor=0, reserved_to=0, reservation=RESERVED, newest=None),
    *(Denied(reason) for reason in Reason),
)


@pytest.mark.parametrize("message", MESSAGES, ids=repr)
def test_message_comes_back(message: Message) -> None:
    assert codec.decode_message(codec.encode(message)) == message


@pytest.mark.parametrize("request_", REQUESTS, ids=repr)
def test_request_comes_back(request_: Request) -> None:
    assert codec.decode_request(codec.encode(request_)) == request_


@pytest.mark.parametrize("answer", ANSWERS, ids=repr)
def test_answer_comes_back(answer: Answer) -> None:
    assert codec.decode_answer(codec.encode(answer)) == answer


def test_state_comes_back() -> None:
    first = voter.born(C, 1, bytes(32))
    full = Sealed(first.promises, (None, KEPT, None, Kept(RESERVED, RESERVED)), CERTIFICATE)
    for sealed in (first, full):
        assert codec.decode_sealed(codec.encode(sealed)) == sealed


def test_kind_of_another_place_is_refused() -> None:
    with pytest.raises(codec.MessageInvalid):
        codec.decode_message(codec.encode(Reserve(3)))
    with pytest.raises(codec.BytesInvalid):
        codec.decode_request(codec.encode(Heartbeat(1)))
    with pytest.raises(codec.BytesInvalid):
        codec.decode_answer(codec.encode(RESERVED))


def test_another_version_is_named() -> None:
    for payload in (b"", b"\x02" + codec.encode(Heartbeat(1))[1:]):
        with pytest.raises(codec.MessageInvalid, match="version="):
            codec.decode_message(payload)


def test_too_large_is_refused_unread() -> None:
    with pytest.raises(codec.MessageInvalid, match="maximum"):
        codec.decode_message(bytes(codec.MESSAGE_MAX_BYTES + 1))


def _raw(*fields: object) -> bytes:
    return bytes((codec.VERSION,)) + msgspec.msgpack.encode(fields)


@pytest.mark.parametrize(
    "payload",
    [
        _raw("Heartbeat", -1),
        _raw("Heartbeat", 2**63),
        _raw("Heartbeat", 1, [256]),
        _raw("Heartbeat", 1, [0] * 257),
        _raw("Heartbeat", 1, [], [], 0, 0, None, "more"),
        _raw("Heartbeat"),
        _raw("Heartbeat", "1"),
        _raw("Unknown", 1),
        _raw("Suggestion", ["View", bytes(31), 1, [0, 1, 2]]),
        _raw("Suggestion", ["View", bytes(32), 0, [0, 1, 2]]),
        _raw("Suggestion", ["View", bytes(32), 1, [2, 1, 0]]),
        _raw("Suggestion", ["View", bytes(32), 1, []]),
        _raw("Signed", ["Vote", ["View", bytes(32), 1, [0]], 0, 1], bytes(97)),
        _raw("Signed", ["Reservation", bytes(32), 0, 0, bytes(32), 1], bytes(64)),
    ],
)
def test_fields_are_bounded(payload: bytes) -> None:
    with pytest.raises(codec.MessageInvalid):
        codec.decode_message(payload)


@given(st.sampled_from(MESSAGES), st.data())
def test_damaged_bytes_are_a_message_or_refused(message: Message, data: st.DataObject) -> None:
    payload = bytearray(codec.encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(payload) - 1))
        change = data.draw(st.sampled_from(("flip", "cut", "insert")))
        if change == "flip":
            payload[place] ^= data.draw(st.integers(1, 255))
        elif change == "cut":
            del payload[place:]
        else:
            payload[place:place] = data.draw(st.binary(max_size=9))
        if not payload:
            break
    try:
        read = codec.decode_message(bytes(payload))
    except codec.MessageInvalid:
        return
    assert codec.decode_message(codec.encode(read)) == read


@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    for decode in (codec.decode_message, codec.decode_request, codec.decode_answer):
        try:
            decode(bytes((codec.VERSION,)) + noise)
        except (codec.MessageInvalid, codec.BytesInvalid):
            continue
