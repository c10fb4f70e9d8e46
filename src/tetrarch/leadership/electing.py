"""Where leaders are elected: each certificate that the own member of the election has is given to the chain.

It is asked over HTTP, as its operator asks it, so that it may be any process: `tetrarch election node`, or a cluster's node.
Whether a certificate is right, the chain says, which has the election's configuration in its first block.
"""

import asyncio
from typing import Any, Final

import aiohttp
import msgspec

from tetrarch.decoding import UNDECODABLE
from tetrarch.errors import InputInvalid
from tetrarch.leadership.ports import LeadershipPorts
from tetrarch.ledger.blocks import Fragment, FragmentId, fragment_id
from tetrarch.ledger.elections import encode_document
from tetrarch.network.overlay.chain import Verdict
from tetrarch.observability.logs import error_fields

LOOK_S: Final = 0.5
AGAIN_S: Final = 10.0  # while it is in no block, the chain tells it on again
ANSWER_S: Final = 5.0
ANSWER_SIZE_BYTES_MAX: Final = 1 << 18
PATH: Final = "election/leader"


class _Leader(msgspec.Struct, frozen=True):
    certificate: dict[str, Any]


class _Newest(msgspec.Struct, frozen=True):
    leader: _Leader | None


class Electing:
    """``run`` it."""

    def __init__(self, ports: LeadershipPorts, url: str) -> None:
        """``url``: of the member's monitoring listener."""
        self._ports = ports
        self._url = f"{url.rstrip('/')}/{PATH}"
        self._given: FragmentId | None = None
        self._given_s = 0.0  # when, by the loop's clock
        self._is_away = False

    async def run(self) -> None:
        """Until cancelled."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                try:
                    newest = await self._ask(session)
                except (aiohttp.ClientError, TimeoutError, InputInvalid, *UNDECODABLE) as error:
                    self._note_away(error)
                else:
                    self._note_back()
                    if newest is not None:
                        await self.give(newest)
                await asyncio.sleep(LOOK_S)

    async def give(self, data: Fragment) -> None:
        """Give the chain what the member has; again later, so that a leader of before hears of it that was cut off."""
        identity, now_s = fragment_id(data), asyncio.get_running_loop().time()
        is_news = identity != self._given
        if not is_news and now_s - self._given_s < AGAIN_S:
            return
        self._given, self._given_s = identity, now_s
        verdict = await self._ports.network.propose_fragment(data)
        if not is_news:
            return
        if verdict is Verdict.INVALID:
            mend = "the chain's first block names another election, or other members' keys"
            self._ports.log.warning("election_refused", url=self._url, mend=mend)
        else:
            self._ports.log.info("election_given", verdict=verdict.value)

    async def _ask(self, session: aiohttp.ClientSession) -> Fragment | None:
        """The newest certificate; None: there is none yet."""
        async with session.get(self._url, allow_redirects=False) as answer:
            data = await answer.content.read(ANSWER_SIZE_BYTES_MAX + 1)
            while not answer.content.at_eof() and len(data) <= ANSWER_SIZE_BYTES_MAX:
                data += await answer.content.read(ANSWER_SIZE_BYTES_MAX + 1 - len(data))
            if answer.status != 200 or len(data) > ANSWER_SIZE_BYTES_MAX:
                raise InputInvalid("ask election", status=answer.status, bytes=len(data))
        leader = msgspec.json.decode(data, type=_Newest).leader
        return None if leader is None else encode_document(msgspec.json.encode(leader.certificate))

    def _note_away(self, error: Exception) -> None:
        if not self._is_away:
            fields = error_fields(error) if isinstance(error, InputInvalid) else {}
            reason = fields or {"reason": str(error) or type(error).__name__}
            self._ports.log.warning("election_away", url=self._url, **reason)
        self._is_away = True

    def _note_back(self) -> None:
        if self._is_away:
            self._ports.log.info("election_answers", url=self._url)
        self._is_away = False
