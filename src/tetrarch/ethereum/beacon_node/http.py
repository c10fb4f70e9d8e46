"""Requests to one beacon node: addresses, limits, time limits, and one place for what fails.

Guarantees: an answer is read up to its limit and no further; redirects are not followed (they
could carry credentials away); credentials of the URL appear in no error and no log.
"""

from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from tetrarch.decoding import UNDECODABLE
from tetrarch.errors import ConfigInvalid, InputInvalid
from tetrarch.ethereum.beacon_node.errors import (
    BeaconNodeAnswerInvalid,
    BeaconNodeRefused,
    BeaconNodeUnreachable,
    all_known,
)
from tetrarch.ethereum.spec.values import member, parse_uint64

JSON = "application/json"
SSZ = "application/octet-stream"
SSZ_PREFERRED = "application/octet-stream;q=1.0,application/json;q=0.9"
VERSION_HEADER = "Eth-Consensus-Version"
BLINDED_HEADER = "Eth-Execution-Payload-Blinded"
GONE = (404, 405, 410, 501)  # how nodes say that they have no such endpoint

MIB = 1024 * 1024
ANSWER_SIZE_MAX = 16 * MIB
BLOCK_SIZE_MAX = 64 * MIB  # JSON of a block with all its blobs
ONE_PIECE_MAX = MIB  # a body up to here is written at once
ERROR_SIZE_MAX = MIB  # a refusal may name every item of a batch
MESSAGE_LENGTH_MAX = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Time limits of the kinds of call. The connection limit counts within each."""

    connect_s: float = 1.0
    read_s: float = 2.0
    production_s: float = 6.0  # a block waits for its execution payload, or for a relay
    submit_s: float = 4.0
    proxy_idle_s: float = 10.0  # between two chunks of a proxied answer; event streams: none


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. ``path`` is below the node's address; ``timeout_s`` covers all of it.

    ``items``: how many the body lists, where a refusal may name single ones.
    """

    method: str
    path: str
    timeout_s: float
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    body: bytes | None = field(default=None, repr=False)
    size_max: int = ANSWER_SIZE_MAX
    items: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A successful answer (status 2xx), fully read."""

    path: str
    status: int
    headers: Mapping[str, str] = field(hash=False)
    body: bytes = field(repr=False)

    @property
    def is_ssz(self) -> bool:
        """Whether the body is SSZ rather than JSON."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip() == SSZ

    def json(self) -> Any:
        """The decoded body.

        Raises:
            BeaconNodeAnswerInvalid: it is no JSON.
        """
        try:
            return msgspec.json.decode(self.body)
        except UNDECODABLE as error:
            raise BeaconNodeAnswerInvalid(
                "read beacon node's answer", path=self.path, reason=f"no JSON: {error}"
            ) from None


