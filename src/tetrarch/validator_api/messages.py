"""Requests and answers of the API as plain values, and the error that becomes an error body."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import msgspec

from tetrarch.decoding import UNDECODABLE
from tetrarch.errors import InputInvalid, TetrarchError
from tetrarch.ethereum.spec.values import Fork, parse_uint64
from tetrarch.validator_api.negotiation import JSON, SSZ, choose, media_type

VERSION_HEADER = "Eth-Consensus-Version"
MESSAGE_LENGTH_MAX = 1024


@dataclass(frozen=True, slots=True)
class ItemFailure:
    """Why one item of a list was refused; ``index`` is its place in the request."""

    index: int
    message: str


class ApiError(TetrarchError):
    """The request cannot be answered: an HTTP status with a message for the operator.

    ``failures`` is None where the API's error has no such list.
    """

    code = "validator_api_error"

    def __init__(
        self, status: int, message: str, /, *, failures: tuple[ItemFailure, ...] | None = None
    ) -> None:
        super().__init__("answer validator client", status=status, message=message)
        self.status = status
        self.message = message
        self.failures = failures


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """One request. ``target`` is path and query as they came; names in ``headers`` fold case."""

    method: str
    target: str
    parameters: Mapping[str, str] = field(hash=False)
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str] = field(hash=False)
    body: bytes = field(repr=False)

    def integer(self, name: str) -> int:
        """An unsigned 64-bit integer of the path or, named once, of the query.

        Raises:
            ApiError: 400, it is missing or something else.
        """
        text = self.parameters.get(name) or self.one(name)
        if text is None:
            raise ApiError(400, f"{name} is missing")
        with bad_request():
            return parse_uint64(text, what=name)

    def one(self, name: str) -> str | None:
        """The query parameter ``name``, or None; 400 when it is repeated."""
        values = [value for key, value in self.query if key == name]
        if len(values) > 1:
            raise ApiError(400, f"{name} is repeated")
        return values[0] if values else None

    def many(self, name: str) -> tuple[str, ...]:
        """All values of the query parameter ``name``, repeated or separated by commas."""
        values = [value for key, value in self.query if key == name]
        return tuple(part for value in values for part in value.split(",") if part)

    def accepts(self, *offered: str) -> str:
        """Which of ``offered`` the client prefers; raises 406 for none."""
        chosen = choose(self.headers.get("Accept", ""), offered)
        if chosen is None:
            raise ApiError(406, f"the answer is served as {' or '.join(offered)} only")
        return chosen

    def accepts_json_at_all(self) -> str:
        """JSON for all who take it, whatever they prefer; SSZ for who does not; 406 for neither.

        For answers of which the beacon API has no SSZ, though their types have one.
        """
        kind = choose(self.headers.get("Accept", ""), (JSON,))
        return kind if kind is not None else self.accepts(JSON, SSZ)

    def body_type(self) -> str:
        """JSON or SSZ, by Content-Type; JSON without one; raises 415 for anything else."""
        kind = media_type(self.headers.get("Content-Type", JSON))
        if kind not in (JSON, SSZ):
            raise ApiError(415, f"content type {kind[:64]!r} is neither {JSON} nor {SSZ}")
        return kind

    def json(self) -> Any:
        """The decoded body; raises 400 when it is no JSON."""
        try:
            return msgspec.json.decode(self.body)
        except UNDECODABLE as error:
            raise ApiError(400, f"the body is not JSON: {error}") from None

    def fork(self) -> Fork | None:
        """The fork that the header names, None without the header; raises 400 for no fork."""
        text = self.headers.get(VERSION_HEADER)
        if text is None:
            return None
        try:
            return Fork(text.lower())
        except ValueError:
            raise ApiError(400, f"{VERSION_HEADER}: unknown fork {text[:32]!r}") from None

    def required_fork(self) -> Fork:
        """The fork that the header names; raises 400 without it."""
        fork = self.fork()
        if fork is None:
            raise ApiError(400, f"header {VERSION_HEADER} is missing")
        return fork


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiAnswer:
    """One answer, complete."""

    status: int = 200
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    body: bytes = field(default=b"", repr=False)


class PassThrough(Enum):
    """Answered instead of an answer: the beacon node shall answer, streamed as it comes."""

    BEACON_NODE = "beacon_node"


def json_answer(value: object, *, headers: Mapping[str, str] | None = None) -> ApiAnswer:
    """A 200 with a JSON body."""
    return ApiAnswer(content_type=JSON, headers=headers or {}, body=msgspec.json.encode(value))


def error_answer(error: ApiError) -> ApiAnswer:
    """The beacon API's error body: code, message, and failures by index where there are any."""
    value: dict[str, object] = {
        "code": error.status,
        "message": _printable(error.message) or "error",
    }
    if error.failures is not None:
        value["failures"] = [
            {"index": each.index, "message": _printable(each.message)} for each in error.failures
        ]
    return ApiAnswer(status=error.status, content_type=JSON, body=msgspec.json.encode(value))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:MESSAGE_LENGTH_MAX]


class bad_request:  # noqa: N801 - reads as a function: with bad_request()
    """Context that turns ``InputInvalid`` into ``ApiError`` 400."""

    def __enter__(self) -> None:
        """Nothing to set up."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, InputInvalid):
            raise ApiError(400, describe(error)) from None


def describe(error: InputInvalid) -> str:
    """What was wrong with the input, in the client's terms."""
    detail = ", ".join(f"{name}={value}" for name, value in error.fields.items())
    return f"{error.action}: {detail}" if detail else error.action
