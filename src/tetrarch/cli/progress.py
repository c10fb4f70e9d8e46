"""How far a command is that takes a while."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tetrarch.clock import SystemClock

LINE_EVERY_S = 60.0  # where there is no terminal: what takes a minute says nothing


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr if that is a terminal, else a line a minute; the value reports (done, total)."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(label)
        return
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _lines(
    label: str, now_s: Callable[[], float] = SystemClock().wall_s
) -> Callable[[int, int], None]:
    begun_s = said_s = now_s()

    def show(done: int, total: int) -> None:
        nonlocal said_s
        at_s = now_s()
        if at_s - said_s >= LINE_EVERY_S:
            said_s = at_s
            minutes = (at_s - begun_s) / 60
            print(
                f"{label}: {done} of {total} after {minutes:.0f} min", file=sys.stderr, flush=True
            )

    return show
