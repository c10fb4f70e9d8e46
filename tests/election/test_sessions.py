"""Two members meet over real sockets, and nobody else is taken for one."""

import asyncio
import contextlib
import gc
import socket
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.election.enclaves import InlineEnclave, opened
from tests.election.support import configuration
from tests.ports import free_ports

from tetrarch.election import codec, sessions
from tetrarch.election.configuration import Configuration
from tetrarch.election.hello import HelloInvalid, KeyChanged
from tetrarch.election.sessions import (
    ConfigurationDiffers,
    LinkFailed,
    Session,
    TlsContexts,
    accept,
    dial,
    make_tls_contexts,
)
from tetrarch.errors import TetrarchError

C = configuration()
HOST = "127.0.0.1"


class Listener:
    """Accepts as member 1; keeps what came of each session."""

    def __init__(self, enclave: InlineEnclave, c: Configuration, own: int = 1) -> None:
        self.contexts = make_tls_contexts()
        self.port = free_ports(1)[0]
        self.outcomes: asyncio.Queue[Session | TetrarchError] = asyncio.Queue()
        self._enclave, self._c, self._own = enclave, c, own

    async def incoming(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            session = await accept(
                reader,
                writer,
                contexts=self.contexts,
                configuration=self._c,
                own=self._own,
                enclave=self._enclave,
            )
        except TetrarchError as error:
            writer.transport.abort()
            self.outcomes.put_nowait(error)
        else:
            self.outcomes.put_nowait(session)

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(
            self.incoming, HOST, self.port, ssl=self.contexts.listening
        )
        try:
            yield
        finally:
            server.close()


def enclave(folder: Path, source: int, c: Configuration = C) -> InlineEnclave:
    return InlineEnclave(opened(folder / f"node{source}", c, source), c)


async def dialled(
    port: int, who: InlineEnclave, c: Configuration = C, contexts: TlsContexts | None = None
) -> Session:
    return await dial(
        HOST,
        port,
        contexts=contexts or make_tls_contexts(),
        configuration=c,
        own=0,
        enclave=who,
    )


def test_members_meet_and_talk(tmp_path: Path) -> None:
    async def main() -> None:
        listener = Listener(enclave(tmp_path, 1), C)
        async with listener.listening():
            ours = await dialled(listener.port, enclave(tmp_path, 0))
            theirs = await listener.outcomes.get()
            assert isinstance(theirs, Session)
            assert (ours.peer, theirs.peer) == (1, 0)
            await ours.send([b"one", b"", b"two" * 1000])
            assert [await theirs.receive() for _ in range(3)] == [b"one", b"", b"two" * 1000]
            await theirs.send([b"back"])
            assert await ours.receive() == b"back"
            ours.close()
            with pytest.raises(LinkFailed):
                await theirs.receive()
            theirs.close()

    asyncio.run(main())


def test_frames_are_bounded(tmp_path: Path) -> None:
    async def main() -> None:
        listener = Listener(enclave(tmp_path, 1), C)
        async with listener.listening():
            ours = await dialled(listener.port, enclave(tmp_path, 0))
            theirs = await listener.outcomes.get()
            assert isinstance(theirs, Session)
            await ours.send([bytes(codec.MESSAGE_MAX_BYTES + 1)])
            with pytest.raises(codec.MessageInvalid, match="maximum"):
                await theirs.receive()
            ours.close()
            theirs.close()

    asyncio.run(main())


def test_other_configurations_refuse_each_other_with_both_hashes(tmp_path: Path) -> None:
    other = configuration(5)

    async def main() -> None:
        listener = Listener(enclave(tmp_path, 1), C)
        async with listener.listening():
            with pytest.raises(ConfigurationDiffers) as ours:
                await dialled(listener.port, enclave(tmp_path, 0, other), other)
            theirs = await listener.outcomes.get()
        assert isinstance(theirs, ConfigurationDiffers)
        assert ours.value.fields == {"own": other.hash.hex(), "theirs": C.hash.hex()}
        assert theirs.fields == {"own": C.hash.hex(), "theirs": other.hash.hex()}

    asyncio.run(main())


def test_member_with_a_new_key_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        listener = Listener(enclave(tmp_path, 1), C)
        async with listener.listening():
            (await dialled(listener.port, enclave(tmp_path, 0))).close()
            assert isinstance(await listener.outcomes.get(), Session)
            stranger = enclave(tmp_path / "elsewhere", 0)
            session = await dialled(listener.port, stranger)
            assert isinstance(await listener.outcomes.get(), KeyChanged)
            session.close()

    (tmp_path / "elsewhere").mkdir()
    asyncio.run(main())


def test_who_stands_in_the_middle_is_noticed_by_both(tmp_path: Path) -> None:
    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def main() -> None:
        listener = Listener(enclave(tmp_path, 1), C)
        middle = make_tls_contexts()
        port = free_ports(1)[0]

        async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            onward = await asyncio.open_connection(HOST, listener.port, ssl=middle.dialling)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(pump(reader, onward[1]))
                tasks.create_task(pump(onward[0], writer))

        async with listener.listening():
            server = await asyncio.start_server(between, HOST, port, ssl=middle.listening)
            with pytest.raises(HelloInvalid, match="another session"):
                await dialled(port, enclave(tmp_path, 0))
            server.close()
            theirs = await listener.outcomes.get()
        assert isinstance(theirs, HelloInvalid)
        assert "another session" in str(theirs)

    asyncio.run(main())


def test_nobody_there_is_said(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(LinkFailed):
            await dialled(free_ports(1)[0], enclave(tmp_path, 0))

    asyncio.run(main())


def reset(writer: asyncio.StreamWriter) -> None:
    """As when its program is killed: the other side hears of an error."""
    linger_not = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_not)
    writer.transport.abort()


@contextlib.asynccontextmanager
async def nothing_is_lost() -> AsyncIterator[None]:
    """No future is left with an exception that nobody took: its collection would print it."""
    gc.collect()
    gc.disable()
    try:
        yield
        await asyncio.sleep(0.05)  # the loop ends connections in its next turns
        futures = [each for each in gc.get_objects() if isinstance(each, asyncio.Future)]
    finally:
        gc.enable()
    assert [each for each in futures if each._log_traceback] == []


@pytest.mark.parametrize("ended", [reset, asyncio.StreamWriter.close])
@pytest.mark.parametrize("secured", [False, True], ids=["before TLS", "after TLS"])
def test_end_while_dialling_is_said_once(
    tmp_path: Path, secured: bool, ended: Callable[[asyncio.StreamWriter], None]
) -> None:
    async def main() -> None:
        contexts = make_tls_contexts().listening if secured else None

        async def incoming(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.05)
            ended(writer)

        port = free_ports(1)[0]
        server = await asyncio.start_server(incoming, HOST, port, ssl=contexts)
        who = enclave(tmp_path, 0)
        async with nothing_is_lost():
            with pytest.raises(LinkFailed):
                await dialled(port, who)
        server.close()

    asyncio.run(main())


def test_reset_of_a_session_is_said_once(tmp_path: Path) -> None:
    async def talk(port: int, who: InlineEnclave) -> None:
        session = await dialled(port, who)
        try:
            with pytest.raises(LinkFailed):
                await session.receive()
        finally:
            await session.end()

    async def main() -> None:
        listener = Listener(enclave(tmp_path, 1), C)
        who = enclave(tmp_path, 0)
        async with listener.listening(), nothing_is_lost():
            talking = asyncio.create_task(talk(listener.port, who))
            theirs = await listener.outcomes.get()
            assert isinstance(theirs, Session)
            await asyncio.sleep(0.05)
            reset(theirs._writer)
            await talking

    asyncio.run(main())


def test_silent_stranger_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "HANDSHAKE_TIMEOUT_S", 0.2)

    async def main() -> None:
        listener = Listener(enclave(tmp_path, 1), C)
        async with listener.listening():
            contexts = make_tls_contexts()
            _, writer = await asyncio.open_connection(HOST, listener.port, ssl=contexts.dialling)
            assert isinstance(await listener.outcomes.get(), LinkFailed)
            writer.transport.abort()

    asyncio.run(main())


