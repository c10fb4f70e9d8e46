"""What happened in a run: a hash of every event, the last ones as text, and nothing more."""

import asyncio
from collections import deque
from collections.abc import Callable
from hashlib import sha256

LAST_EVENTS = 60


class Trace:
    """``note`` events; compare ``digest`` of two runs to prove that they are equal."""

    def __init__(self, *, show: Callable[[str], None] | None = None) -> None:
        self._hash = sha256()
        self._last: deque[str] = deque(maxlen=LAST_EVENTS)
        self._show = show
        self.events_count = 0

    def note(self, text: str) -> None:
        """Add one event at the loop's time."""
        line = f"{asyncio.get_running_loop().time():10.4f} {text}"
        self.events_count += 1
        self._hash.update(line.encode() + b"\n")
        self._last.append(line)
        if self._show is not None:
            self._show(line)

    @property
    def digest(self) -> str:
        """Hash of all events so far."""
        return self._hash.hexdigest()

    @property
    def last(self) -> tuple[str, ...]:
        """The newest events, oldest first."""
        return tuple(self._last)
