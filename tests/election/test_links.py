"""Sessions between all members: kept open, replaced, and no faster than they may be."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.election.enclaves import MEASUREMENT, InlineEnclave, opened
from tests.election.support import configuration
from tests.network.mesh_world import RecordingLog
from tests.ports import free_ports

from tetrarch.attestation.claims import BackEnd
from tetrarch.attestation.policy import Allowed, Demand
from tetrarch.election import links as module
from tetrarch.election.configuration import Configuration
from tetrarch.election.hello import Hello
from tetrarch.election.links import Links
from tetrarch.election.messages import Heartbeat, Message
from tetrarch.election.sessions import LinkFailed, dial, make_tls_contexts
from tetrarch.errors import ListenFailed

C = configuration(3)
SOON_S = 20.0


class One:
    """A member with links, and what it heard."""

    def __init__(
        self,
        folder: Path,
        own: int,
        ports: list[int],
        silence_max_s: float = SOON_S,
        c: Configuration = C,
    ) -> None:
        self.enclave = InlineEnclave(opened(folder / str(own), c, own), c)
        self.log = RecordingLog()
        self.heard: list[tuple[int, Message]] = []
        self.met: list[Hello] = []
        self.warnings: dict[str, int] = {}
        self.links = Links(
            c,
            own,
            addresses=[("127.0.0.1", port) for port in ports],
            listen=("127.0.0.1", ports[own]),
            enclave=self.enclave,
            on_message=lambda source, message: self.heard.append((source, message)),
            on_met=self.met.append,
            log=self.log,
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


def test_members_show_new_evidence_when_the_last_is_old(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "ATTESTED_FOR_S", 0.2)
    entry = Allowed(BackEnd.SOFTWARE, MEASUREMENT)
    c = replace(C, attestation=Demand.REQUIRE, allowed=(entry,))

    async def main() -> None:
        ports = free_ports(3)
        members = [One(tmp_path, own, ports, c=c) for own in range(2)]
        async with running(*members):
            await until(lambda: all(len(member.met) >= 3 for member in members))
        for member in members:
            assert len({hello.evidence for hello in member.met}) == len(member.met)
            told = [fields for _, event, fields in member.log.lines if event.endswith("attested")]
            assert {(line["back_end"], line["measurement"]) for line in told} == {
                ("software", MEASUREMENT.hex())
            }

    asyncio.run(main())


def warned(member: One) -> list[tuple[str, dict[str, Any]]]:
    return [(event, fields) for level, event, fields in member.log.lines if level == "warning"]


def test_member_with_another_program_is_named_or_kept_out(tmp_path: Path) -> None:
    async def main(demand: Demand, folder: Path) -> list[One]:
        entry = Allowed(BackEnd.SOFTWARE, b"x" * 32)
        c, ports = replace(C, attestation=demand, allowed=(entry,)), free_ports(3)
        members = [One(folder, own, ports, c=c) for own in range(2)]
        async with running(*members):
            await until(lambda: all(warned(member) for member in members))
        return members

    for name in ("record", "require"):
        (tmp_path / name).mkdir()
    for member in asyncio.run(main(Demand.RECORD, tmp_path / "record")):
        assert len(member.met) == 1
        ((event, fields),) = warned(member)
        assert event == "election_member_unattested"
        assert "not a listed measurement" in fields["why"]
    members = asyncio.run(main(Demand.REQUIRE, tmp_path / "require"))
    assert not any(member.met for member in members)
    assert any(
        (event, fields["code"]) == ("election_member_refused", "election_member_unattested")
        for member in members
        for event, fields in warned(member)
    )
