"""Structured logs: an event name first, then fields. One logger value per node, no global set-up.

Events are snake_case, in the past tense or a state ("peer_connected"); fields carry units in
their names. Info is an outcome, a warning is something the operator may act on and carries
``mend`` where there is a way to. Warnings and errors always have a ``code`` to group them by: the
error's where one is behind the line, else the event's name.
"""

import contextlib
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Any, Protocol, Self, TextIO

import structlog

from tetrarch.clock import Clock
from tetrarch.errors import OperatorError, TetrarchError

_EventDict = MutableMapping[str, Any]
# A field of such a name is a mistake of the caller; its value must not get out anyway.
_SECRET_NAMES = ("password", "private_key", "secret", "seed", "mnemonic", "token")
_BYTES_SHOWN_MAX = 48
TOPIC_NODE = "node"  # of lines that belong to no part in particular
REPEAT_WAIT_S = 10.0
_REPEATS_MAX = 256


class LogFormat(StrEnum):
    """How lines look."""

    CONSOLE = "console"
    JSON = "json"


class LogLevel(IntEnum):
    """The stdlib's numbers."""

    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40
    CRITICAL = 50


class Log(Protocol):
    """What components take. ``bind`` gives a log whose lines all carry the given fields."""

    def bind(self, **fields: Any) -> Self: ...  # noqa: D102
    def debug(self, event: str, **fields: Any) -> Any: ...  # noqa: D102
    def info(self, event: str, **fields: Any) -> Any: ...  # noqa: D102
    def warning(self, event: str, **fields: Any) -> Any: ...  # noqa: D102
    def error(self, event: str, **fields: Any) -> Any: ...  # noqa: D102
    def critical(self, event: str, **fields: Any) -> Any: ...  # noqa: D102


def build_log(
    stream: TextIO,
    *,
    clock: Clock,
    log_format: LogFormat = LogFormat.CONSOLE,
    level: LogLevel = LogLevel.INFO,
    on_line: Callable[[str, str], None] | None = None,
    **fields: Any,
) -> Log:
    """A logger that writes lines to ``stream`` and shares nothing with any other.

    A warning that says exactly the same as one before is left out for ``REPEAT_WAIT_S``, and
    the next one says how many were.

    Args:
        stream: owned by the caller; flushed after each line. A line that it cannot take (its
            disk is full, its reader is gone) is lost, and nothing else happens.
        clock: dates the lines.
        log_format: for people or for machines.
        level: lines below it cost about a microsecond and are not written.
        on_line: called with level and topic of each written line: the metrics' counter. The
            topic is the line's field of that name, which tells what part of the node wrote it.
        fields: on every line, as ``node=2``.
    """

    def date(_logger: object, _method: str, event: _EventDict) -> _EventDict:
        moment = datetime.fromtimestamp(clock.wall_s(), UTC)
        event["time"] = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return event

    def count(_logger: object, method: str, event: _EventDict) -> _EventDict:
        if on_line is not None:
            on_line(method, str(event.get("topic", TOPIC_NODE)))
        return event

    add_level, repeats = structlog.processors.add_log_level, _Repeats(clock)
    processors: list[Any] = [_make_plain, _name_cause, repeats, add_level, date, count]
    if log_format is LogFormat.JSON:
        processors += [
            structlog.processors.format_exc_info,
            _put_event_first,
            structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
        ]
    else:
        # The default formatter of exceptions prints local variables, which may be secrets.
        processors.append(
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty(),
                timestamp_key="time",
                exception_formatter=structlog.dev.plain_traceback,
                pad_event_to=28,
            )
        )
    logger: Log = structlog.wrap_logger(
        _Lines(stream),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        context_class=dict,
        cache_logger_on_first_use=False,
    ).bind(**fields)
    return logger


class _Lines:
    """Writes what the processors made of an event: a line, and a traceback where there is one."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, text: str) -> None:
        # Whoever logs does other work, which must go on: there is nobody to tell.
        with contextlib.suppress(OSError):
            print(text, file=self._stream, flush=True)

    debug = info = warning = error = critical = msg


class _Repeats:
    """Leaves out warnings that repeat one another, as when a disk stays full."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._shown: dict[tuple[tuple[str, str], ...], tuple[float, int]] = {}  # time, left out

    def __call__(self, _logger: object, method: str, event: _EventDict) -> _EventDict:
        if method != "warning":
            return event
        said = tuple((name, str(value)) for name, value in event.items())
        now_s = self._clock.wall_s()
        shown_s, left_out = self._shown.pop(said, (None, 0))
        if shown_s is not None and 0 <= now_s - shown_s < REPEAT_WAIT_S:
            self._shown[said] = (shown_s, left_out + 1)
            raise structlog.DropEvent
        self._shown[said] = (now_s, 0)
        if len(self._shown) > _REPEATS_MAX:
            del self._shown[next(iter(self._shown))]
        if left_out:
            event["left_out"] = left_out
        return event


class SilentLog:
    """A log that nobody reads: for simulations and tests."""

    def bind(self, **_fields: Any) -> Self:
        """Itself."""
        return self

    def _ignore(self, event: str, **fields: Any) -> None:
        """Nothing."""

    debug = info = warning = error = critical = _ignore


class LastSaid(SilentLog):
    """Keeps what was said last, for a command that tells it."""

    def __init__(self) -> None:
        self.text = ""

    def _keep(self, event: str, **fields: Any) -> None:
        told = " ".join(f"{name}={value}" for name, value in fields.items())
        self.text = f"{event} {told}".strip()

    debug = info = warning = error = critical = _keep


def error_fields(error: TetrarchError) -> dict[str, object]:
    """The fields of ``error`` for one log line: what failed, code, details, how to mend."""
    fields: dict[str, object] = {"failed": error.action, "code": error.code, **error.fields}
    if isinstance(error, OperatorError) and error.mend:
        fields["mend"] = error.mend
    return fields


def _make_plain(_logger: object, _method: str, event: _EventDict) -> _EventDict:
    for name, value in event.items():
        if any(secret in name for secret in _SECRET_NAMES):
            event[name] = "<redacted>"
        elif isinstance(value, bytes):
            event[name] = "0x" + value[:_BYTES_SHOWN_MAX].hex()
    return event


def _name_cause(_logger: object, method: str, event: _EventDict) -> _EventDict:
    """Every warning and error has a ``code``: of the error behind it, else the event itself."""
    if method in {"warning", "error", "critical"}:
        event.setdefault("code", event["event"])
    return event


def _put_event_first(_logger: object, _method: str, event: _EventDict) -> _EventDict:
    head = {name: event.pop(name) for name in ("event", "level", "time")}
    return {**head, **event}
