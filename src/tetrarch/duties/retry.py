"""Retry at the wiring: an edge runs in the background and is repeated until its deadline.

Only ``Transient`` errors are repeated, with exponential backoff, and a ``Refusal`` only a few
times. What a person must mend, and a broken invariant, stops the node. Anything else ends the
duty's step with one log line.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from tetrarch.clock import Clock
from tetrarch.duties.ports import Spawner
from tetrarch.duties.types import Duty
from tetrarch.errors import OperatorError, TetrarchError, Transient
from tetrarch.observability.logs import Log
from tetrarch.output import Handler

T = TypeVar("T")

BACKOFF_FIRST_S = 0.25
BACKOFF_FACTOR = 1.6
BACKOFF_MAX_S = 12.0
# The eighth comes some 11 s after the first: by then a beacon node has seen a late head block.
REFUSALS_MAX = 8
_ATTEMPTS_OF_GROWTH = 20  # far beyond the maximum; the power itself must not overflow


class Refusal(Transient):
    """Somebody judged what we sent and said no. It may have known too little: try a few times."""

    code = "refusal"


def backoff_s(attempt: int, *, jitter: float) -> float:
    """Seconds before attempt ``attempt`` + 1 (first is 0); ``jitter`` in [0, 1) adds to 10 %."""
    grown_s = BACKOFF_FIRST_S * BACKOFF_FACTOR ** min(attempt, _ATTEMPTS_OF_GROWTH)
    return min(grown_s, BACKOFF_MAX_S) * (1 + jitter / 10)


class Retryer:
    """Makes edges asynchronous. ``on_failure`` hears of every step that ended without success."""

    def __init__(
        self,
        *,
        spawner: Spawner,
        clock: Clock,
        deadline_s: Callable[[Duty], float | None],
        jitter: Callable[[], float],
        on_failure: Callable[[str, Duty, str], None],
        log: Log,
    ) -> None:
        self._spawner = spawner
        self._clock = clock
        self._deadline_s = deadline_s
        self._jitter = jitter
        self._on_failure = on_failure
        self._log = log

    def asynchronous(
        self, edge: str, duty_of: Callable[[T], Duty], handler: Handler[T]
    ) -> Handler[T]:
        """Wrap ``handler``: the emitter goes on at once, the work is retried until its deadline."""

        async def start(value: T) -> None:
            duty = duty_of(value)
            self._spawner.spawn(self._run(edge, duty, handler, value), name=f"{edge} {duty}")

        return start

    async def _run(self, edge: str, duty: Duty, handler: Handler[T], value: T) -> None:
        deadline_s = self._deadline_s(duty)
        attempt = refusals = 0
        reason = "deadline passed"
        while True:
            remaining_s = None if deadline_s is None else deadline_s - self._clock.wall_s()
            if remaining_s is not None and remaining_s <= 0:
                break
            limit = asyncio.timeout(remaining_s)
            try:
                async with limit:
                    await handler(value)
                return  # noqa: TRY300 - the loop's one success
            except TimeoutError:
                if limit.expired():
                    break
                reason = "timed out"  # a limit of the handler's own, inside ours
            except Transient as error:
                reason = str(error)
                self._log.debug("step_retried", edge=edge, duty=str(duty), reason=reason)
                refusals += isinstance(error, Refusal)
                if refusals >= REFUSALS_MAX:
                    break
            except OperatorError:
                raise  # the disk or the enclave is gone: going on would only hide it
            except TetrarchError as error:
                reason = str(error)
                break
            await asyncio.sleep(backoff_s(attempt, jitter=self._jitter()))
            attempt += 1
        self._log.warning("step_failed", edge=edge, duty=str(duty), reason=reason)
        self._on_failure(edge, duty, reason)
