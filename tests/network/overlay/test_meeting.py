"""Two nodes meet, and whoever is in between, elsewhere or late is not taken for one of them."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tetrarch.errors import PeerFault
from tetrarch.network.faults import HelloMissing, StreamBroken
from tetrarch.network.overlay import meeting
from tetrarch.network.overlay.greeting import (
    CertificateDiffers,
    ChainDiffers,
    NodeDiffers,
    VersionDiffers,
    decode_greeting,
    encode_greeting,
)
from tetrarch.network.overlay.meeting import Introduction, meet_as_dialer, meet_as_listener
from tetrarch.network.overlay.profile import NodeId

BLOCK0, OURS, PROXY = b"b" * 32, b"c" * 32, b"p" * 32


Frames: TypeAlias = "asyncio.Queue[bytes | None]"


class Pipe:
    """One end of a stream in memory; keeps what was written."""

    def __init__(self, inbound: Frames, outbound: Frames) -> None:
        self.inbound, self.outbound = inbound, outbound
        self.written: list[bytes] = []
        self.reads: Callable[[], Awaitable[bytes]] = self._next

    async def read(self) -> bytes:
        return await self.reads()

    async def _next(self) -> bytes:
        frame = await self.inbound.get()
        if frame is None:
            raise StreamBroken("use stream", reason="closed_by_peer")
        return frame

    async def write(self, frame: bytes) -> None:
        self.written.append(frame)
        self.outbound.put_nowait(frame)


def pipes() -> tuple[Pipe, Pipe]:
    one: Frames = asyncio.Queue()
    other: Frames = asyncio.Queue()
    return Pipe(one, other), Pipe(other, one)


def introduction(number: int, **changes) -> Introduction:
    key = Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    nonces = itertools.count(number << 32)
    made = Introduction(
        node=NodeId(key.public_key().public_bytes_raw()),
        block0=BLOCK0,
        program="tetrarch/test",
        certificates=(OURS,),
        sign=key.sign,
        entropy=lambda size_bytes: next(nonces).to_bytes(size_bytes, "big"),
    )
    return replace(made, **changes)


A, B, C = (introduction(number) for number in (1, 2, 3))


async def met(dialer, listener, *, certificate=OURS, expected=None, tamper=None):
    """What each side made of the other: a greeting, or the error."""
    here, there = pipes()
    if tamper is not None:
        tamper(here, there)

    async def ended(work, own: Pipe):
        try:
            return await work
        except (PeerFault, StreamBroken) as error:
            own.outbound.put_nowait(None)  # hangs up
            return error

    return await asyncio.gather(
        ended(meet_as_dialer(here, dialer, certificate=certificate, expected=expected), here),
        ended(meet_as_listener(there, listener, observed="1.2.3.4:5"), there),
    )


def meet(*arguments, **options):
    return asyncio.run(met(*arguments, **options))


@pytest.mark.parametrize("certificate", [OURS, b""])
def test_two_nodes_meet_with_tls_or_without(certificate: bytes) -> None:
    theirs, ours = meet(A, B, certificate=certificate, expected=B.node)
    assert (theirs.node, ours.node) == (B.node, A.node)
    assert theirs.observed == "1.2.3.4:5"
    assert theirs.program == "tetrarch/test"


def test_another_node_than_the_one_that_was_dialled() -> None:
    here, there = meet(A, B, expected=C.node)
    assert isinstance(here, NodeDiffers)
    assert here.fields == {"expected": C.node.hex(), "got": B.node.hex()}
    assert isinstance(there, StreamBroken), "it never got our proof"


def test_a_node_that_dials_itself() -> None:
    here, there = meet(A, A)
    assert isinstance(here, StreamBroken)
    assert isinstance(there, NodeDiffers)


def test_another_chain_is_named_by_the_listener() -> None:
    _, there = meet(A, introduction(2, block0=b"x" * 32))
    assert isinstance(there, ChainDiffers)
    assert there.fields == {"ours": (b"x" * 32).hex(), "theirs": BLOCK0.hex()}


def test_who_stands_between_with_a_certificate_of_his_own_is_noticed() -> None:
    _, there = meet(A, B, certificate=b"m" * 32)
    assert isinstance(there, CertificateDiffers)


def test_a_proxy_whose_certificate_the_listener_names_is_none() -> None:
    theirs, _ = meet(A, introduction(2, certificates=(OURS, PROXY)), certificate=PROXY)
    assert theirs.node == B.node


def test_who_stands_between_cannot_pass_another_certificate_off() -> None:
    """It changes the dialer's greeting on the way: the listener signs what the dialer did not say."""

    def tamper(_here: Pipe, there: Pipe) -> None:
        original = there.reads

        async def read() -> bytes:
            frame = await original()
            if not there.written:
                theirs = decode_greeting(frame)
                changed = {name: getattr(theirs, name) for name in theirs.__struct_fields__}
                changed["certificate"] = OURS
                return encode_greeting(type(theirs)(**changed))
            return frame

        there.reads = read

    here, _ = meet(A, B, certificate=b"m" * 32, tamper=tamper)
    assert isinstance(here, CertificateDiffers)


