"""Goal: whatever bytes a node sends, the enclave says one clear thing and crashes never.

Method: a valid call of every kind, whole, cut short, repeated, with other bits, and noise. In one process
against the decoder and what stands behind it, where many can be tried; and over the socket of a real,
locked process. What is expected:

* a frame whose payload is no call: ``FrameInvalid``; the process writes one line and ends, for the
  stream is of no use any more. So does a frame of no or absurd length.
* a call that is read, but asks for what cannot be: a ``Refusal`` with a code, and it serves the next.
* a call that is repeated: the same answer, or a refusal; never a second, different signature.
* a stream that ends amid a frame: the node is gone, and the process ends without a word.
"""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.enclave.calls_of_every_kind import C, calls, items, kinds, requests
from tests.enclave.enclave_world import Validator, shares

from tetrarch.clock import SystemClock
from tetrarch.crypto import hpke
from tetrarch.crypto.hpke import OpeningKey
from tetrarch.election import codec
from tetrarch.election.requests import Request
from tetrarch.election.sealed_calls import place_of
from tetrarch.enclave import protocol
from tetrarch.enclave.ceremony_messages import CeremonyCall
from tetrarch.enclave.client import COMMAND
from tetrarch.enclave.election_messages import AskElection, ElectionOpened
from tetrarch.enclave.errors import FrameInvalid
from tetrarch.enclave.process import EnclaveProcess
from tetrarch.enclave.protections import Confinement
from tetrarch.enclave.seal_secret import make_key_file
from tetrarch.enclave.tpm_messages import OpenTpm
from tetrarch.entropy import system_entropy

DAMAGE = settings(max_examples=150, deadline=None)


class World:
    """An open enclave in this process, which is not locked, and a valid call of each kind."""

    def __init__(self, folder: Path) -> None:
        (self.validator,), (file,) = shares(folder, 1)
        make_key_file(folder / "seal-key", system_entropy)
        self.calls = calls(folder, self.validator, file)
        self.enclave = EnclaveProcess(clock=SystemClock())
        for body in self.calls:
            if isinstance(body, protocol.Open | protocol.Configure):
                assert isinstance(self.answer(body), protocol.Done)
        (opening,) = (each for each in self.calls if type(each).__name__ == "OpenElection")
        opened = self.answer(opening)
        assert isinstance(opened, ElectionOpened)
        self.place = place_of(C.hash, opened.signing_key, opened.boot)
        self.sealing_key = opened.sealing_key

    def answer(self, body: protocol.CallBody) -> protocol.AnswerBody:
        """The answer, after its way over the wire."""
        answered = protocol.encode(protocol.Reply(1, self.enclave.answer(protocol.Call(1, body))))
        return protocol.decode_reply(answered[4:]).body

    def serve(self, payload: bytes) -> protocol.AnswerBody | None:
        """What ``EnclaveProcess.serve`` does with a payload; None: it would end."""
        try:
            call = protocol.decode_call(payload)
        except FrameInvalid:
            return None
        if isinstance(call.body, protocol.Confine):
            return None  # it would lock the process that runs these tests
        return self.answer(call.body)

    def sealed(self, text: bytes) -> AskElection:
        """A sealed call, made by the rules, of any text."""
        public = OpeningKey(b"a" * 32).public
        return AskElection(hpke.seal(public + text, self.sealing_key, info=self.place + b"request"))

    def assert_serves(self) -> None:
        """It still does what it is for."""
        signed = self.answer(protocol.Sign((protocol.RandaoItem(self.validator.pubkey, 4),)))
        assert isinstance(signed, protocol.Signed)
        assert isinstance(signed.results[0], protocol.Granted)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("enclave")
    before = Path.cwd()
    os.chdir(folder)  # damaged paths may be relative ones
    try:
        made = World(folder)
        yield made
        made.enclave.close()
    finally:
        os.chdir(before)


def test_every_kind_of_call_item_and_request_is_tried(world: World) -> None:
    assert {type(each) for each in world.calls} == set(kinds(protocol.CallBody))
    assert {type(each) for each in items(world.validator)} == set(kinds(protocol.Item))
    assert {type(each) for each in requests()} == set(kinds(Request))


