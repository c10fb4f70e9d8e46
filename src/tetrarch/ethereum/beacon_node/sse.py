"""Reads a stream of server-sent events from bytes. Pure: no I/O.

Source: HTML standard, "server-sent events". ``id`` and ``retry`` are read and dropped: who loses
a beacon node's events asks for the state again, the API has no replay.
"""

from dataclasses import dataclass

from tetrarch.errors import InputInvalid

EVENT_SIZE_MAX = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RawEvent:
    """One event: its name and its data lines, joined."""

    name: str
    data: str


class EventParser:
    """Feed it chunks as they come; it returns the events they complete.

    Holds at most ``size_max`` bytes of an unfinished event.
    """

    def __init__(self, *, size_max: int = EVENT_SIZE_MAX) -> None:
        self._size_max = size_max
        self._pending = bytearray()  # an unfinished line
        self._name = ""
        self._data: list[str] = []
        self._size = 0
        self._skip_line_feed = False  # the last chunk ended in CR: a leading LF belongs to it

    def feed(self, chunk: bytes) -> tuple[RawEvent, ...]:
        """Add ``chunk``.

        Raises:
            InputInvalid: an event is longer than the limit, or not UTF-8; the stream is lost.
        """
        if not chunk:
            return ()
        if self._skip_line_feed and chunk[:1] == b"\n":
            chunk = chunk[1:]
        self._skip_line_feed = chunk[-1:] == b"\r"
        self._pending += chunk
        events: list[RawEvent] = []
        if b"\n" in self._pending or b"\r" in self._pending:
            whole = bytes(self._pending).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            *lines, rest = whole.split(b"\n")
            self._pending = bytearray(rest)
            for line in lines:
                event = self._line(line)
                if event is not None:
                    events.append(event)
        self._require_size(self._size + len(self._pending))
        return tuple(events)

    def _line(self, line: bytes) -> RawEvent | None:
        if not line:
            event = RawEvent(self._name or "message", "\n".join(self._data)) if self._data else None
            self._name, self._data, self._size = "", [], 0
            return event
        try:
            name, _, value = line.decode().partition(":")
        except UnicodeDecodeError:
            raise InputInvalid("read event stream", reason="not UTF-8") from None
        value = value.removeprefix(" ")
        if name == "event":
            self._name = value
        elif name == "data":
            self._size += len(line)
            self._require_size(self._size)
            self._data.append(value)
        return None

    def _require_size(self, size: int) -> None:
        if size > self._size_max:
            raise InputInvalid("read event stream", reason="too long", limit_bytes=self._size_max)
