"""A network between processes of this machine that can be cut: one forwarder before each listener.

Who dials is found out by the socket's owner (Linux: /proc), for all of them come from one address.
What is under way in a cut waits; whoever dials meanwhile is not heard, as where packets vanish.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

HOST = "127.0.0.1"
CHUNK_BYTES = 1 << 16


class Network:
    """``names[i]`` is where member i is dialled, ``ports[i]`` where it listens."""

    def __init__(
        self, names: Sequence[int], ports: Sequence[int], process_of: Callable[[int], int | None]
    ) -> None:
        self._names, self._ports = names, ports
        self._process_of = process_of
        self._side: dict[int, int] = {}
        self._loop = asyncio.new_event_loop()
        self._whole = asyncio.Event()
        self._whole.set()
        self._held: set[asyncio.StreamWriter] = set()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        started = threading.Event()
        thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        thread.start()
        assert started.wait(10)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join(10)

    def cut(self, *groups: Collection[int]) -> None:
        """From now on members of different groups do not hear each other."""
        side = {member: number for number, group in enumerate(groups) for member in group}

        def change() -> None:
            self._side = side
            self._whole.clear()

        self._loop.call_soon_threadsafe(change)

    def heal(self) -> None:
        def change() -> None:
            self._side = {}
            self._whole.set()
            for writer in self._held:
                writer.transport.abort()  # its dialer dials again

        self._loop.call_soon_threadsafe(change)

    def _serve(self, started: threading.Event) -> None:
        async def main() -> None:
            self._stop = asyncio.Event()
            async with contextlib.AsyncExitStack() as stack:
                for member, name in enumerate(self._names):

                    def connected(
                        reader: asyncio.StreamReader,
                        writer: asyncio.StreamWriter,
                        member: int = member,
                    ) -> None:
                        task = self._loop.create_task(self._forward(member, reader, writer))
                        tasks.add(task)
                        task.add_done_callback(tasks.discard)

                    server = await asyncio.start_server(connected, HOST, name)
                    stack.callback(server.close)
                started.set()
                await self._stop.wait()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0.05)  # what was aborted is closed in the loop's next turns

        tasks: set[asyncio.Task[None]] = set()
        self._loop.run_until_complete(main())
        self._loop.close()

    async def _forward(
        self, member: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            dialer = self._dialer(writer.get_extra_info("peername")[1])
        except LookupError:  # it has hung up already
            writer.transport.abort()
            return
        if self._is_cut(dialer, member):
            self._held.add(writer)
            try:
                await self._whole.wait()
            finally:
                self._held.discard(writer)
                writer.transport.abort()
            return
        try:
            inner_reader, inner = await asyncio.open_connection(HOST, self._ports[member])
        except OSError:
            writer.transport.abort()
            return
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, inner, dialer, member))
                both.create_task(self._pump(inner_reader, writer, dialer, member))
        except* (OSError, EOFError):
            pass
        finally:
            writer.transport.abort()
            inner.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, one: int, other: int
    ) -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            while self._is_cut(one, other):
                await self._whole.wait()
            writer.write(chunk)
            await writer.drain()
        raise EOFError

    def _is_cut(self, one: int, other: int) -> bool:
        return bool(self._side) and self._side[one] != self._side[other]

    def _dialer(self, port: int) -> int:
        """The member whose process has the socket with this local port."""
        inode = _inode(port)
        for member in range(len(self._names)):
            process = self._process_of(member)
            if process is not None and inode in _sockets(process):
                return member
        raise LookupError(f"no member dialled from port {port}")


def _inode(port: int) -> str:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].partition(":")[2], 16) == port:
            return fields[9]
    raise LookupError(f"nobody has port {port}")


def _sockets(process: int) -> set[str]:
    """Inodes of the sockets that a process has open."""
    found = set()
    folder = Path(f"/proc/{process}/fd")
    with contextlib.suppress(OSError):
        for link in folder.iterdir():
            with contextlib.suppress(OSError):
                target = str(link.readlink())
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found
