"""What a validator client signed, on its way in: judged one by one, verified together, stored.

Each endpoint brings a reader of one item and a judge of one item; all else is here. A list is
never refused for one of its items: the right ones are stored, the others are told by index.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from tetrarch.duties.plausible import belongs, signing_root
from tetrarch.duties.timing import may_speak_of
from tetrarch.duties.types import (
    AttesterDefinition,
    Duty,
    PartialSet,
    PartialSignature,
    Payload,
    PubKey,
    SyncCommitteeDefinition,
    UnsignedData,
)
from tetrarch.errors import InputInvalid, PeerFault
from tetrarch.ethereum.spec.values import Fork
from tetrarch.ssz.container import Container
from tetrarch.ssz.sequence import List
from tetrarch.validator_api.api import SignatureClaim, ValidatorApi
from tetrarch.validator_api.messages import (
    ApiError,
    ApiRequest,
    ItemFailure,
    bad_request,
    describe,
)
from tetrarch.validator_api.negotiation import SSZ

ITEMS_MAX = 65_536
BYTES_PER_MS = 10_000  # of a body, read into values: about what one core does

T = TypeVar("T")
D = TypeVar("D", AttesterDefinition, SyncCommitteeDefinition)


@dataclass(frozen=True, slots=True)
class Items(Generic[T]):
    """A request's items with their places, and those that could not be read."""

    read: tuple[tuple[int, T], ...]
    malformed: tuple[ItemFailure, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One accepted message; its signature by our share not verified yet."""

    duty: Duty
    pubkey: PubKey
    payload: Payload
    signature: bytes


class Refused(Exception):
    """Why one item is not accepted."""


@contextmanager
def listing_failures() -> Iterator[None]:
    """A pool's 400 always has a list of failures, though it be empty."""
    try:
        yield
    except ApiError as error:
        if error.status == 400 and error.failures is None:
            raise ApiError(400, error.message, failures=()) from None
        raise


# --- reading ---------------------------------------------------------------------------------


async def read_items(
    api: ValidatorApi,
    request: ApiRequest,
    *,
    from_json: Callable[[object], T],
    from_ssz: Callable[[bytes], Sequence[T]],
) -> Items[T]:
    """The items of the body: in JSON each is read by itself, in SSZ they stand or fall together.

    Raises:
        ApiError: 400, the body is no list, or of too many; 415, it is of another type.
    """
    is_ssz = request.body_type() == SSZ

    def read() -> Items[T]:
        if is_ssz:
            return Items(tuple(enumerate(from_ssz(request.body))))
        return _read_array(request.json(), from_json)

    with bad_request():
        return await api.ports.compute.run(read, cost_ms=len(request.body) / BYTES_PER_MS)


def _read_array(values: object, from_json: Callable[[object], T]) -> Items[T]:
    if not isinstance(values, list) or len(values) > ITEMS_MAX:
        raise ApiError(400, f"expected an array of at most {ITEMS_MAX} items")
    read: list[tuple[int, T]] = []
    malformed: list[ItemFailure] = []
    for index, value in enumerate(values):
        try:
            read.append((index, from_json(value)))
        except InputInvalid as error:
            malformed.append(ItemFailure(index, describe(error)))
    return Items(tuple(read), tuple(malformed))


def read_ssz_list(data: bytes, kind: Container, from_ssz: Callable[[bytes], T]) -> list[T]:
    """Decode an SSZ list of ``kind``; raises InputInvalid."""
    return [from_ssz(record.encode()) for record in List(kind, ITEMS_MAX).decode(data)]


# --- judging ---------------------------------------------------------------------------------


class Lookups:
    """What one request asks of the workflow, asked once: its items mostly share a duty."""

    def __init__(self, api: ValidatorApi) -> None:
        self.api = api
        self._members: dict[Duty, Mapping[int, Any]] = {}
        self._decided: dict[Duty, Mapping[tuple[PubKey, int], UnsignedData]] = {}

    async def members(self, duty: Duty, kind: type[D]) -> Mapping[int, D]:
        """The cluster's validators that have ``duty``, by index; empty where it has none.

        Raises:
            Refused: the duty has ended, or is too far ahead.
            ApiError: its epoch is not resolved, or too long ago.
        """
        found = self._members.get(duty)
        if found is None:
            require_open(self.api, duty)
            found = {
                each.validator_index: each
                for each in await self.api.definitions(duty)
                if isinstance(each, kind)
            }
            self._members[duty] = found
        return found

    async def member(self, duty: Duty, validator_index: int, kind: type[D]) -> D:
        """The validator of ours that has ``duty``; raises as ``members``, Refused for none."""
        found = (await self.members(duty, kind)).get(validator_index)
        if found is None:
            raise Refused(f"validator {validator_index} of this cluster has no duty {duty}")
        return found

    async def decided(self, duty: Duty, pubkey: PubKey, sub_index: int = 0) -> UnsignedData | None:
        """What the cluster agreed on for a validator, waited for; None where it has no part.

        Raises:
            ApiError: 408, the cluster does not agree in time.
        """
        if duty not in self._decided:
            awaited = self.api.ports.decided.await_decided(duty)
            items = (await self.api.within(duty, awaited)).items
            self._decided[duty] = {(item.pubkey, item.sub_index): item for item in items}
        return self._decided[duty].get((pubkey, sub_index))


def require_open(api: ValidatorApi, duty: Duty) -> None:
    """Raise Refused unless a signature for ``duty`` is worth anything now."""
    if not may_speak_of(duty, api.ports.chain, now_s=api.ports.clock.wall_s()):
        raise Refused(f"duty {duty} has ended, or is too far ahead")


def require_fork(api: ValidatorApi, slot: int, shape: Fork, named: Fork | None) -> None:
    """Raise Refused unless an object of ``slot`` may come in ``shape`` under that header."""
    fork = api.ports.chain.fork_at_slot(slot)
    if named is not None and named is not fork:
        raise Refused(f"slot {slot} is in {fork}, the header says {named}")
    if fork.at_least(Fork.ELECTRA) and not shape.at_least(Fork.ELECTRA):
        raise Refused(f"slot {slot} is in {fork}: use version 2 of the endpoint")


def differences(value: object, agreed: object, names: Sequence[str]) -> list[str]:
    """Which attributes differ, of those that the agreed value has."""
    return [
        name
        for name in names
        if hasattr(agreed, name) and getattr(value, name) != getattr(agreed, name)
    ]


# --- storing ---------------------------------------------------------------------------------


async def store_items(
    api: ValidatorApi,
    items: Items[T],
    judge: Callable[[T], Awaitable[Submission]],
) -> tuple[Submission, ...]:
    """Store what is right, report what is not. Returns all of them, in the items' order.

    Raises:
        ApiError: 400 with the failures, after the others are stored; 408, judging took too long.
    """
    failures = list(items.malformed)
    judged = await _judge(api, items, judge, failures)
    false = set(await api.find_false(_claims(api, [each for _, each in judged])))
    verified = []
    for position, (index, submission) in enumerate(judged):
        if position in false:
            share = api.share_of(submission.pubkey).hex()
            failures.append(ItemFailure(index, f"the signature is not by key share 0x{share}"))
        else:
            verified.append((index, submission))
    await _emit(api, verified, failures)
    if failures:
        failures.sort(key=lambda failure: failure.index)
        raise ApiError(400, "some items were refused", failures=tuple(failures))
    return tuple(each for _, each in judged)


async def store_one(api: ValidatorApi, submission: Submission, *, what: str) -> None:
    """Store ``submission``, the only one of its request; ``what`` is what is signed.

    Raises:
        ApiError: 400, it is not signed by our share, or our share signed something else before.
    """
    if await api.find_false(_claims(api, [submission])):
        pubkey = submission.pubkey
        share = api.share_of(pubkey).hex()
        raise ApiError(
            400, f"the {what} is not by key share 0x{share} of validator 0x{pubkey.hex()}"
        )
    failures: list[ItemFailure] = []
    await _emit(api, [(0, submission)], failures)
    if failures:
        raise ApiError(400, failures[0].message)


async def _judge(
    api: ValidatorApi,
    items: Items[T],
    judge: Callable[[T], Awaitable[Submission]],
    failures: list[ItemFailure],
) -> list[tuple[int, Submission]]:
    judged = []
    try:
        async with asyncio.timeout(api.limits.request_s):
            for index, item in items.read:
                try:
                    submission = await judge(item)
                    _require_plausible(api, submission)
                    judged.append((index, submission))
                except Refused as refused:
                    failures.append(ItemFailure(index, str(refused)))
                except ApiError as error:
                    failures.append(ItemFailure(index, error.message))
    except TimeoutError:
        raise ApiError(408, "the cluster has not agreed on this in time") from None
    return judged


def _require_plausible(api: ValidatorApi, submission: Submission) -> None:
    if not belongs(submission.payload, submission.duty, api.ports.chain):
        raise Refused(f"the message can be of no duty {submission.duty}")


def _claims(api: ValidatorApi, submissions: Sequence[Submission]) -> list[SignatureClaim]:
    roots: dict[Payload, bytes] = {}  # most of one request sign the same
    claims = []
    for each in submissions:
        root = roots.get(each.payload)
        if root is None:
            root = roots[each.payload] = signing_root(each.payload, api.ports.chain)
        claims.append(
            SignatureClaim(pubkey=each.pubkey, signing_root=root, signature=each.signature)
        )
    return claims


_Key: TypeAlias = tuple[PubKey, int]  # validator and sub-index: one partial each in a duty


async def _emit(
    api: ValidatorApi, verified: Sequence[tuple[int, Submission]], failures: list[ItemFailure]
) -> None:
    """One set per duty, ordered by key. A validator repeats itself, or contradicts itself."""
    by_duty: dict[Duty, dict[_Key, tuple[int, PartialSignature]]] = {}
    for index, each in verified:
        partials = by_duty.setdefault(each.duty, {})
        partial = PartialSignature(
            pubkey=each.pubkey,
            share_index=api.ports.keys.share_index,
            payload=each.payload,
            signature=each.signature,
        )
        known = partials.setdefault((each.pubkey, partial.sub_index), (index, partial))
        if known[1] != partial:
            failures.append(ItemFailure(index, "the validator signs twice in the request"))
    for duty, partials in sorted(by_duty.items()):
        ordered = [partials[key] for key in sorted(partials)]
        if not await _is_taken(api, duty, ordered):
            # One of them contradicts what its share signed before: each by itself, then.
            for index, partial in ordered:
                if not await _is_taken(api, duty, [(index, partial)]):
                    message = f"the key share has signed something else for duty {duty}"
                    failures.append(ItemFailure(index, message))


async def _is_taken(
    api: ValidatorApi, duty: Duty, partials: Sequence[tuple[int, PartialSignature]]
) -> bool:
    partial_set = PartialSet(duty=duty, partials=tuple(partial for _, partial in partials))
    try:
        await api.submitted.emit(partial_set)
    except PeerFault:  # equivocation: the whole set is refused, and nothing of it stored
        return False
    return True
