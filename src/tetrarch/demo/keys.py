"""Single key presses from a terminal, without waiting for Enter."""

import asyncio
import contextlib
import sys
import termios
import tty
from collections.abc import Iterator


@contextlib.contextmanager
def key_presses(*, enabled: bool) -> Iterator[asyncio.Queue[str]]:
    """Yield a queue of pressed keys; restores the terminal at the end."""
    keys: asyncio.Queue[str] = asyncio.Queue(64)
    if not enabled or not sys.stdin.isatty():
        yield keys
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    loop = asyncio.get_running_loop()

    def read() -> None:
        with contextlib.suppress(asyncio.QueueFull):
            keys.put_nowait(sys.stdin.read(1))

    try:
        tty.setcbreak(descriptor)
        loop.add_reader(descriptor, read)
        yield keys
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
