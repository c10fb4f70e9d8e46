"""What the process has accepted is seen by who called, and cut for both sides; nothing else is touched."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tetrarch.network.overlay.connections import Connection, accepted, cut


class Loopback:
    """A listener and what it accepted."""

    def __init__(self, stack: ExitStack, host: str) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._stack = stack
        self._listener = stack.enter_context(socket.create_server((host, 0), family=family))
        self.address = self._listener.getsockname()
        self.ports = {self.address[1]}

    def connect(self) -> tuple[socket.socket, socket.socket]:
        ours = self._stack.enter_context(socket.create_connection(self.address[:2]))
        theirs, _ = self._listener.accept()
        self._stack.enter_context(theirs)
        return ours, theirs


@pytest.fixture(params=["127.0.0.1", "::1"])
def loopback(request: pytest.FixtureRequest) -> Iterator[Loopback]:
    with ExitStack() as stack:
        yield Loopback(stack, request.param)


def test_accepted_connections_are_found_and_no_others(loopback: Loopback) -> None:
    assert accepted(loopback.ports) == []
    dialled = [loopback.connect() for _ in range(3)]
    with ExitStack() as stack:
        elsewhere = Loopback(stack, "127.0.0.1")
        elsewhere.connect()
        found = accepted(loopback.ports)
    assert [each.descriptor for each in found] == sorted(theirs.fileno() for _, theirs in dialled)
    callers = {(str(each.caller.ip), each.caller.port) for each in found}
    assert callers == {ours.getsockname()[:2] for ours, _ in dialled}


def test_a_cut_connection_ends_for_both_and_its_descriptor_stays(loopback: Loopback) -> None:
    (ours, theirs), (_, other) = loopback.connect(), loopback.connect()
    found = next(each for each in accepted(loopback.ports) if each.descriptor == theirs.fileno())
    assert cut(found, loopback.ports)
    assert (ours.recv(1), theirs.recv(1)) == (b"", b"")
    other.send(b"x")


def test_what_is_another_connection_by_now_is_left_alone(loopback: Loopback) -> None:
    ours, theirs = loopback.connect()
    _, other = loopback.connect()
    found = {each.descriptor: each for each in accepted(loopback.ports)}
    moved = Connection(theirs.fileno(), found[other.fileno()].caller)
    assert not cut(moved, loopback.ports)
    assert not cut(Connection(10_000, moved.caller), loopback.ports)
    ours.send(b"x")
    assert theirs.recv(1) == b"x"
