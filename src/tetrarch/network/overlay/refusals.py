"""Log lines about strangers: one of each address in ten seconds, with how many were left out.

Whoever can knock could fill the disk otherwise, one line a knock.
"""

from dataclasses import dataclass

from tetrarch.observability.logs import Log

WINDOW_S = 10.0
ADDRESSES_MAX = 64  # told of apart within one window; the others together
OTHERS = "others"


@dataclass(slots=True)
class _Told:
    since_s: float
    left_out: int = 0
    reason: str = ""  # of the last that was left out


class Refusals:
    """``note`` what was refused, and ``tell`` now and then what was left out. Times are of one clock."""

    def __init__(self, log: Log, event: str) -> None:
        self._log = log
        self._event = event
        self._told: dict[str, _Told] = {}

    def note(self, address: str, reason: str, *, now_s: float) -> None:
        """A line at once, unless this address had one of late."""
        if address not in self._told and len(self._told) >= ADDRESSES_MAX:
            address = OTHERS
        told = self._told.get(address)
        if told is None:
            self._told[address] = _Told(now_s)
            self._log.info(self._event, address=address, reason=reason)
            return
        told.left_out += 1
        told.reason = reason

    def tell(self, *, now_s: float) -> None:
        """End the windows that are over."""
        for address, told in list(self._told.items()):
            if now_s - told.since_s < WINDOW_S:
                continue
            del self._told[address]
            if told.left_out:
                self._log.info(
                    self._event, address=address, reason=told.reason, left_out=told.left_out
                )
                self._told[address] = _Told(now_s)
