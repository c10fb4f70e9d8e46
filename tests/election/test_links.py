"""Sessions between all members: kept open, replaced, and no faster than they may be."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.election.enclaves import InlineEnclave, opened
from tests.election.support import configuration
from tests.ports import free_ports

from tetrarch.election import links as module
from tetrarch.election.hello import Hello
from tetrarch.election.links import Links
from tetrarch.election.messages import Heartbeat, Message
from tetrarch.election.sessions import LinkFailed, dial, make_tls_contexts
from tetrarch.errors import ListenFailed
from tetrarch.observability.logs import SilentLog

C = configuration(3)
SOON_S = 20.0


class One:
    """A member with links, and what it heard."""

    def __init__(
        self, folder: Path, own: int, ports: list[int], silence_max_s: float = SOON_S
    ) -> None:
        self.enclave = InlineEnclave(opened(folder / str(own), C, own), C)
        self.heard: list[tuple[int, Message]] = []
        self.met: list[Hello] = []
        self.warnings: dict[str, int] = {}
        self.links = Links(
            C,
            own,
            addresses=[("127.0.0.1", port) for port in ports],
            listen=("127.0.0.1", ports[own]),
            enclave=self.enclave,
            on_message=lambda source, message: self.heard.append((source, message)),
            on_met=self.met.append,
            log=SilentLog(),
            silence_max_s=silence_max_s,
        )


@contextlib.asynccontextmanager
async def running(*members: One) -> AsyncIterator[None]:
    async with asyncio.timeout(SOON_S):
        tasks = [asyncio.create_task(member.links.run()) for member in members]
        for member in members:
            await member.links.wait_listening()
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                assert isinstance(outcome, asyncio.CancelledError), outcome


async def until(condition) -> None:
    while not condition():  # noqa: ASYNC110 - there is nothing to wait on
        await asyncio.sleep(0.01)


def test_all_meet_and_hear_each_other(tmp_path: Path) -> None:
    async def main() -> None:
        ports = free_ports(3)
        members = [One(tmp_path, own, ports) for own in range(3)]
        async with running(*members):
            await until(lambda: all(len(member.met) == 2 for member in members))
            members[0].links.send(None, Heartbeat(1))
            members[2].links.send(1, Heartbeat(2))
            await until(lambda: len(members[1].heard) == 2 and len(members[2].heard) == 1)
        assert sorted(source for source, _ in members[1].heard) == [0, 2]
        assert members[2].heard == [(0, Heartbeat(1))]
        assert members[0].heard == []

    asyncio.run(main())


def test_member_that_comes_back_is_met_again(tmp_path: Path) -> None:
    async def main() -> None:
        ports = free_ports(3)
        one, other = One(tmp_path, 0, ports), One(tmp_path, 1, ports)
        async with running(one):
            for expected in (1, 2):
                async with running(other):
                    # Both: what is sent before the other side is ready is lost.
                    await until(lambda count=expected: len(one.met) == len(other.met) == count)
                    other.links.send(0, Heartbeat(expected))
                    await until(lambda count=expected: len(one.heard) == count)
        assert [message for _, message in one.heard] == [Heartbeat(1), Heartbeat(2)]

    asyncio.run(main())


def test_newer_session_of_a_member_replaces_the_older(tmp_path: Path) -> None:
    async def main() -> None:
        ports = free_ports(3)
        one, other = One(tmp_path, 0, ports), One(tmp_path, 1, ports)
        async with running(other):
            sessions = [
                await dial(
                    "127.0.0.1",
                    ports[1],
                    contexts=make_tls_contexts(),
                    configuration=C,
                    own=0,
                    enclave=one.enclave,
                )
                for _ in range(2)
            ]
            await until(lambda: len(other.met) == 2)
            other.links.send(0, Heartbeat(7))
            assert await sessions[1].receive()
            with pytest.raises(LinkFailed):
                await sessions[0].receive()
            for session in sessions:
                session.close()

    asyncio.run(main())


def test_flood_is_read_slowly_and_others_are_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECEIVED_AT_ONCE", 20.0)
    monkeypatch.setattr(module, "QUEUE_MAX", 100)

    async def main() -> None:
        ports = free_ports(3)
        members = [One(tmp_path, own, ports) for own in range(3)]
        async with running(*members):
            await until(lambda: all(len(member.met) == 2 for member in members))
            for number in range(100):
                members[0].links.send(1, Heartbeat(number))
            members[2].links.send(1, Heartbeat(0))
            await until(lambda: any(source == 2 for source, _ in members[1].heard))
            flooded = sum(source == 0 for source, _ in members[1].heard)
            await until(lambda: len(members[1].heard) == 101)
        assert flooded < 100

    asyncio.run(main())


def test_what_cannot_be_sent_is_dropped_the_oldest_first(tmp_path: Path) -> None:
    async def main() -> None:
        ports = free_ports(3)
        one, other = One(tmp_path, 0, ports), One(tmp_path, 1, ports)
        one.links.send(None, Heartbeat(1))  # nobody is there: it is lost
        async with running(one, other):
            await until(lambda: one.met and other.met)
            for number in range(2 * module.QUEUE_MAX):
                one.links.send(1, Heartbeat(number))
            await until(lambda: len(other.heard) == module.QUEUE_MAX)
        assert other.heard[0] == (0, Heartbeat(module.QUEUE_MAX))

    asyncio.run(main())


def test_silent_session_is_opened_anew(tmp_path: Path) -> None:
    async def main() -> None:
        ports = free_ports(3)
        one, other = One(tmp_path, 0, ports, silence_max_s=0.3), One(tmp_path, 1, ports)
        async with running(one, other):
            await until(lambda: len(one.met) >= 3)
        assert len({hello.boot for hello in one.met}) == 1

    asyncio.run(main())


def test_address_in_use_is_named(tmp_path: Path) -> None:
    async def main() -> None:
        ports = free_ports(3)
        one = One(tmp_path, 0, ports)
        taken = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", ports[0])
        with pytest.raises(BaseExceptionGroup) as caught:
            await one.links.run()
        (cause,) = caught.value.exceptions
        assert isinstance(cause, ListenFailed)
        assert cause.fields["address"] == f"127.0.0.1:{ports[0]}"
        taken.close()

    asyncio.run(main())