def test_valid_calls_are_answered(world: World) -> None:
    """Else what follows would damage what was refused anyway. Items: each is signed."""
    for body in world.calls:
        answer = world.serve(payload_of(body))
        expected = {"Open", "OpenElection"}  # open already
        expected |= {"TakeHello", "AttestHello", "AskElection"}  # no content
        expected |= {"SignFragment", "HoldSpan"}  # another's
        # A ceremony is held where no node runs; no TPM was named before the lock.
        expected |= {each.__name__ for each in (*kinds(CeremonyCall), OpenTpm)}
        refused = isinstance(answer, protocol.Refusal)
        assert refused is (type(body).__name__ in expected), (body, answer)
        if isinstance(answer, protocol.Signed):
            assert all(isinstance(result, protocol.Granted) for result in answer.results)


def payload_of(body: protocol.CallBody) -> bytes:
    return protocol.encode(protocol.Call(1, body))[4:]


def flipped(payload: bytes, places: list[int]) -> bytes:
    changed = bytearray(payload)
    for place in places:
        changed[place // 8 % len(changed)] ^= 1 << place % 8
    return bytes(changed)


some_bits = st.lists(st.integers(0, 1 << 20), min_size=1, max_size=4)
anything = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2**64 - 1) | st.binary(max_size=99) | st.text(),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=20,
)


def assert_clear(answer: protocol.AnswerBody | None) -> None:
    if isinstance(answer, protocol.Refusal):
        assert answer.code
        assert answer.action
        assert "\n" not in answer.code + answer.action


@DAMAGE
@given(data=st.data(), bits=some_bits)
def test_calls_with_other_bits(world: World, data: st.DataObject, bits: list[int]) -> None:
    body = data.draw(st.sampled_from(world.calls))
    assert_clear(world.serve(flipped(payload_of(body), bits)))
    world.assert_serves()


@DAMAGE
@given(data=st.data(), tail=st.binary(max_size=20))
def test_calls_cut_short_or_with_more_behind_them_are_no_calls(
    world: World, data: st.DataObject, tail: bytes
) -> None:
    payload = payload_of(data.draw(st.sampled_from(world.calls)))
    cut = data.draw(st.integers(0, len(payload) - 1))
    assert world.serve(payload[:cut]) is None
    assert not tail or world.serve(payload + tail) is None


@DAMAGE
@given(data=st.data(), value=anything)
def test_other_values_in_the_place_of_a_field(
    world: World, data: st.DataObject, value: object
) -> None:
    fields = msgspec.msgpack.decode(payload_of(data.draw(st.sampled_from(world.calls))))
    where: list[Any] = fields[1]
    for _ in range(data.draw(st.integers(0, 4))):  # so deep
        inner: list[list[Any]] = [each for each in where if isinstance(each, list) and each]
        where = data.draw(st.sampled_from(inner)) if inner else where
    where[data.draw(st.integers(0, len(where) - 1))] = value
    assert_clear(world.serve(msgspec.msgpack.encode(fields)))
    world.assert_serves()


@DAMAGE
@given(noise=st.binary(max_size=400))
def test_noise(world: World, noise: bytes) -> None:
    assert_clear(world.serve(noise))


def test_repeated_calls_get_the_same_signatures(world: World) -> None:
    (sign,) = (each for each in world.calls if isinstance(each, protocol.Sign))
    assert world.answer(sign) == world.answer(sign)


@DAMAGE
@given(data=st.data(), bits=some_bits)
def test_sealed_calls_with_other_bits_are_refused(
    world: World, data: st.DataObject, bits: list[int]
) -> None:
    text = codec.encode(data.draw(st.sampled_from(requests())))
    sealed = world.sealed(text).sealed
    changed = flipped(sealed, bits)
    answer = world.answer(AskElection(changed))
    if changed != sealed:
        assert isinstance(answer, protocol.Refusal)


@DAMAGE
@given(data=st.data(), bits=some_bits, cut=st.integers(0, 400))
def test_sealed_calls_of_a_node_that_lies_within(
    world: World, data: st.DataObject, bits: list[int], cut: int
) -> None:
    """Sealed by the rules, so all that is inside comes to the voter."""
    text = codec.encode(data.draw(st.sampled_from(requests())))
    for content in (flipped(text, bits), text[:cut], text + b"\0", text):
        assert_clear(world.answer(world.sealed(content)))
    world.assert_serves()


# --- a real process --------------------------------------------------------------------------


