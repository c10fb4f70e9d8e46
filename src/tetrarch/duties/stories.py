"""Stories: what all nodes of the cluster know of one duty, from their own records.

A node asks its peers over the mesh and answers them the same way. What a peer answers is its
claim: it is decoded strictly, held against what was asked, shown as the peer's word, and changes
nothing here.
"""

import asyncio
import struct
from collections.abc import Callable
from typing import Annotated

import msgspec

from tetrarch.decoding import UNDECODABLE
from tetrarch.duties.duty import SLOTS_MAX, Duty, duty_from
from tetrarch.duties.failure_reasons import RESTS_ON
from tetrarch.duties.report import (
    PEERS_MAX,
    RECORD_SIZE_BYTES_MAX,
    DutyReport,
    Index,
    Word,
    decode_report,
    encode_report,
    printable,
)
from tetrarch.duties.report_store import ReportStore
from tetrarch.duties.tracker import Tracker
from tetrarch.errors import InputInvalid
from tetrarch.network.requests import PeerSilent, Requests, Subject

ASK_TIMEOUT_S = 2.0
REPORTS_MAX = 3  # a duty and those that it rests on
ANSWER_SIZE_BYTES_MAX = REPORTS_MAX * (RECORD_SIZE_BYTES_MAX + 8)

_QUESTION = struct.Struct(">QB")
_Records = Annotated[list[bytes], msgspec.Meta(max_length=REPORTS_MAX)]
_ANSWERS = msgspec.msgpack.Decoder(_Records)


class NodeStory(msgspec.Struct, frozen=True, kw_only=True):
    """What one node says of a duty; ``reports`` is of the duty, then of those it rests on."""

    peer: Index
    name: Annotated[str, msgspec.Meta(max_length=128)]
    is_own: bool = False
    trouble: str = ""  # why there is no record: silent, nothing known, not understood
    reports: Annotated[tuple[DutyReport, ...], msgspec.Meta(max_length=REPORTS_MAX)] = ()


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """A duty across the cluster."""

    slot: int
    type: Word
    nodes: Annotated[tuple[NodeStory, ...], msgspec.Meta(max_length=PEERS_MAX)]
    from_database_alone: bool = False  # the node did not run: nobody else was asked


def related(duty: Duty) -> tuple[Duty, ...]:
    """A duty and those that it rests on."""
    return (duty, *(Duty(duty.slot, other) for other in RESTS_ON.get(duty.type, ())))


def encode_question(duty: Duty) -> bytes:
    """Slot u64 and type u8, big-endian."""
    return _QUESTION.pack(duty.slot, duty.type)


def decode_question(body: bytes) -> Duty:
    """The duty that a peer asks about; raises InputInvalid."""
    if len(body) != _QUESTION.size:
        raise InputInvalid("decode question", size=len(body))
    slot, number = _QUESTION.unpack(body)
    if slot >= SLOTS_MAX:
        raise InputInvalid("decode question", slot=slot)
    return duty_from(slot, number)


def encode_answer(reports: tuple[DutyReport, ...]) -> bytes:
    """msgpack: the records, each as it is stored."""
    return msgspec.msgpack.encode([encode_report(report) for report in reports])


def decode_answer(body: bytes, duty: Duty) -> tuple[DutyReport, ...]:
    """A peer's records of ``duty`` and what it rests on.

    Raises:
        InputInvalid: too large, of another shape, or about something else.
    """
    if len(body) > ANSWER_SIZE_BYTES_MAX:
        raise InputInvalid("decode answer", size=len(body))
    try:
        records = _ANSWERS.decode(body)
    except UNDECODABLE as error:
        raise InputInvalid("decode answer", reason=str(error)[:100]) from None
    reports = tuple(map(decode_report, records))
    names = [report.name for report in reports]
    if len(set(names)) != len(names) or not set(names) <= set(map(str, related(duty))):
        raise InputInvalid("decode answer", reason="not about the duty that was asked for")
    return reports


class DutyStories:
    """``explain`` a duty with what all nodes know. Answers peers that ask the same."""

    def __init__(
        self,
        *,
        tracker: Tracker,
        store: ReportStore,
        requests: Requests,
        own_index: int,
        peers: tuple[int, ...],
        name_of: Callable[[int], str],
    ) -> None:
        self._tracker = tracker
        self._store = store
        self._requests = requests
        self._own_index = own_index
        self._peers = peers
        self._name_of = name_of
        requests.serve(Subject.DUTY_STORY, self.answer)

    async def answer(self, _peer: int, body: bytes) -> bytes | None:
        """What this node knows of the duty that a peer asks about."""
        try:
            reports = await self.own(decode_question(body))
        except InputInvalid:
            return None
        return encode_answer(reports) if reports else None

    async def own(self, duty: Duty) -> tuple[DutyReport, ...]:
        """The node's own records of ``duty`` and what it rests on: from memory, else from disk."""
        found = [await self._own(each) for each in related(duty)]
        return tuple(report for report in found if report is not None)

    async def _own(self, duty: Duty) -> DutyReport | None:
        known = self._tracker.report_of(duty)
        if known is not None and known.is_whole:
            return known
        return await self._store.find(duty) or known  # that of before a restart says more

    async def explain(self, duty: Duty) -> Story:
        """All nodes' records. Takes ``ASK_TIMEOUT_S`` if one of them is silent."""
        own = NodeStory(
            peer=self._own_index,
            name=self._name_of(self._own_index),
            is_own=True,
            reports=await self.own(duty),
        )
        others = await asyncio.gather(*(self._ask(peer, duty) for peer in self._peers))
        nodes = sorted([own, *others], key=lambda node: node.peer)
        return Story(slot=duty.slot, type=duty.type.name.lower(), nodes=tuple(nodes))

    async def _ask(self, peer: int, duty: Duty) -> NodeStory:
        trouble = ""
        reports: tuple[DutyReport, ...] = ()
        try:
            body = await self._requests.ask(
                peer, Subject.DUTY_STORY, encode_question(duty), timeout_s=ASK_TIMEOUT_S
            )
            reports = decode_answer(body, duty)
        except PeerSilent as error:
            trouble = str(error.fields.get("reason", error.code))
        except InputInvalid as error:
            trouble = f"its answer is not understood: {error}"
        return NodeStory(
            peer=peer,
            name=self._name_of(peer),
            trouble=printable(trouble, length_max=200),
            reports=reports,
        )
