"""HTTP/2 by hand, for callers that keep to nothing: frames as they are, over TLS or bare TCP."""

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

from tetrarch.network.overlay.addresses import Address
from tetrarch.network.overlay.dialling import TALK_PATH

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
CANCEL = (8).to_bytes(4, "big")
# Settings, and an acknowledgement of the other side's, without which it keeps calls back.
BEGIN = PREFACE + b"\0\0\0\4\0\0\0\0\0" + b"\0\0\0\4\1\0\0\0\0"
SIZE_UNKNOWN = 1 << 20


def frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    """One frame; nothing is checked."""
    return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body


def frames(heard: bytearray) -> Iterator[tuple[int, int]]:
    """Kind and flags of the frames that came whole; they are taken out of ``heard``."""
    while len(heard) >= 9 and len(heard) >= 9 + int.from_bytes(heard[:3], "big"):
        yield heard[3], heard[4]
        del heard[: 9 + int.from_bytes(heard[:3], "big")]


def call(stream: int, path: str = TALK_PATH, *more: tuple[bytes, bytes]) -> bytes:
    """The headers that begin a gRPC call."""
    fields = [
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":path", path.encode()),
        (b":authority", b"overlay.tetrarch"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        *more,
    ]
    block = b"".join(b"\0" + _text(name) + _text(value) for name, value in fields)
    return frame(HEADERS, END_HEADERS, stream, block)


def message(payload: bytes, *, size_bytes: int | None = None) -> bytes:
    """A gRPC message; ``size_bytes`` is what it claims to be."""
    claimed = len(payload) if size_bytes is None else size_bytes
    return b"\0" + claimed.to_bytes(4, "big") + payload


def reset(stream: int) -> bytes:
    """Takes a call back."""
    return frame(RST_STREAM, 0, stream, CANCEL)


def _text(text: bytes) -> bytes:
    """HPACK: a length with a prefix of seven bits, no Huffman code."""
    if len(text) < 127:
        return bytes([len(text)]) + text
    size, rest = len(text) - 127, bytearray([127])
    while size >= 128:
        rest.append(size % 128 + 128)
        size //= 128
    return bytes(rest) + bytes([size]) + text


def credentials() -> ssl.SSLContext:
    """Anybody is trusted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


@dataclass(frozen=True, slots=True)
class Wire:
    """A connection that says what it likes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def say(self, data: bytes) -> None:
        """Send; waits while the other side does not read."""
        self.writer.write(data)
        await self.writer.drain()

    async def hear(self) -> bytes:
        """Whatever came; nothing once it is over."""
        try:
            return await self.reader.read(SIZE_UNKNOWN)
        except OSError:
            return b""

    async def ended(self) -> bytes:
        """All that came until the other side ended it."""
        heard = bytearray()
        while data := await self.hear():
            heard += data
        return bytes(heard)

    def drop(self) -> None:
        """End it without a word."""
        self.writer.transport.abort()


async def wire(address: Address, *, secured: bool = True, source: str = "127.0.0.66") -> Wire:
    """Connect, from another address of this machine than its nodes have."""
    opened = await asyncio.open_connection(
        str(address.ip),
        address.port,
        ssl=credentials() if secured else None,
        local_addr=(source, 0),
    )
    return Wire(*opened)