def test_a_relay_cannot_use_one_meeting_for_another() -> None:
    """The reference's hole: C lets A prove itself to C, and uses the proof to be A at B."""

    async def main() -> tuple[bytes, bytes]:
        with_a, a_side = pipes()  # C listens to A
        with_b, b_side = pipes()  # C dials B
        a = asyncio.create_task(meet_as_dialer(a_side, A, certificate=b"", expected=None), name="a")
        b = asyncio.create_task(meet_as_listener(b_side, B, observed=""), name="b")
        await with_b.write(await with_a.read())  # A's greeting
        answer = await with_b.read()  # B's answer
        await with_a.write(answer)
        proof = await with_a.read()
        await with_b.write(proof)
        return (await a).node, (await b).node

    # Without TLS a relay carries bytes; A knows that it met B, not C.
    assert asyncio.run(main()) == (B.node, A.node)

    async def as_c() -> object:
        with_a, a_side = pipes()
        with_b, b_side = pipes()
        a = asyncio.create_task(meet_as_dialer(a_side, A, certificate=b"", expected=C.node))
        b = asyncio.create_task(meet_as_listener(b_side, B, observed=""))
        await with_b.write(await with_a.read())
        await with_a.write(await with_b.read())
        try:
            return await a
        except PeerFault as error:
            return error
        finally:
            b.cancel()
            await asyncio.gather(b, return_exceptions=True)

    assert isinstance(asyncio.run(as_c()), NodeDiffers), "who wants C does not prove itself to B"


@given(st.sampled_from([0, 1, 2]), st.integers(0, 400 * 8))
def test_no_bit_of_a_meeting_can_be_changed(place: int, bit: int) -> None:
    """Of the dialer's greeting, the answer, the proof: somebody refuses, whatever was changed."""

    def tamper(here: Pipe, there: Pipe) -> None:
        side, nth = (there, place // 2) if place != 1 else (here, 0)
        original, count = side.reads, itertools.count()

        async def read() -> bytes:
            frame = bytearray(await original())
            if next(count) == nth:
                at = bit % (8 * len(frame))
                frame[at // 8] ^= 1 << at % 8
            return bytes(frame)

        side.reads = read

    here, there = meet(A, B, tamper=tamper)
    assert isinstance(here, PeerFault) or isinstance(there, PeerFault | StreamBroken)


def test_another_version_is_refused_by_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "VERSION", 2)
    _, there = meet(A, B)
    assert isinstance(there, VersionDiffers)


def test_silence_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "MEETING_TIMEOUT_S", 0.05)

    async def main() -> None:
        here, there = pipes()
        with pytest.raises(HelloMissing):
            await meet_as_dialer(here, A, certificate=b"", expected=None)
        del there

    asyncio.run(main())
