"""Connections to nodes by address: with TLS, whose certificate is fetched and pinned first, or without.

grpcio verifies certificates and cannot leave it, so a first connection only looks at the certificate; the
second takes that one, and no other, for its root. Who is behind it is shown by the greeting, which names
its hash: whoever shows us a certificate of his own can only be himself.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import grpc
import grpc.aio

from tetrarch.errors import PeerFault
from tetrarch.network.certificates import CertificateUnusable, dns_names, load_certificate, to_pem
from tetrarch.network.faults import StreamBroken
from tetrarch.network.overlay.addresses import Address
from tetrarch.network.overlay.identity import certificate_hash
from tetrarch.network.overlay.messages import RECEIVED_MAX_BYTES
from tetrarch.network.streams import DIALER_OPTIONS, DialledStream

TALK_PATH = "/tetrarch.Overlay/Talk"
CONNECT_TIMEOUT_S = 5.0
OPTIONS = (*DIALER_OPTIONS, ("grpc.max_receive_message_length", RECEIVED_MAX_BYTES))


class CertificateNotPinned(PeerFault):
    """The node shows another certificate than the one that its operator or its profile named."""

    code = "overlay_certificate_not_pinned"


@dataclass(frozen=True, slots=True)
class Dialled:
    """An open connection. ``certificate``: SHA-256 of what TLS showed; empty without TLS."""

    channel: grpc.aio.Channel
    certificate: bytes


@asynccontextmanager
async def dialled(
    address: Address, *, secured: bool, pinned: bytes | None = None
) -> AsyncIterator[Dialled]:
    """A connection to ``address``; closed at the end.

    Raises:
        StreamBroken: nobody is there, or no TLS.
        CertificateNotPinned: ``pinned`` is the hash of another one.
    """
    seen = b""
    if secured:
        der = await _fetch_certificate(address)
        seen = certificate_hash(der)
        if pinned is not None and seen != pinned:
            raise CertificateNotPinned("dial node", seen=seen.hex(), pinned=pinned.hex())
        try:
            certificate = load_certificate(der, of=str(address))
        except CertificateUnusable as error:
            raise StreamBroken("dial node", reason="certificate_unusable", details=error) from None
        credentials = grpc.ssl_channel_credentials(root_certificates=to_pem(der))
        name = dns_names(certificate)[0]
        options = (*OPTIONS, ("grpc.ssl_target_name_override", name))
        channel = grpc.aio.secure_channel(str(address), credentials, options)
    else:
        channel = grpc.aio.insecure_channel(str(address), OPTIONS)
    async with channel:
        yield Dialled(channel, seen)


@asynccontextmanager
async def talk_stream(channel: grpc.aio.Channel) -> AsyncIterator[DialledStream]:
    """A stream of our own service; cut at the end."""
    stream = DialledStream(channel.stream_stream(TALK_PATH)())
    try:
        yield stream
    finally:
        stream.close()


async def _fetch_certificate(address: Address) -> bytes:
    """What the listener shows whoever connects; nobody has vouched for it yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(str(address.ip), address.port, ssl=context)
    except (OSError, TimeoutError) as error:
        raise StreamBroken("dial node", reason=_reason(error)) from None
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()
    if shown is None:
        raise StreamBroken("dial node", reason="no_certificate")
    return bytes(shown)


def _reason(error: OSError) -> str:
    """A bounded set of words, also a metric label."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionRefusedError):
        return "connection_refused"
    return "no_tls" if isinstance(error, ssl.SSLError) else "unreachable"
