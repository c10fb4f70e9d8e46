"""A session between two members that are named by host and port: TLS, then who is there.

TLS hides what is said and names the session: the listener's certificate is made at its start and
trusted by nobody. Who is there is shown by the two enclaves, which sign that certificate's hash
(``hello``); somebody in the middle has another certificate. So no certificate is handed out.

    listener -> dialer   Greeting, Hello      dialer -> listener   Greeting, Hello
    then both            messages of ``codec``, each behind its length in four bytes
"""

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tetrarch.decoding import UNDECODABLE
from tetrarch.election import codec
from tetrarch.election.configuration import Configuration
from tetrarch.election.hello import (
    EVIDENCE_MAX_BYTES,
    Appraisal,
    Hello,
    HelloInvalid,
    Nonce,
    session_of,
)
from tetrarch.election.statements import Signed
from tetrarch.election.values import Hash, Index, Value
from tetrarch.errors import PeerFault, Transient

CONNECT_TIMEOUT_S = (
    2.0  # TLS included; where packets vanish, the next try comes soon after they do not
)
HANDSHAKE_TIMEOUT_S = 5.0
GREETING_MAX_BYTES = 1024
HELLO_MAX_BYTES = EVIDENCE_MAX_BYTES + (4 << 10)
_LENGTH_BYTES = 4
_NAME = "tetrarch-election"
# Nobody judges it by its dates: it lives as long as its listener.
_FROM, _UNTIL = datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


class ConfigurationDiffers(PeerFault):
    """The other side elects among other members or by other rules; both hashes are named."""

    code = "election_configuration_differs"


class LinkFailed(Transient):
    """A session could not be opened, or ended: it is tried again."""

    code = "election_link_failed"


class Greeting(Value, frozen=True):
    """The first frame. ``source``: who it says it is; the hello after it shows that."""

    configuration_hash: Hash
    source: Index
    nonce: Nonce


class Introducing(Protocol):
    """The own enclave, as far as hellos go (``enclave.election_client``)."""

    async def challenge(self) -> bytes:
        """A nonce for another's hello."""
        ...

    async def say_hello(self, *, session: bytes, nonce: bytes) -> Signed[Hello]:
        """Answer another's nonce."""
        ...

    async def take_hello(self, hello: Signed[Hello], *, session: bytes) -> Appraisal:
        """Check another's hello, and its evidence."""
        ...

    async def attest_hello(self, hello: Signed[Hello], *, session: bytes) -> Appraisal:
        """Check only the evidence of another's hello, who may have another configuration."""
        ...


class Session:
    """An open session with a known member. Frames in and out; the owner closes it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        hello: Hello,
        appraisal: Appraisal,
    ) -> None:
        self.hello = hello
        self.appraisal = appraisal
        self._reader = reader
        self._writer = writer

    @property
    def peer(self) -> int:
        """The other member's index."""
        return self.hello.source

    async def receive(self) -> bytes:
        """The next frame.

        Raises:
            LinkFailed: the session ended.
            MessageInvalid: a frame is longer than one may be.
        """
        return await _receive(self._reader, codec.MESSAGE_MAX_BYTES)

    async def send(self, payloads: list[bytes]) -> None:
        """Send frames; waits while the other side does not read. Raises LinkFailed."""
        try:
            self._writer.write(b"".join(_framed(payload) for payload in payloads))
            await self._writer.drain()
        except OSError as error:
            raise LinkFailed("send to member", reason=error) from None

    def close(self) -> None:
        """End it at once; who reads from it hears of that, and calls ``end``."""
        self._writer.transport.abort()

    async def end(self) -> None:
        """End it at once, as its owner."""
        await end(self._writer)


async def end(writer: asyncio.StreamWriter) -> None:
    """End a connection at once.

    And take the reason why it ended: the library keeps it, and prints one that nobody took as an
    exception that was lost.
    """
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


@dataclass(frozen=True, slots=True)
class TlsContexts:
    """For listening and dialling; ``session`` names what is listened on."""

    listening: ssl.SSLContext
    dialling: ssl.SSLContext
    session: bytes


