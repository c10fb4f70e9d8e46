"""Ports for the processes and servers of tests.

Not those that the system gives out (port 0): it gives them to others, too, and a port that was free
when a test asked may be some connection's when a process opens it. Each xdist worker has ports
of its own, below the system's, and takes them in turn.
"""

import itertools
import os
import socket
from contextlib import closing, suppress

FIRST = 12_000
OF_WORKER = 1_000
WORKERS_MAX = 8

_steps = itertools.count(os.getpid())  # two runs on one machine seldom begin at the same port


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, all different."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = FIRST + worker % WORKERS_MAX * OF_WORKER
    found: list[int] = []
    for step in itertools.islice(_steps, OF_WORKER):
        port = first + step % OF_WORKER
        if is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no free ports")


def adjacent_ports(count: int) -> int:
    """The first of ``count`` adjacent ports that were free a moment ago."""
    for _ in range(100):
        (base,) = free_ports(1)
        if all(is_free(base + offset) for offset in range(count)):
            for _ in range(count - 1):
                next(_steps)  # they are taken now
            return base
    raise AssertionError("no adjacent free ports")


def is_free(port: int) -> bool:
    with closing(socket.socket()) as one, suppress(OSError):
        one.bind(("127.0.0.1", port))
        return True
    return False
