"""Asking a running node at its monitoring listener."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeVar

import aiohttp
import msgspec
from aiohttp.http_exceptions import LineTooLong

from tetrarch.config import load_config
from tetrarch.decoding import UNDECODABLE
from tetrarch.errors import InputInvalid, OperatorError

TIMEOUT_S = 10.0
ORDER_TIMEOUT_S = 30.0  # a node that is to dial another waits for it
SILENT_MAX_S = 60.0  # a node that sends events shows every 15 s that it is there
ANSWER_SIZE_BYTES_MAX = 16 << 20
DEFAULT_URL = "http://127.0.0.1:3620"
_EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104 - to ask such a listener, not to open one

NOT_FOUND = 404
_DENIED = (401, 403)

T = TypeVar("T")


class NodeAway(OperatorError):
    """No node answers where one was looked for, and no database was named instead."""

    code = "node_away"
    exit_code = 69  # EX_UNAVAILABLE
    mend = "start the node, correct --url, or name the node's folder with --folder"


class NodeAnswerInvalid(OperatorError):
    """What answers is no node of this version, or says that the question is wrong."""

    code = "node_answer_invalid"
    exit_code = 65  # EX_DATAERR
    mend = "see that --url is the monitoring listener of a node that takes part in this"


class ControlDenied(OperatorError):
    """The node takes no orders from who has not its token, or asks it by a name."""

    code = "control_denied"
    exit_code = 77  # EX_NOPERM
    mend = "name the folder of the node that --url names, or its --token-file, and an IP address in --url"


class ControlRefused(OperatorError):
    """The node understands the order, and cannot carry it out."""

    code = "control_refused"
    exit_code = 65  # EX_DATAERR
    mend = "correct what the reason names"


@dataclass(frozen=True, slots=True)
class Request:
    """To a node's monitoring listener."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = None


class _Refused(msgspec.Struct, frozen=True):
    message: Annotated[str, msgspec.Meta(max_length=2_000)]


def monitoring_url(url: str | None, folder: Path | None) -> str:
    """Where a node is asked: as it is told, where its folder says, or at the usual port here.

    Raises:
        ConfigInvalid: the folder's configuration is wrong.
    """
    if url is not None:
        return url.rstrip("/")
    if folder is None:
        return DEFAULT_URL
    listener = load_config(folder).monitoring
    host = "127.0.0.1" if listener.listen_host in _EVERYWHERE else listener.listen_host
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{listener.listen_port}"


def ask_node(url: str, path: str, query: Mapping[str, str], kind: type[T]) -> T:
    """What the node at ``url`` answers.

    Raises:
        NodeAway: nobody answers there.
        NodeAnswerInvalid: what answers is no such node, or refuses the question.
    """
    status, body = _answer("ask node", url, Request("GET", path, query=query))
    try:
        if status == 200:
            return msgspec.json.decode(body, type=kind)
        reason = msgspec.json.decode(body, type=_Refused).message
    except UNDECODABLE as error:
        reason = f"status {status}, {error}"
        if status == NOT_FOUND:  # what a node takes no part in it has no page of
            reason = f"it has nothing at {path}"
    raise NodeAnswerInvalid("ask node", url=url, reason=reason)


def order_node(url: str, path: str, asked: object, *, token: str, kind: type[T]) -> T:
    """What the node at ``url`` answers after it did what was ``asked``, which goes as JSON.

    Raises:
        NodeAway: nobody answers there.
        ControlDenied: the node has another token, or is asked under a name.
        ControlRefused: the node cannot do that.
        NodeAnswerInvalid: what answers is no such node.
    """
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = Request("POST", path, headers=headers, body=msgspec.json.encode(asked))
    status, body = _answer("control node", url, request)
    try:
        if status == 200:
            return msgspec.json.decode(body, type=kind)
        reason = msgspec.json.decode(body, type=_Refused).message
    except UNDECODABLE as error:
        raise NodeAnswerInvalid(
            "control node", url=url, reason=f"status {status}, {error}"
        ) from None
    refused = ControlDenied if status in _DENIED else ControlRefused
    raise refused("control node", url=url, reason=reason)


async def follow_node(url: str, path: str, *, size_max: int) -> AsyncIterator[bytes]:
    """The data of each event that the node at ``url`` sends (server-sent events, one line each).

    Raises:
        NodeAway: nobody answers there, or no longer.
        NodeAnswerInvalid: what answers has no such events, or too long ones.
    """
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=TIMEOUT_S, sock_read=SILENT_MAX_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, read_bufsize=size_max) as session,
            session.get(url + path, allow_redirects=False) as answer,
        ):
            if answer.content_type != "text/event-stream":
                raise NodeAnswerInvalid("follow node", url=url, reason=f"status {answer.status}")
            async for line in answer.content:
                if line.startswith(b"data:"):
                    yield line.removeprefix(b"data:").strip()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NodeAway("follow node", url=url, reason=type(error).__name__) from None
    except LineTooLong:
        raise NodeAnswerInvalid("follow node", url=url, reason="an event without end") from None
    except ValueError as error:
        raise NodeAway("follow node", url=url, reason=error) from None
    raise NodeAway("follow node", url=url, reason="it ended")


def _answer(action: str, url: str, request: Request) -> tuple[int, bytes]:
    try:
        return asyncio.run(_send(url, request))
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NodeAway(action, url=url, reason=type(error).__name__) from None
    except ValueError as error:
        raise NodeAway(action, url=url, reason=error) from None


async def _send(url: str, request: Request) -> tuple[int, bytes]:
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S if request.body is None else ORDER_TIMEOUT_S)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.request(
            request.method,
            url + request.path,
            params=request.query,
            headers=request.headers,
            data=request.body,
            allow_redirects=False,
        ) as answer,
    ):
        body = await answer.content.read(ANSWER_SIZE_BYTES_MAX + 1)
        while not answer.content.at_eof() and len(body) <= ANSWER_SIZE_BYTES_MAX:
            body += await answer.content.read(ANSWER_SIZE_BYTES_MAX)
        if len(body) > ANSWER_SIZE_BYTES_MAX:
            raise InputInvalid("read answer", limit_bytes=ANSWER_SIZE_BYTES_MAX)
        return answer.status, body
