"""``tetrarch run`` with a bug: the first argument is ``exception`` or ``invariant``.

One worker fails some time after the start; all else is the real command.
"""

import asyncio
import sys

from tetrarch.cli.main import main
from tetrarch.duties.scheduler import Scheduler
from tetrarch.errors import invariant


async def broken_run(_scheduler: Scheduler) -> None:
    """In the place of the scheduler's work."""
    await asyncio.sleep(1.0)
    invariant(KIND != "invariant", "a slot follows the one before it")
    raise RuntimeError("no such slot")


if __name__ == "__main__":
    KIND = sys.argv.pop(1)
    setattr(Scheduler, "run", broken_run)  # noqa: B010 - the checker guards real names
    main()
