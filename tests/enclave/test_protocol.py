"""The bytes between node and enclave: what goes in comes out, and nonsense is named."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.enclave.enclave_world import NOW_CHAIN, block, vote

from tetrarch.enclave import protocol
from tetrarch.enclave.errors import FrameInvalid
from tetrarch.enclave.ports import Approved, Denied, Failed, SignRandao
from tetrarch.enclave.rules import Reason

KEY = b"\x01" * 48
REQUESTS = (vote(KEY, 1, 2), vote(b"\x02" * 48, 1, 2), block(KEY, 9), SignRandao(KEY, 2**63))
RESULTS = (Approved(b"s" * 96), Denied(Reason.DOUBLE_VOTE), Failed("storage_full"))


def payload(frame: bytes) -> bytes:
    return frame[4:]


def test_requests_and_results_survive_the_way() -> None:
    call = protocol.Call(7, protocol.sign_call(REQUESTS))
    arrived = protocol.decode_call(payload(protocol.encode(call)))
    assert arrived == call
    assert isinstance(arrived.body, protocol.Sign)
    assert protocol.requests_of(arrived.body) == REQUESTS
    reply = protocol.Reply(7, protocol.signed(RESULTS))
    back = protocol.decode_reply(payload(protocol.encode(reply)))
    assert isinstance(back.body, protocol.Signed)
    assert protocol.results_of(back.body) == RESULTS


def test_a_chain_survives_the_way() -> None:
    call = protocol.Call(1, protocol.configure_call(NOW_CHAIN))
    arrived = protocol.decode_call(payload(protocol.encode(call)))
    assert isinstance(arrived.body, protocol.Configure)
    assert protocol.chain_of(arrived.body) == NOW_CHAIN


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), max_size=40))
def test_frames_are_cut_alike_however_they_arrive(cuts) -> None:
    calls = [protocol.Call(number, protocol.AskStatus()) for number in range(5)]
    stream = b"".join(protocol.encode(call) for call in calls)
    frames = protocol.FrameBuffer()
    arrived = []
    start = 0
    for cut in [*cuts, len(stream)]:
        arrived += [protocol.decode_call(p) for p in frames.feed(stream[start : start + cut])]
        start += cut
    assert arrived == calls


@pytest.mark.parametrize("size", [0, protocol.FRAME_MAX_BYTES + 1, 2**32 - 1])
def test_a_frame_of_no_or_absurd_length_is_refused_before_it_is_read(size) -> None:
    with pytest.raises(FrameInvalid):
        list(protocol.FrameBuffer().feed(size.to_bytes(4, "big")))


def test_a_frame_too_large_to_send_is_refused() -> None:
    refusal = protocol.Refusal("code", "x" * (protocol.FRAME_MAX_BYTES + 1), {})
    with pytest.raises(FrameInvalid):
        protocol.encode(protocol.Reply(1, refusal))


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_break_the_decoders(data) -> None:
    for decode in (protocol.decode_call, protocol.decode_reply):
        try:
            decode(data)
        except FrameInvalid:
            continue


@pytest.mark.parametrize(
    "body",
    [
        ["raw", b"sign these bytes"],
        ["digest", KEY, b"r" * 32],
        ["sign", [["vote", KEY[:-1], b"d" * 128]]],
        ["sign", [["vote", KEY, b"d" * 127]]],
        ["sign", [["block", KEY, b"d" * 113]]],
        ["sign", [["randao", KEY, -1]]],
        ["sign", [["randao", KEY, 1, "extra"]]],
        ["sign", [["randao", KEY, 1]] * 4097],
        ["configure", b"r" * 32, b"v" * 4, [], 0, 1000, 8, "mainnet"],
        ["configure", b"r" * 32, b"v" * 4, [["deneb", b"v" * 4, 0]], 0, 0, 8, "mainnet"],
        ["configure", b"r" * 32, b"v" * 4, [["later", b"v" * 4, 0]], 0, 1, 8, "mainnet"],
        ["export_keys"],
    ],
)
def test_what_is_no_request_is_refused(body) -> None:
    with pytest.raises(FrameInvalid):
        protocol.decode_call(msgspec.msgpack.encode([1, body]))
