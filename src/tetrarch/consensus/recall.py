"""Recall: a node that may have forgotten its own words asks its peers for them.

A folder restored from a backup does not know what the node said after the backup was taken, and
would say something else now. What peers keep is the newest statement of each node in each open
duty; in an answer these stand one after the other as envelopes without justification, newest duty
first. A statement proves itself by our own signature, so a peer can keep one back, and invent none.
"""

from collections.abc import Callable, Sequence

from tetrarch.clock import Clock
from tetrarch.consensus.codec import Codec
from tetrarch.consensus.messages import Envelope, SignedMessage
from tetrarch.consensus.votes import VoteLog
from tetrarch.duties.types import Duty
from tetrarch.errors import PeerFault
from tetrarch.network.requests import Requests, Subject

STATEMENTS_MAX = 512  # an epoch has some 70 open duties
ANSWER_TIMEOUT_S = 2.0


class RecallInvalid(PeerFault):
    """A peer's answer about what we said in consensus is not well-formed, or not about us."""

    code = "recall_invalid"


class Recall:
    """Asks and answers. ``heard_from``: the newest statements of a peer, newest duty first."""

    def __init__(
        self,
        *,
        requests: Requests,
        codec: Codec,
        votes: VoteLog,
        own_index: int,
        clock: Clock,
        ends_s: Callable[[Duty], float | None],
        heard_from: Callable[[int], Sequence[SignedMessage]],
    ) -> None:
        self._requests = requests
        self._codec = codec
        self._votes = votes
        self._own_index = own_index
        self._clock = clock
        self._ends_s = ends_s
        self._heard_from = heard_from
        self._size_bytes = codec.statement_size_bytes
        requests.serve(Subject.OWN_STATEMENTS, self._answer)

    async def forgotten(self, peer: int) -> tuple[Duty, ...]:
        """Open duties in which ``peer`` proves that we said what our votes do not hold.

        Raises:
            PeerSilent: it gave no answer in time.
            RecallInvalid, MessageInvalid, SignatureWrong: it broke the protocol.
        """
        answer = await self._requests.ask(
            peer, Subject.OWN_STATEMENTS, b"", timeout_s=ANSWER_TIMEOUT_S
        )
        duties: dict[Duty, None] = {}
        for signed in self._read(answer):
            duty = signed.message.duty
            if self._is_open(duty) and not await self._holds(signed):
                self._codec.check(Envelope(signed))
                duties[duty] = None
        return tuple(duties)

    async def _answer(self, peer: int, question: bytes) -> bytes | None:
        if question:
            return None
        statements = self._heard_from(peer)[:STATEMENTS_MAX]
        return b"".join(self._codec.encode_envelope(Envelope(each)) for each in statements)

    def _read(self, answer: bytes) -> list[SignedMessage]:
        size = self._size_bytes
        if len(answer) % size or len(answer) > STATEMENTS_MAX * size:
            raise RecallInvalid("read own statements", size_bytes=len(answer))
        starts = range(0, len(answer), size)
        statements = [self._codec.decode_envelope(answer[at : at + size]).signed for at in starts]
        for signed in statements:
            if signed.message.source != self._own_index:
                raise RecallInvalid("read own statements", source=signed.message.source)
        return statements

    def _is_open(self, duty: Duty) -> bool:
        """Votes about one that is over are dropped, and nothing is said in it any more."""
        ends_s = self._ends_s(duty)
        return ends_s is not None and self._clock.wall_s() < ends_s

    async def _holds(self, signed: SignedMessage) -> bool:
        message = signed.message
        return any(
            self._codec.decode_envelope(vote.content).message == message
            for vote in await self._votes.votes(message.duty)
            if (vote.round, vote.type) == (message.round, message.type)
        )