def encode_json(value: object) -> bytes:
    """Compact JSON."""
    return msgspec.json.encode(value)


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Turn ``InputInvalid`` inside the block into ``BeaconNodeAnswerInvalid`` naming ``path``."""
    try:
        yield
    except InputInvalid as error:
        fields = {"field": error.action, **error.fields}
        raise BeaconNodeAnswerInvalid("read beacon node's answer", path=path, **fields) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a beacon node is. ``name`` is the URL without credentials."""

    url: URL = field(repr=False)
    name: str
    authorization: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read a URL such as ``https://user:password@node.example:5052/prefix``.

        Raises:
            ConfigInvalid: no absolute http(s) URL; the text itself is not repeated.
        """
        try:
            url = URL(text)
        except ValueError:
            url = URL()
        if url.scheme not in ("http", "https") or not url.host or url.query_string or url.fragment:
            raise ConfigInvalid(
                "read beacon node address", reason="expected http(s)://host[:port][/prefix]"
            )
        authorization = None
        if url.user is not None:
            pair = f"{url.user}:{url.password or ''}".encode()
            authorization = "Basic " + b64encode(pair).decode()
        bare = url.with_user(None)
        return cls(url=bare, name=str(bare).rstrip("/"), authorization=authorization)

    def at(self, path: str) -> URL:
        """The full URL of an already encoded ``path`` (with query)."""
        return URL(self.name + path, encoded=True)


class Exchange:
    """Sends calls to one beacon node over a session it does not own."""

    def __init__(
        self, session: aiohttp.ClientSession, address: Address, timeouts: Timeouts
    ) -> None:
        self.timeouts = timeouts
        self.name = address.name
        self._session = session
        self._address = address

    async def send(self, call: Call) -> Answer:
        """Send ``call`` and read its whole answer.

        Raises:
            BeaconNodeUnreachable: no connection, or not in time.
            BeaconNodeRefused: a status other than 2xx, with the node's message.
            BeaconNodeAnswerInvalid: a longer answer than ``call.size_max``.
        """
        headers = {"Accept": JSON, **call.headers, **self.credentials()}
        timeout = aiohttp.ClientTimeout(total=call.timeout_s, connect=self.timeouts.connect_s)
        with self.failures(call.path):
            async with self._session.request(
                call.method,
                self._url(call),
                data=_payload(call.body),
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                if not 200 <= response.status < 300:
                    raise await _refusal(call, response)
                body = await _read(response, call.size_max, call.path)
                return Answer(
                    path=call.path, status=response.status, headers=response.headers, body=body
                )

    @asynccontextmanager
    async def open(self, call: Call, *, idle_s: float | None) -> AsyncIterator[Any]:
        """Send ``call`` and yield the raw response, whatever its status, to be streamed.

        ``idle_s`` limits the wait for each chunk; the answer as a whole has no limit.
        """
        # The headers may come as late as a whole answer of another kind.
        timeout = aiohttp.ClientTimeout(
            total=None, connect=self.timeouts.connect_s, sock_read=idle_s
        )
        with self.failures(call.path):
            response = await self._session.request(
                call.method,
                self._url(call),
                data=_payload(call.body),
                headers={**call.headers, **self.credentials()},
                timeout=timeout,
                allow_redirects=False,
            )
        async with response:  # what the caller's block raises is no fault of the node
            yield response

    def _url(self, call: Call) -> URL:
        url = self._address.at(call.path)
        return url.with_query(call.query) if call.query else url

    def credentials(self) -> dict[str, str]:
        """The header that the address's credentials ask for."""
        authorization = self._address.authorization
        return {} if authorization is None else {"Authorization": authorization}

    @contextmanager
    def failures(self, path: str) -> Iterator[None]:
        """Turn the library's failures inside the block into ``BeaconNodeUnreachable``."""
        fields = {"node": self.name, "path": path.partition("?")[0]}
        try:
            yield
        except TimeoutError:
            raise BeaconNodeUnreachable("ask beacon node", **fields, reason="time out") from None
        except (aiohttp.ClientError, OSError) as error:
            # The class only: the text may repeat the request with its headers.
            reason = type(error).__name__
            raise BeaconNodeUnreachable("ask beacon node", **fields, reason=reason) from None


def _payload(body: bytes | None) -> bytes | BytesIO | None:
    """Large bodies go out in pieces, so that other calls go on meanwhile."""
    return BytesIO(body) if body is not None and len(body) > ONE_PIECE_MAX else body


async def _read(response: aiohttp.ClientResponse, size_max: int, path: str) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > size_max:
            raise BeaconNodeAnswerInvalid(
                "read beacon node's answer", path=path, reason="too long", limit_bytes=size_max
            )
        parts.append(chunk)
    return b"".join(parts)


async def _refusal(call: Call, response: aiohttp.ClientResponse) -> BeaconNodeRefused:
    """The error of a refusal: the API's message with the first failures, or the raw text."""
    try:
        body = await _read(response, ERROR_SIZE_MAX, call.path)
        value = msgspec.json.decode(body)
    except (*UNDECODABLE, BeaconNodeAnswerInvalid):
        value = None
    message = response.reason or ""
    failed: tuple[int, ...] = ()
    known = False
    if isinstance(value, dict) and isinstance(value.get("message"), str):
        message = value["message"]
        failures = value.get("failures")
        known = all_known([message])
        if isinstance(failures, list) and failures:
            texts = [
                str(item.get("message")) if isinstance(item, dict) else "" for item in failures
            ]
            known = all(all_known([text]) for text in texts)
            message = ": ".join([message, "; ".join(texts[:8])])
            if response.status == 400:
                failed = _failed_indices(failures, call.items)
    message = "".join(c if c.isprintable() else " " for c in message)[:MESSAGE_LENGTH_MAX]
    return BeaconNodeRefused(
        "ask beacon node",
        status=response.status,
        message=message,
        failed_indices=failed,
        already_known=known,
        path=call.path.partition("?")[0],
    )


def _failed_indices(failures: list[object], items: int) -> tuple[int, ...]:
    """The places that ``failures`` names, ascending; none if any is not one of ``items`` places.

    A wrong place makes the whole list worthless: whoever believed the rest would take an item
    for accepted that was not.
    """
    if len(failures) > items:
        return ()
    try:
        named = {
            parse_uint64(member(item, "index", what="failure"), what="index") for item in failures
        }
    except InputInvalid:
        return ()
    return tuple(sorted(named)) if max(named, default=0) < items else ()
