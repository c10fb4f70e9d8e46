"""Whether the machine ran all the time: a test in real time says nothing about one that did not.

Method: a program of its own sleeps 20 ms again and again, with the priority of real time if it may
have that, so that whatever the tests themselves start cannot keep it waiting. Where it wakes far
too late, the host gave the processors to somebody else. The kernel counts that, too (steal).

Run as a program, it writes a line for each time it woke late, and the counters once a second.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

NAP_S = 0.02
LATE_S = 0.2  # of slots of 2 to 4 s, in whose thirds blocks and votes are due
STOLEN_SHARE = 0.05
COUNTED_EVERY_S = 1.0
TOLD_MAX = 4


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of the processors while a test ran. ``late``: when, and for how long, in seconds."""

    late: tuple[tuple[float, float], ...] = ()
    stolen_share: float = 0.0

    @property
    def stood_still(self) -> bool:
        """Whether a test that failed meanwhile says nothing."""
        return bool(self.late) or self.stolen_share >= STOLEN_SHARE

    def __str__(self) -> str:
        longest = sorted(self.late, key=lambda each: -each[1])[:TOLD_MAX]
        times = ", ".join(f"{gap_s:.2f} s at +{at_s:.0f} s" for at_s, gap_s in sorted(longest))
        told = f"stood still {len(self.late)} times ({times})" if times else "never stood still"
        return f"the machine {told}, {self.stolen_share:.1%} of its time was stolen"


@dataclass(slots=True)
class Window:
    """Filled at its end."""

    seen: Seen = field(default_factory=Seen)


@contextmanager
def watched(folder: Path) -> Iterator[Window]:
    """Watch the machine for the block; what was seen is in the window afterwards."""
    path = folder / "machine.txt"
    window, since_s = Window(), time.monotonic()
    with path.open("w") as stream:
        program = subprocess.Popen([sys.executable, "-I", __file__], stdout=stream)
    try:
        yield window
    finally:
        program.terminate()
        program.wait()
        window.seen = read(path.read_text(), since_s=since_s)


def read(text: str, *, since_s: float) -> Seen:
    """What the program wrote; a last line may be cut off."""
    late: list[tuple[float, float]] = []
    counted: list[tuple[int, int]] = []
    for line in text.split("\n")[:-1]:
        kind, first, second = line.split()
        if kind == "late":
            late.append((float(first) - since_s, float(second)))
        else:
            counted.append((int(first), int(second)))
    if len(counted) < 2 or counted[-1][1] == counted[0][1]:
        return Seen(tuple(late))
    stolen, whole = (counted[-1][index] - counted[0][index] for index in range(2))
    return Seen(tuple(late), stolen / whole)


def main() -> None:
    """Until it is ended."""
    with contextlib.suppress(OSError):  # in a container without that power
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    counted_s = 0.0
    before_s = time.monotonic()
    while True:
        time.sleep(NAP_S)
        now_s = time.monotonic()
        if now_s - before_s >= LATE_S:
            _tell("late", before_s, now_s - before_s)
        if now_s - counted_s >= COUNTED_EVERY_S:
            counted_s = now_s
            _tell("counted", *_counters())
        before_s = time.monotonic()


def _tell(kind: str, first: float, second: float) -> None:
    sys.stdout.write(f"{kind} {first} {second}\n")
    sys.stdout.flush()


def _counters() -> tuple[int, int]:
    """Of all processors, in ticks: stolen, and all."""
    ticks = [int(each) for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return ticks[7], sum(ticks)


if __name__ == "__main__":
    main()
