"""The dialling side of the mesh: keep one stream open to one peer with a higher index."""

import asyncio
from dataclasses import dataclass

import grpc
import grpc.aio

from tetrarch.entropy import Entropy
from tetrarch.errors import PeerFault
from tetrarch.network.certificates import dns_names, load_certificate, to_pem
from tetrarch.network.faults import StreamBroken
from tetrarch.network.frames import Hello, encode_hello
from tetrarch.network.peer import Peer, check_hello
from tetrarch.network.streams import DIALER_OPTIONS, HELLO_TIMEOUT_S, PATH, DialledStream

BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 2.0  # short: four refused dials a second harm nobody, a late node misses duties
STABLE_AFTER_S = 5.0  # a stream that lived that long starts the backoff anew

_MEND = {
    "certificate_refused": "both nodes must hold the same cluster files",
    "refused": "see the peer's log: it refused this node",
    "connection_refused": "start the peer, or correct its address",
}
_MEND_OTHERWISE = "check that the peer runs, its address and the firewalls between"


def backoff_s(attempt: int, entropy: Entropy) -> float:
    """How long to wait before dial number ``attempt`` (from 1) after a failure.

    Doubles up to the maximum; the upper half is random, so that nodes do not dial in step.
    """
    full_s = min(BACKOFF_FIRST_S * 2.0 ** min(attempt - 1, 16), BACKOFF_MAX_S)
    return full_s * (0.5 + 0.5 * int.from_bytes(entropy(2), "big") / 0xFFFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class DialerKeys:
    """Our side of the TLS handshake."""

    certificate_pem: bytes
    private_key_pem: bytes

    def __repr__(self) -> str:
        return "DialerKeys(...)"


class Dialer:
    """Dials one peer for as long as it runs."""

    def __init__(self, peer: Peer, *, own: Hello, keys: DialerKeys, entropy: Entropy) -> None:
        self._peer = peer
        self._own = own
        self._entropy = entropy
        self._told_unreachable = False
        certificate_der = peer.identity.certificate_der
        certificate = load_certificate(certificate_der, of=f"peer {peer.identity.index}")
        # The only root is the one certificate that this peer may show.
        self._credentials = grpc.ssl_channel_credentials(
            root_certificates=to_pem(certificate_der),
            private_key=keys.private_key_pem,
            certificate_chain=keys.certificate_pem,
        )
        name = dns_names(certificate)[0]
        self._options = (*DIALER_OPTIONS, ("grpc.ssl_target_name_override", name))

    async def run(self) -> None:
        """Dial, serve, dial again, until cancelled."""
        loop = asyncio.get_running_loop()
        attempt = 0
        while True:
            started_s = loop.time()
            await self._dial()
            attempt = 1 if loop.time() - started_s >= STABLE_AFTER_S else attempt + 1
            await asyncio.sleep(backoff_s(attempt, self._entropy))

    async def _dial(self) -> None:
        """One connection from dial to end. A new channel each time: backoff is ours alone."""
        address = self._peer.identity.address
        async with grpc.aio.secure_channel(address, self._credentials, self._options) as channel:
            stream = DialledStream(channel.stream_stream(PATH)())
            try:
                hello = await self._greet(stream)
                self._told_unreachable = False
                await self._peer.serve(stream, hello)
            except PeerFault as fault:
                self._peer.note_fault(fault)
            except StreamBroken as broken:
                self._note_failure(str(broken.fields["reason"]), str(broken.fields.get("details")))
            except TimeoutError:
                self._note_failure("timeout", f"no answer within {HELLO_TIMEOUT_S} s")
            finally:
                stream.close()

    async def _greet(self, stream: DialledStream) -> Hello:
        async with asyncio.timeout(HELLO_TIMEOUT_S):
            await stream.write(encode_hello(self._own))
            return check_hello(await stream.read(), own=self._own, index=self._peer.identity.index)

    def _note_failure(self, reason: str, details: str) -> None:
        """Count each failure, tell the operator once per outage."""
        self._peer.unreachable(reason)
        tell = self._peer.log.debug if self._told_unreachable else self._peer.log.warning
        self._told_unreachable = True
        tell(
            "peer_unreachable",
            address=self._peer.identity.address,
            reason=reason,
            details=details,
            mend=_MEND.get(reason, _MEND_OTHERWISE),
        )
