"""A small internet on this machine: network namespaces, and a switch between them that delays, loses and parts.

Each place is a namespace with an address and one TUN device, whose other end is the switch, a thread of
the test: no kernel module but TUN is needed, and chance has a seed. Built and torn down by iproute2.
"""

import ctypes
import fcntl
import heapq
import os
import selectors
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import TypeVar

import pytest

T = TypeVar("T")
TUN = "/dev/net/tun"
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
CLONE_NEWNET = 0x40000000
PACKET_MAX = 65_536
ON_THE_WAY_MAX = 20_000  # packets; what comes on top is lost, as in a router
TURN_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What every packet meets, whichever way."""

    delay_s: tuple[float, float]
    loss: float


class Switch:
    """Hands packets from place to place, each by itself: they overtake one another."""

    def __init__(self, devices: list[int], line: Line, random: Random) -> None:
        self._devices = devices
        self._line = line
        self._random = random
        self._groups: tuple[Collection[int], ...] = ()
        self._on_the_way: list[tuple[float, int, int, bytes]] = []
        self._order = count()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="switch", daemon=True)
        self.carried = 0
        self.lost = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(5)

    def part(self, *groups: Collection[int]) -> None:
        """From now on packets go only between places of one group; without groups, everywhere."""
        self._groups = groups

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for place, device in enumerate(self._devices):
                selector.register(device, selectors.EVENT_READ, place)
            while not self._ended.is_set():
                now_s = time.monotonic()
                due_s = self._on_the_way[0][0] - now_s if self._on_the_way else TURN_S
                for key, _ in selector.select(min(max(due_s, 0.0), TURN_S)):
                    self._take(key.fd, key.data)
                self._hand_over()

    def _take(self, device: int, source: int) -> None:
        with suppress(BlockingIOError):
            while packet := os.read(device, PACKET_MAX):
                target = packet[19] - 1  # the last byte of an IPv4 address
                if packet[0] >> 4 == 4 and 0 <= target < len(self._devices):
                    self._send(source, target, packet)

    def _send(self, source: int, target: int, packet: bytes) -> None:
        parted = self._groups and not any(
            source in group and target in group for group in self._groups
        )
        full = len(self._on_the_way) >= ON_THE_WAY_MAX
        if parted or full or self._random.random() < self._line.loss:
            self.lost += 1
            return
        at_s = time.monotonic() + self._random.uniform(*self._line.delay_s)
        heapq.heappush(self._on_the_way, (at_s, next(self._order), target, packet))

    def _hand_over(self) -> None:
        now_s = time.monotonic()
        while self._on_the_way and self._on_the_way[0][0] <= now_s:
            _, _, target, packet = heapq.heappop(self._on_the_way)
            with suppress(OSError):  # its device is down
                os.write(self._devices[target], packet)
                self.carried += 1


@dataclass(frozen=True, slots=True)
class Internet:
    """The namespaces' names, by place, and the switch between them."""

    names: tuple[str, ...]
    switch: Switch

    @staticmethod
    def ip(place: int) -> str:
        return f"10.77.0.{place + 1}"

    def command(self, place: int, *command: str) -> tuple[str, ...]:
        """``command`` to be run there; its process is the one that is started."""
        return ("ip", "netns", "exec", self.names[place], *command)

    def inside(self, place: int, ask: Callable[[], T]) -> T:
        """What ``ask`` returns when its sockets are opened there."""
        found: list[T] = []
        failed: list[OSError] = []

        def run() -> None:
            try:
                _enter(self.names[place])
                found.append(ask())
            except OSError as error:
                failed.append(error)

        thread = threading.Thread(target=run)  # a thread is in a namespace of its own
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return found[0]


@contextmanager
def internet(places: int, line: Line, *, seed: int) -> Iterator[Internet]:
    """Build it; whatever happens, nothing of it is left."""
    _skip_unless_possible()
    names = tuple(f"tetrarch-{os.getpid()}-{place}" for place in range(places))
    devices: list[int] = []
    switch = Switch(devices, line, Random(seed))
    try:
        for place, name in enumerate(names):
            _ip("netns", "add", name)
            device = f"tt{os.getpid() % 100_000}.{place}"
            devices.append(_open_device(device))
            _ip("link", "set", device, "netns", name)
            _ip("-n", name, "address", "add", f"{Internet.ip(place)}/24", "dev", device)
            for each in (device, "lo"):
                _ip("-n", name, "link", "set", each, "up")
        switch.start()
        yield Internet(names, switch)
    finally:
        if devices:
            with suppress(RuntimeError):  # it was not started
                switch.stop()
        for device_fd in devices:
            os.close(device_fd)
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def _skip_unless_possible() -> None:
    if os.geteuid() != 0:
        pytest.skip("CHAOS NOT RUN: network namespaces need root")
    if shutil.which("ip") is None:
        pytest.skip("CHAOS NOT RUN: iproute2 is not installed")
    probe = f"tetrarch-{os.getpid()}-probe"
    made = subprocess.run(["ip", "netns", "add", probe], check=False, capture_output=True)
    subprocess.run(["ip", "netns", "delete", probe], check=False, capture_output=True)
    if made.returncode != 0:
        pytest.skip(f"CHAOS NOT RUN: no network namespaces: {made.stderr.decode().strip()}")
    try:
        os.close(_open_device(f"tt{os.getpid() % 100_000}.p"))
    except OSError as error:
        pytest.skip(f"CHAOS NOT RUN: no TUN devices: {error}")


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"


def _open_device(name: str) -> int:
    """The switch's end of a new TUN device. It is gone once this is closed."""
    device = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
    try:
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    except OSError:
        os.close(device)
        raise
    return device


def _enter(name: str) -> None:
    """Move this thread into a namespace. ``os.setns`` came with Python 3.12."""
    namespace = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns", name)
    finally:
        os.close(namespace)