def make_tls_contexts() -> TlsContexts:
    """A fresh key and certificate. Cost: some ms; the key is in a file for a moment (mode 0600)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _NAME)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .sign(key, hashes.SHA256())
    )
    listening = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    listening.minimum_version = ssl.TLSVersion.TLSv1_3
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with tempfile.TemporaryDirectory() as folder:  # the library reads keys from files only
        path = Path(folder, "pem")
        path.touch(mode=0o600)
        path.write_bytes(pem + certificate.public_bytes(Encoding.PEM))
        listening.load_cert_chain(path)
    dialling = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    dialling.minimum_version = ssl.TLSVersion.TLSv1_3
    dialling.check_hostname = False  # the enclave's signature names the certificate instead
    dialling.verify_mode = ssl.CERT_NONE
    return TlsContexts(listening, dialling, session_of(certificate.public_bytes(Encoding.DER)))


async def dial(
    host: str,
    port: int,
    *,
    contexts: TlsContexts,
    configuration: Configuration,
    own: int,
    enclave: Introducing,
) -> Session:
    """Open a session as its dialer.

    Raises:
        LinkFailed: nobody is there, or it took too long.
        ConfigurationDiffers, HelloInvalid, KeyChanged, MemberUnattested: who is there is not who should be.
    """
    async with _in_time("dial member", CONNECT_TIMEOUT_S):
        reader, writer = await asyncio.open_connection(
            host, port, limit=codec.MESSAGE_MAX_BYTES, ssl=contexts.dialling
        )
    try:
        async with _in_time("dial member", HANDSHAKE_TIMEOUT_S):
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            return await _introduce(
                reader,
                writer,
                session_of(shown or b""),
                configuration=configuration,
                own=own,
                enclave=enclave,
            )
    except BaseException:
        await end(writer)
        raise


async def accept(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    contexts: TlsContexts,
    configuration: Configuration,
    own: int,
    enclave: Introducing,
) -> Session:
    """Open a session as its listener. Raises as ``dial``; the caller ends ``writer`` then."""
    async with _in_time("accept member", HANDSHAKE_TIMEOUT_S):
        return await _introduce(
            reader,
            writer,
            contexts.session,
            configuration=configuration,
            own=own,
            enclave=enclave,
        )


@asynccontextmanager
async def _in_time(action: str, timeout_s: float) -> AsyncIterator[None]:
    """Whatever the network does in this block is a LinkFailed."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError:
        raise LinkFailed(action, reason="no answer", timeout_s=timeout_s) from None
    except OSError as error:
        raise LinkFailed(action, reason=error) from None


async def _introduce(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    session: bytes,
    *,
    configuration: Configuration,
    own: int,
    enclave: Introducing,
) -> Session:
    """Both sides do the same, at the same time."""
    nonce = await enclave.challenge()
    greeting = Greeting(configuration.hash, own, nonce)
    writer.write(_framed(msgspec.msgpack.encode(greeting)))
    theirs = _read_greeting(await _receive(reader, GREETING_MAX_BYTES))
    if theirs.configuration_hash != configuration.hash:
        await writer.drain()  # so that the other side can say the same
        raise ConfigurationDiffers(
            "greet member",
            own=configuration.hash.hex(),
            theirs=theirs.configuration_hash.hex(),
        )
    said = await enclave.say_hello(session=session, nonce=theirs.nonce)
    writer.write(_framed(codec.encode(said)))
    hello = codec.decode_hello(await _receive(reader, HELLO_MAX_BYTES))
    if hello.what.nonce != nonce or hello.what.source != theirs.source:
        raise HelloInvalid("greet member", reason="it answers another greeting")
    appraisal = await enclave.take_hello(hello, session=session)
    return Session(reader, writer, hello.what, appraisal)


def _read_greeting(payload: bytes) -> Greeting:
    try:
        return msgspec.msgpack.decode(payload, type=Greeting)
    except UNDECODABLE as error:
        raise HelloInvalid("greet member", reason=error) from None


async def _receive(reader: asyncio.StreamReader, size_max: int) -> bytes:
    try:
        size = int.from_bytes(await reader.readexactly(_LENGTH_BYTES), "big")
        if size > size_max:
            raise codec.MessageInvalid("receive frame", bytes=size, maximum=size_max)
        return await reader.readexactly(size)
    except (asyncio.IncompleteReadError, OSError) as error:
        raise LinkFailed("receive frame", reason=error) from None


def _framed(payload: bytes) -> bytes:
    return len(payload).to_bytes(_LENGTH_BYTES, "big") + payload
