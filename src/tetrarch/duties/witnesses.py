"""Witnesses: what the peers saw our share sign, and what we say of theirs.

Each question and its answer is one message (``network.requests``), bytes big-endian::

    question   version u8 | wanted u8 (0: state alone, 1: signatures too) | instance 8 B |
               after: 0 or 48 B, a root key
    answer     version u8 | flags u8 | first epoch u64 | per duty: size u32, partials as they travel

The answer brings, for validators with keys above ``after``, the newest vote, block and sync message
that the asker's share signed, each with the partial signature itself: a liar can keep one back, and can invent
none. Flags: 1 more follow, 2 the peer itself signs nothing yet, 4 it sees another
process with the asker's certificate, 8 and that one is older. ``first epoch`` is when it started.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from tetrarch.duties import highest_signed
from tetrarch.duties.highest_signed import TOLD_TYPES, Page
from tetrarch.duties.partials_codec import decode_partials, encode_partials
from tetrarch.duties.payload_codec import PartialsInvalid
from tetrarch.duties.plausible import belongs
from tetrarch.duties.ports import GroupKeys, Storage
from tetrarch.duties.types import PartialSet, PartialSignature, ShareIndex
from tetrarch.errors import PeerFault
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.network.requests import Requests, Subject

VERSION = 1
INSTANCE_SIZE_BYTES = 8
PAGE_ITEMS_MAX = 2_000  # of some 350 bytes
ANSWER_TIMEOUT_S = 2.0

_QUESTION = struct.Struct(">BB8s")
_HEAD = struct.Struct(">BBQ")
_SIZE = struct.Struct(">I")
_MORE, _HELD, _TWIN, _TWIN_IS_OLDER = 1, 2, 4, 8


class TestimonyInvalid(PeerFault):
    """A peer's answer about what our share signed is not well-formed, or not about our share."""

    code = "testimony_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerState:
    """What a peer says of itself and of us, beside signatures."""

    held: bool  # it signs nothing yet
    first_epoch: int  # in which it started
    has_twin: bool = False  # it sees another process with our certificate
    twin_is_older: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Testimony:
    """One peer's answer: well-formed, of our share and plausible; signatures not yet verified."""

    __test__ = False  # not a test, whatever its name begins with

    state: PeerState
    partials: tuple[PartialSignature, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnState:
    """What this node tells the others of itself. ``twins_of``: peer and its instance, see Peer."""

    held: Callable[[], bool]
    first_epoch: int
    instance: bytes = bytes(INSTANCE_SIZE_BYTES)
    twin_of: Callable[[int, bytes], bool | None] = lambda _peer, _instance: None


class Witnesses:
    """Asks and answers."""

    def __init__(
        self,
        *,
        requests: Requests,
        storage: Storage,
        keys: GroupKeys,
        chain: ChainSpec,
        own: OwnState,
    ) -> None:
        self._requests = requests
        self._storage = storage
        self._keys = keys
        self._chain = chain
        self._own = own
        requests.serve(Subject.HIGHEST_SIGNED, self._answer)

    async def ask(self, peer: int) -> Testimony:
        """All that ``peer`` saw our share sign.

        Raises:
            PeerSilent: it gave no answer in time.
            TestimonyInvalid: it broke the protocol.
        """
        after, partials = b"", []
        while True:
            answer = await self._asked(peer, b"\1", after)
            state, page = self._read(answer)
            partials += [p for partial_set in page.sets for p in partial_set.partials]
            if not page.more:
                return Testimony(state=state, partials=tuple(partials))
            highest = max((p.pubkey for s in page.sets for p in s.partials), default=b"")
            if highest <= after:
                raise TestimonyInvalid("read testimony", reason="pages do not advance")
            after = highest

    async def ask_state(self, peer: int) -> PeerState:
        """Without the signatures; raises as ``ask``."""
        return self._read(await self._asked(peer, b"\0", b""))[0]

    async def _asked(self, peer: int, wanted: bytes, after: bytes) -> bytes:
        question = _QUESTION.pack(VERSION, wanted[0], self._own.instance) + after
        return await self._requests.ask(
            peer, Subject.HIGHEST_SIGNED, question, timeout_s=ANSWER_TIMEOUT_S
        )

    async def _answer(self, peer: int, question: bytes) -> bytes | None:
        if len(question) not in (_QUESTION.size, _QUESTION.size + 48):
            return None
        version, wanted, instance = _QUESTION.unpack_from(question)
        if version != VERSION:
            return None
        page = Page((), more=False)
        if wanted:
            share, after = ShareIndex(peer + 1), question[_QUESTION.size :]
            page = await self._storage.read(
                lambda c: highest_signed.highest(c, share, after=after, limit=PAGE_ITEMS_MAX)
            )
        flags = _MORE * page.more | _HELD * self._own.held()
        older = self._own.twin_of(peer, instance)
        if older is not None:
            flags |= _TWIN | _TWIN_IS_OLDER * older
        parts = [_HEAD.pack(VERSION, flags, self._own.first_epoch)]
        for partial_set in page.sets:
            encoded = encode_partials(partial_set, answer=True)
            parts += [_SIZE.pack(len(encoded)), encoded]
        return b"".join(parts)

    def _read(self, answer: bytes) -> tuple[PeerState, Page]:
        if len(answer) < _HEAD.size:
            raise TestimonyInvalid("read testimony", reason="cut off")
        version, flags, first_epoch = _HEAD.unpack_from(answer)
        if version != VERSION:
            raise TestimonyInvalid("read testimony", version=version)
        sets, offset = [], _HEAD.size
        while offset < len(answer):
            if len(answer) - offset < _SIZE.size:
                raise TestimonyInvalid("read testimony", reason="cut off")
            (size,) = _SIZE.unpack_from(answer, offset)
            offset += _SIZE.size
            sets.append(self._read_set(answer[offset : offset + size], size))
            offset += size
        state = PeerState(
            held=bool(flags & _HELD),
            first_epoch=first_epoch,
            has_twin=bool(flags & _TWIN),
            twin_is_older=bool(flags & _TWIN_IS_OLDER),
        )
        return state, Page(tuple(sets), more=bool(flags & _MORE))

    def _read_set(self, data: bytes, size: int) -> PartialSet:
        if len(data) != size:
            raise TestimonyInvalid("read testimony", reason="cut off")
        try:
            partial_set, _ = decode_partials(data, share_index=self._keys.own_share_index)
        except PartialsInvalid as error:
            raise TestimonyInvalid("read testimony", reason=error) from error
        known = self._keys.pubkeys
        for partial in partial_set.partials:
            right = partial.pubkey in known and belongs(
                partial.payload, partial_set.duty, self._chain
            )
            if partial_set.duty.type not in TOLD_TYPES or not right:
                raise TestimonyInvalid("read testimony", duty=partial_set.duty)
        return partial_set
