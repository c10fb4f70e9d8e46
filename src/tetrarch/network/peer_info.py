"""Peer info: each minute every node asks its peers who they are, and says so when that changes.

What a peer says of itself is believed for display only; what the cluster does by it is agreed by
signed statements (``duties.info_sync``). One exception errs on the safe side: a feature that a
peer says it does not take is not sent, for it may have been set back to an older version.

Question and answer are the same: a MessagePack array of who speaks. Fields are in wire order;
later versions may append, receivers ignore more.
"""

import asyncio
from collections.abc import Callable
from typing import Annotated, TypeAlias

import msgspec

from tetrarch.decoding import UNDECODABLE
from tetrarch.errors import PeerFault
from tetrarch.network.requests import PeerSilent, Requests, Subject
from tetrarch.network.versions import FEATURE_SIZE_BYTES_MAX, FEATURES_MAX, unsupported
from tetrarch.observability.logs import Log

INTERVAL_S = 60.0
TIMEOUT_S = 5.0
INFO_SIZE_BYTES_MAX = 4096
MEND_LOCK = "all nodes must hold the same cluster files"

Text: TypeAlias = Annotated[str, msgspec.Meta(max_length=64)]
Protocol: TypeAlias = Annotated[int, msgspec.Meta(ge=1, lt=2**16)]
Feature: TypeAlias = Annotated[str, msgspec.Meta(max_length=FEATURE_SIZE_BYTES_MAX)]


class PeerInfoInvalid(PeerFault):
    """A peer's description of itself breaks the form."""

    code = "peer_info_invalid"


class PeerInfo(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A node, as it describes itself."""

    version: Text
    git_commit: Text  # empty: not known
    started_s: Annotated[int, msgspec.Meta(ge=0, lt=2**53)]  # Unix time
    lock_hash: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    builder_api: bool
    signing: Text  # who signs: "enclave", "validator_client", ...
    nickname: Annotated[str, msgspec.Meta(max_length=32)]
    protocol_min: Protocol
    protocol: Protocol
    features: Annotated[tuple[Feature, ...], msgspec.Meta(max_length=FEATURES_MAX)]

    @property
    def protocols(self) -> tuple[int, int]:
        """The oldest and the newest version of the protocol that it speaks."""
        return self.protocol_min, self.protocol


_decoder = msgspec.msgpack.Decoder(PeerInfo)


def encode_info(info: PeerInfo) -> bytes:
    """As it travels."""
    return msgspec.msgpack.encode(info)


def decode_info(data: bytes) -> PeerInfo:
    """Read what a peer says of itself.

    Raises:
        PeerInfoInvalid: too large, not the form, or text that no log should hold.
    """
    if len(data) > INFO_SIZE_BYTES_MAX:
        raise PeerInfoInvalid("decode peer info", size_bytes=len(data))
    try:
        info = _decoder.decode(data)
    except UNDECODABLE as error:
        raise PeerInfoInvalid("decode peer info", reason=str(error)) from None
    texts = (info.version, info.git_commit, info.signing, info.nickname, *info.features)
    if not all(text.isprintable() for text in texts):
        raise PeerInfoInvalid("decode peer info", reason="unprintable text")
    if info.protocol_min > info.protocol:
        raise PeerInfoInvalid("decode peer info", reason="the oldest version is the newer")
    return info


class PeerInfos:
    """Asks and answers; ``newest`` has what is known. Build it before the bus starts."""

    def __init__(
        self,
        own: PeerInfo,
        requests: Requests,
        *,
        peers: tuple[int, ...],
        log: Log,
        on_info: Callable[[int, PeerInfo], None] = lambda _peer, _info: None,
    ) -> None:
        self.own = own
        self.newest: dict[int, PeerInfo] = {}
        self._requests = requests
        self._peers = peers
        self._log = log
        self._on_info = on_info
        self._told: dict[int, tuple[object, ...]] = {}
        self._refused: set[int] = set()
        requests.serve(Subject.PEER_INFO, self._answer)

    async def run(self) -> None:
        """Ask all peers each minute until cancelled."""
        while True:
            async with asyncio.TaskGroup() as tasks:
                for peer in self._peers:
                    tasks.create_task(self.ask(peer), name=f"peer-info-{peer}")
            await asyncio.sleep(INTERVAL_S)

    async def ask(self, peer: int) -> None:
        """Ask one peer, which may be away."""
        try:
            answer = await self._requests.ask(
                peer, Subject.PEER_INFO, encode_info(self.own), timeout_s=TIMEOUT_S
            )
        except PeerSilent:
            return
        self._note(peer, answer)

    def lacking(self, feature: str) -> bool:
        """Whether some peer is known not to take ``feature``."""
        return any(feature not in info.features for info in self.newest.values())

    async def _answer(self, peer: int, body: bytes) -> bytes | None:
        return encode_info(self.own) if self._note(peer, body) else None

    def _note(self, peer: int, data: bytes) -> bool:
        try:
            info = decode_info(data)
        except PeerInfoInvalid as fault:
            if peer not in self._refused:
                self._refused.add(peer)
                self._log.warning("peer_info_refused", peer=peer, reason=str(fault))
            return False
        self._refused.discard(peer)
        if self.newest.get(peer) != info:
            self.newest[peer] = info
            self._judge(peer, info)
        self._on_info(peer, info)
        return True

    def _judge(self, peer: int, info: PeerInfo) -> None:
        """Say what is wrong, once for each change."""
        same_lock = info.lock_hash == self.own.lock_hash
        mend = unsupported(
            ours=self.own.protocols,
            theirs=info.protocols,
            operator=peer,
            version=info.version,
        )
        wrong = (same_lock, mend)
        if self._told.get(peer, (True, None)) == wrong:
            return
        self._told[peer] = wrong
        if not same_lock:
            theirs = info.lock_hash.hex()[:14]
            self._log.warning("lock_differs", peer=peer, theirs=theirs, mend=MEND_LOCK)
        if mend is not None:
            self._log.warning("peer_version_unsupported", peer=peer, mend=mend)
