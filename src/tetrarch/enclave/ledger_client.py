"""A node's end of its enclave for a ledger: typed calls. Implements ``leadership.ports.Keys``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.ledger_messages import (
    AddLeader,
    AskLeaders,
    AskSlots,
    AskSpan,
    DropLeader,
    EvolveKey,
    GrantSpan,
    HeaderSigned,
    HoldSpan,
    LedgerOpened,
    LinkSigned,
    OpenLedger,
    SignChange,
    SignFragment,
    SignHeader,
    SignLink,
    SlotsDrawn,
    SpanAnswered,
    VotersAre,
)
from tetrarch.enclave.seal_secret import SealSecret
from tetrarch.ledger.finality import Link, Voters
from tetrarch.ledger.fragments.signed import SignedFragment
from tetrarch.ledger.headers import BlockId, Header, PoolId, decode_header, encode_header
from tetrarch.ledger.keyring import LeaderIs, Lottery
from tetrarch.ledger.membership import Change
from tetrarch.ledger.reservations import (
    Kind,
    Receipt,
    Request,
    decode_receipt,
    decode_request,
    encode_receipt,
    encode_request,
)


@dataclass(slots=True)
class LedgerClient:
    """The ledger's keys of one enclave; ``open`` them. Closed with their enclave.

    All calls raise ``EnclaveGone`` and ``EnclaveSlow``, and errors of its disk.
    """

    voter: bytes  # public
    is_shared: bool  # there may be copies of the keys
    _enclave: EnclaveClient

    @classmethod
    async def open(
        cls,
        enclave: EnclaveClient,
        folder: Path,
        secret: SealSecret,
        block0: BlockId | None,
        *,
        is_shared: bool = False,
    ) -> Self:
        """Of the chain of ``block0``; None: it is not there yet. ``is_shared``: there may be copies, from now on.

        Raises:
            OperatorError: of the seal, its secret or the folder.
            OtherChain: they were used for another chain.
        """
        call = OpenLedger(str(folder), secret.file, block0, is_shared)
        opened = await enclave.ask(call, LedgerOpened)
        return cls(opened.voter, opened.is_shared, enclave)

    async def leaders(self) -> tuple[LeaderIs, ...]:
        """All leaders whose keys are here."""
        return (await self._enclave.ask(AskLeaders(), LedgerOpened)).leaders

    async def add_leader(self, pool: PoolId | None = None) -> LeaderIs:
        """Make the keys of one more, of ``pool`` or in turn.

        Raises:
            LeaderUnknown: there are too many, or it is here already.
        """
        return (await self._enclave.ask(AddLeader(pool), LedgerOpened)).leaders[-1]

    async def drop_leader(self, number: int) -> None:
        """Forget a leader's keys, for good.

        Raises:
            LeaderUnknown: there is none.
        """
        await self._enclave.ask(DropLeader(number), LedgerOpened)

    async def slots(self, number: int, lottery: Lottery, slots: range) -> tuple[int, ...]:
        """In which of an epoch's ``slots``, at most ``SLICE_MAX``, a pool is drawn."""
        call = AskSlots(number, lottery, slots.start, len(slots))
        return (await self._enclave.ask(call, SlotsDrawn)).slots

    async def evolve(self, number: int, kes_period: int) -> None:
        """Bring a pool's evolving key to a period.

        Raises:
            PeriodOver, KesKeySpent: it has no such period.
        """
        await self._enclave.ask(EvolveKey(number, kes_period), LedgerOpened)

    async def sign_block(
        self, number: int, header: Header, *, lottery: Lottery | None, kes_period: int
    ) -> Header:
        """``header`` with the leader's proof; see ``Keyring.sign_block``."""
        call = SignHeader(number, encode_header(header), lottery, kes_period)
        return decode_header((await self._enclave.ask(call, HeaderSigned)).header)

    async def sign_vote(self, link: Link) -> bytes:
        """The signature of a vote for ``link``.

        Raises:
            VoteForbidden: it might contradict an older one.
        """
        source, target = link.source, link.target
        call = SignLink(source.height, source.block, target.height, target.block)
        return (await self._enclave.ask(call, LinkSigned)).signature

    async def sign_change(self, change: Change) -> bytes:
        """The signature of a change of members, for which an operator asks."""
        call = SignChange(change.sequence, change.members)
        return (await self._enclave.ask(call, LinkSigned)).signature

    async def ask_span(self, kind: Kind, first: int, until: int) -> Request:
        """A request for this life of the keys to hold a span."""
        answer = await self._enclave.ask(AskSpan(kind.value, first, until), SpanAnswered)
        return decode_request(answer.content)

    async def grant(self, request: Request) -> Receipt:
        """Keep a span for its holder.

        Raises:
            SpanTaken: another life of its keys has some of it.
        """
        answer = await self._enclave.ask(GrantSpan(encode_request(request)), SpanAnswered)
        return decode_receipt(answer.content)

    async def hold(self, receipts: Sequence[Receipt], voters: tuple[Voters, ...]) -> None:
        """Sign in the span that ``receipts`` are of.

        Raises:
            NotReserved: they are too few, or another life's.
        """
        told = tuple(VotersAre(dict(each.weights), each.by_stake) for each in voters)
        call = HoldSpan(tuple(map(encode_receipt, receipts)), told)
        await self._enclave.ask(call, LedgerOpened)

    async def sign_fragment(self, fragment: SignedFragment) -> bytes:
        """The signature of what only voters say.

        Raises:
            NotOurs: it is something else.
        """
        call = SignFragment(fragment.unsigned)
        return (await self._enclave.ask(call, LinkSigned)).signature
