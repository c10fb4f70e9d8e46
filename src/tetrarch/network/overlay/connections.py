"""The TCP connections that a listener accepted, seen and cut from within the process.

grpcio accepts whoever connects and tells nobody. But its sockets are this process's: they are listed in
``/proc/self/fd``, and a connection that is shut down there is one whose other side went away, for grpcio
as for the network. Where there is no such folder, nothing is seen.
"""

import os
import socket
import stat
from collections.abc import Collection
from contextlib import closing, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from tetrarch.network.overlay.addresses import Address, to_ip

_DESCRIPTORS = Path("/proc/self/fd")
_IP_FAMILIES = (socket.AF_INET, socket.AF_INET6)


@dataclass(frozen=True, slots=True)
class Connection:
    """An accepted connection. ``descriptor`` may be another's by the time that it is used."""

    descriptor: int
    caller: Address


def accepted(ports: Collection[int]) -> list[Connection]:
    """Those that were accepted on one of our ``ports``, in the order of their descriptors.

    Cost: some 6 us for each descriptor of the process.
    """
    try:
        descriptors = sorted(int(entry.name) for entry in _DESCRIPTORS.iterdir())
    except OSError:
        return []
    found = []
    for descriptor in descriptors:
        caller = None
        with suppress(OSError):  # no socket, or closed meanwhile
            caller = _caller_of(descriptor, ports)
        if caller is not None:
            found.append(Connection(descriptor, caller))
    return found


def cut(connection: Connection, ports: Collection[int]) -> bool:
    """Shut it down, if it still is what it was. Its descriptor stays grpcio's, which closes it."""
    with suppress(OSError), _borrowed(connection.descriptor) as ours:
        if _caller(ours, ports) == connection.caller:
            ours.shutdown(socket.SHUT_RDWR)
            return True
    return False


def _caller_of(descriptor: int, ports: Collection[int]) -> Address | None:
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return None
    with _borrowed(descriptor) as ours:
        return _caller(ours, ports)


def _borrowed(descriptor: int) -> "closing[socket.socket]":
    """A second descriptor of the same socket: what is closed is ours, whoever closes the first."""
    return closing(socket.socket(fileno=os.dup(descriptor)))


def _caller(ours: socket.socket, ports: Collection[int]) -> Address | None:
    """Who is at the other side; None: it is no connection to one of ``ports``."""
    if ours.family not in _IP_FAMILIES or ours.type != socket.SOCK_STREAM:
        return None
    if ours.getsockname()[1] not in ports:
        return None
    host, port, *_ = ours.getpeername()  # OSError: it listens
    return Address(to_ip(ip_address(host.partition("%")[0]).packed), port)
