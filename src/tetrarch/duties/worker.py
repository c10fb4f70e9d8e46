"""A worker: a step at each event and each period, until cancelled."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from tetrarch.errors import OperatorError, TetrarchError
from tetrarch.observability.logs import Log

WORKER_PERIOD_S = 1.0


async def work(
    due: asyncio.Event, step: Callable[[], Awaitable[None]], *, log: Log, pause_s: float = 0.0
) -> None:
    """Run ``step`` when ``due`` is set, ``pause_s`` later, and at least every period.

    What fails is tried again at the next event or period; what a person must mend ends it.
    """
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WORKER_PERIOD_S):
                await due.wait()
        due.clear()
        if pause_s > 0:
            await asyncio.sleep(pause_s)
        try:
            await step()
        except OperatorError:
            raise
        except TetrarchError as error:
            log.warning(
                "worker_step_failed", worker=step.__name__, reason=str(error), code=error.code
            )
