"""Two nodes meet on a stream: the greetings of ``greeting``, sent and checked."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tetrarch.entropy import Entropy
from tetrarch.errors import PeerFault
from tetrarch.network.faults import HelloMissing
from tetrarch.network.link import Stream
from tetrarch.network.overlay.addresses import Address
from tetrarch.network.overlay.greeting import (
    DIALER,
    LISTENER,
    NONCE_SIZE_BYTES,
    VERSION,
    Answer,
    CertificateDiffers,
    Greeting,
    GreetingInvalid,
    check_greeting,
    check_statement,
    decode_answer,
    decode_greeting,
    encode_answer,
    encode_greeting,
    statement,
)
from tetrarch.network.overlay.profile import SIGNATURE_SIZE_BYTES, NodeId, Sign

MEETING_TIMEOUT_S = 5.0


class NodeShutOut(PeerFault):
    """A node that was put aside or banned wants to talk; its time has not come."""

    code = "overlay_node_shut_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """Who showed who it is, on which service, where we see it, and where it says that it sees us."""

    node: NodeId
    is_extended: bool
    address: Address | None
    observed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """What this node says of itself to whoever it meets. ``certificates``: hashes of those that a
    dialer may see of it, its own and its proxies'.
    """

    node: NodeId
    block0: bytes
    program: str
    certificates: Collection[bytes]
    sign: Sign
    entropy: Entropy

    def greeting(self, *, certificate: bytes, observed: str) -> Greeting:
        """A fresh one."""
        return Greeting(
            version=VERSION,
            node=self.node,
            nonce=self.entropy(NONCE_SIZE_BYTES),
            block0=self.block0,
            certificate=certificate,
            observed=observed[:64],
            program=self.program[:64],
        )


async def meet_as_dialer(
    stream: Stream, own: Introduction, *, certificate: bytes, expected: NodeId | None
) -> Greeting:
    """Show who we are to whom we dialled, and see who it is.

    ``certificate`` is SHA-256 of the one that TLS showed, or empty; ``expected`` who should be there, or
    None for whoever is.

    Raises:
        GreetingInvalid, VersionDiffers, ChainDiffers, NodeDiffers, CertificateDiffers: who is there.
        HelloMissing: it was silent for 5 s.
        StreamBroken: it hung up.
    """
    said = encode_greeting(own.greeting(certificate=certificate, observed=""))
    async with _in_time():
        await stream.write(said)
        answer = decode_answer(await stream.read())
        theirs = decode_greeting(answer.greeting)
        check_greeting(theirs, block0=own.block0, expected=expected, own=own.node)
        if theirs.certificate != certificate:
            raise CertificateDiffers("greet node", seen=certificate.hex())
        node = NodeId(theirs.node)
        check_statement(LISTENER, node, answer.signature, said, answer.greeting)
        await stream.write(own.sign(statement(DIALER, said, answer.greeting)))
    return theirs


async def meet_as_listener(stream: Stream, own: Introduction, *, observed: str) -> Greeting:
    """See who dialled us, and show who we are. ``observed``: where we see it. Raises as above."""
    async with _in_time():
        heard = await stream.read()
        theirs = decode_greeting(heard)
        check_greeting(theirs, block0=own.block0, expected=None, own=own.node)
        if theirs.certificate and theirs.certificate not in own.certificates:
            raise CertificateDiffers("greet node", seen=theirs.certificate.hex())
        said = encode_greeting(own.greeting(certificate=theirs.certificate, observed=observed))
        signature = own.sign(statement(LISTENER, heard, said))
        await stream.write(encode_answer(Answer(said, signature)))
        proof = await stream.read()
        if len(proof) != SIGNATURE_SIZE_BYTES:
            raise GreetingInvalid("greet node", size_bytes=len(proof))
        check_statement(DIALER, NodeId(theirs.node), proof, heard, said)
    return theirs


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    """Silence is a fault of who is silent."""
    try:
        async with asyncio.timeout(MEETING_TIMEOUT_S):
            yield
    except TimeoutError:
        raise HelloMissing("greet node", waited_s=MEETING_TIMEOUT_S) from None