@pytest.mark.parametrize(
    "noise",
    [b"\xff" * 64, b"\x00\x00\x00\x00", b"\x00\x00\x00\x05noise", b"\x7f\xff\xff\xff", b""],
)
def test_noise_is_refused(tmp_path: Path, noise: bytes) -> None:
    async def main() -> None:
        listener = Listener(enclave(tmp_path, 1), C)
        async with listener.listening():
            contexts = make_tls_contexts()
            _, writer = await asyncio.open_connection(HOST, listener.port, ssl=contexts.dialling)
            writer.write(noise)
            writer.close()
            assert isinstance(await listener.outcomes.get(), TetrarchError)

    asyncio.run(main())


def test_replayed_hello_opens_nothing(tmp_path: Path) -> None:
    """What a member said in one session is of no use in another one."""
    heard: list[bytes] = []

    async def main() -> None:
        listener = Listener(enclave(tmp_path, 1), C)
        async with listener.listening():
            who = enclave(tmp_path, 0)
            original = asyncio.StreamWriter.write

            def listened_to(self: asyncio.StreamWriter, data: bytes) -> None:
                if self.get_extra_info("peername")[1] == listener.port:
                    heard.append(data)
                original(self, data)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(asyncio.StreamWriter, "write", listened_to)
                (await dialled(listener.port, who)).close()
            assert len(heard) == 2
            assert isinstance(await listener.outcomes.get(), Session)
            contexts = make_tls_contexts()
            _, writer = await asyncio.open_connection(HOST, listener.port, ssl=contexts.dialling)
            for data in heard:
                writer.write(data)
            refused = await listener.outcomes.get()
            assert isinstance(refused, HelloInvalid)
            writer.transport.abort()

    asyncio.run(main())