class Process:
    """A locked enclave, and its socket in our hand."""

    def __init__(self, folder: Path, *, locked: bool = True) -> None:
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(60)
        self._process = subprocess.Popen(
            COMMAND, stdin=theirs.fileno(), stderr=subprocess.PIPE, env={"LC_ALL": "C.UTF-8"}
        )
        theirs.close()
        self._frames = protocol.FrameBuffer()
        if locked:
            confinement = Confinement(writable=(folder,), readable=(folder,))
            assert self.ask(protocol.confine_call(confinement)) == protocol.Done()

    def ask(self, body: protocol.CallBody) -> protocol.AnswerBody:
        self.socket.sendall(protocol.encode(protocol.Call(1, body)))
        while True:
            chunk = self.socket.recv(1 << 16)
            assert chunk, "it closed"
            for payload in self._frames.feed(chunk):
                return protocol.decode_reply(payload).body

    def ended(self) -> tuple[int, str]:
        """How it ended, and what it wrote."""
        with self.socket:
            self.socket.shutdown(socket.SHUT_WR)
            _, told = self._process.communicate(timeout=60)
        return self._process.returncode, told.decode()


NONSENSE = {
    "garbage": (b"\0\0\0\x05" + bytes(5), "decode call"),
    "no length": (bytes(4), "read frame"),
    "absurd length": (b"\xff" * 4, "read frame"),
    "a path with a NUL": (
        protocol.encode(protocol.Call(1, protocol.Open("a\0b", ()))), "decode call"
    ),
    "a kind that is none": (b"\0\0\0\x07\x92\x01\x91\xa3raw", "decode call"),
}  # fmt: skip


@pytest.mark.parametrize("locked", [False, True], ids=["before its lock", "locked"])
@pytest.mark.parametrize("name", NONSENSE)
def test_process_that_is_told_nonsense_says_so_in_one_line(
    tmp_path: Path, name: str, locked: bool
) -> None:
    frame, named = NONSENSE[name]
    process = Process(tmp_path, locked=locked)
    process.socket.sendall(frame)
    code, told = process.ended()
    assert code == 70
    (line,) = told.splitlines()
    assert line.startswith("error: ")
    assert named in line
    assert "enclave_frame_invalid" in line


def test_process_whose_node_goes_away_amid_a_frame_ends_without_a_word(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.socket.sendall(protocol.encode(protocol.Call(1, protocol.AskStatus()))[:-1])
    assert process.ended() == (0, "")


def test_process_refuses_what_cannot_be_and_serves_the_next(tmp_path: Path) -> None:
    """Before it is open, opened with false values, open, and with damaged calls of every kind."""
    (validator,), (file,) = shares(tmp_path, 1)
    make_key_file(tmp_path / "seal-key", system_entropy)
    every = calls(tmp_path, validator, file)
    process = Process(tmp_path)
    impossible: tuple[protocol.CallBody, ...] = (
        protocol.Sign(items(validator)),
        protocol.AskStatus(),
        protocol.Open(str(tmp_path / "absent" / "a.db"), ()),
        protocol.Open(str(tmp_path), ()),
    )
    for body in impossible:
        refusal = process.ask(body)
        assert isinstance(refusal, protocol.Refusal), body
        assert isinstance(process.ask(protocol.AskProtections()), protocol.Protections)
    for body in every:
        if isinstance(body, protocol.Open | protocol.Configure):
            assert process.ask(body) == protocol.Done()
    for body in every:
        _replay_and_damage(process, body, validator)
    assert process.ended() == (0, "")


def _replay_and_damage(process: Process, body: protocol.CallBody, validator: Validator) -> None:
    first = process.ask(body)
    if isinstance(body, protocol.Sign | protocol.Learn | protocol.AskStatus):
        assert process.ask(body) == process.ask(body)
    elif isinstance(body, protocol.Confine | protocol.Open):
        assert isinstance(first, protocol.Refusal)
        assert isinstance(process.ask(body), protocol.Refusal)
    else:
        process.ask(body)
    payload = payload_of(body)
    for place in range(0, 8 * len(payload), max(1, 8 * len(payload) // 97)):
        changed = flipped(payload, [place])
        try:
            call = protocol.decode_call(changed)
        except FrameInvalid:
            continue  # this ends the process: see above
        if call.id == 1:
            process.ask(call.body)
    granted = process.ask(protocol.Sign((protocol.RandaoItem(validator.pubkey, 4),)))
    assert isinstance(granted, protocol.Signed)
    assert isinstance(granted.results[0], protocol.Granted)
