"""SIGTERM and SIGINT end a process in order: one way for all commands that run until then."""

import asyncio
import contextlib
import signal
from collections.abc import Callable

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def on_stop_signal(stop: Callable[[str], None]) -> None:
    """Call ``stop`` with the signal's name; for the running loop.

    Where the loop has no handlers for signals (Windows), Ctrl-C interrupts as Python does.
    """
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop, number.name)
