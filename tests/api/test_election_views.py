"""What is told of an election, over HTTP as it is asked for."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import aiohttp
from tests.election.support import KEYS, Keys, configuration, leading, view_of

from tetrarch.api.election_views import election_streams, election_views, watch_election
from tetrarch.election.campaigning import Campaign
from tetrarch.election.certificates import LeaderCertificate, check_leader
from tetrarch.election.documents import read_certificate
from tetrarch.election.member import Member
from tetrarch.election.statements import Leader
from tetrarch.observability import monitoring as module
from tetrarch.observability.logs import SilentLog
from tetrarch.observability.metrics import Metrics
from tetrarch.observability.monitoring import Monitoring

C = configuration(4)


class FakeMember:
    """As much of ``Member`` as a campaign reads."""

    def __init__(self) -> None:
        self.newest: LeaderCertificate | None = None
        self.down: tuple[int, ...] = ()
        self.has_recovered = True
        self.keys = (*(key.public_key().public_bytes_raw() for key in KEYS[:3]), None)
        self.watchers = 0
        self._arrived = asyncio.Event()

    def elect(self, term: int, leader: int) -> None:
        self.newest = leading(Leader(view_of(C, term=term), leader), range(3))
        self._arrived.set()

    async def watch(self) -> AsyncGenerator[LeaderCertificate, None]:
        self.watchers += 1
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                assert self.newest is not None
                yield self.newest
        finally:
            self.watchers -= 1


@asynccontextmanager
async def served(member: FakeMember) -> AsyncIterator[tuple[str, aiohttp.ClientSession]]:
    campaign = Campaign(C, 1, cast("Member", member))
    metrics = Metrics()
    watch_election(campaign, metrics)
    monitoring = Monitoring(
        host="127.0.0.1",
        port=0,
        metrics=metrics,
        reasons=lambda: (),
        views=election_views(campaign),
        streams=election_streams(campaign),
        log=SilentLog(),
    )
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(monitoring.run())
        await monitoring.listening.wait()
        async with aiohttp.ClientSession() as session:
            yield f"http://127.0.0.1:{monitoring.bound_port}", session
        task.cancel()


async def get(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(url) as answer:
        assert answer.status == 200
        told: dict[str, Any] = await answer.json()
        return told


def test_leader_is_told_with_a_certificate_that_proves_it() -> None:
    async def main() -> None:
        member = FakeMember()
        async with served(member) as (url, session):
            assert await get(session, f"{url}/election/leader") == {"leader": None}
            member.elect(7, 1)
            told = (await get(session, f"{url}/election/leader"))["leader"]
        assert (told["term"], told["leader"], told["is_own"]) == (7, "node1", True)
        check_leader(read_certificate(json.dumps(told["certificate"]).encode(), C), C, Keys())

    asyncio.run(main())


def test_members_are_told_as_this_one_sees_them() -> None:
    async def main() -> None:
        member = FakeMember()
        member.down = (3,)
        member.elect(1, 0)
        async with served(member) as (url, session):
            told = await get(session, f"{url}/election/members")
            async with session.get(f"{url}/metrics") as answer:
                metrics = await answer.text()
        assert (told["own"], told["quorum"], told["may_vote"]) == ("node1", 3, True)
        assert told["configuration_hash"] == C.hash.hex()
        assert [each["is_heard"] for each in told["members"]] == [True, True, True, False]
        assert [each["is_own"] for each in told["members"]] == [False, True, False, False]
        assert [len(each["signing_key"]) for each in told["members"]] == [64, 64, 64, 0]
        assert "tetrarch_election_members_heard 3.0" in metrics
        assert "tetrarch_election_leads 0.0" in metrics
        assert "tetrarch_election_term 1.0" in metrics

    asyncio.run(main())


def test_new_leaders_are_sent_as_they_come_and_a_listener_may_leave(
    monkeypatch: Any,
) -> None:
    monkeypatch.setattr(module, "STREAM_SIGN_OF_LIFE_S", 0.02)

    async def main() -> None:
        member = FakeMember()
        async with served(member) as (url, session):
            async with session.get(f"{url}/election/events") as answer:
                assert answer.content_type == "text/event-stream"
                assert await answer.content.readline() == b":\n", "it shows that it is there"
                for term in (3, 4):
                    member.elect(term, 0)
                    while not (line := await answer.content.readline()).startswith(b"data: "):
                        pass
                    assert json.loads(line.removeprefix(b"data: "))["term"] == term
                assert member.watchers == 1
            while member.watchers:  # noqa: ASYNC110 - there is nothing to wait on
                await asyncio.sleep(0.01)

    asyncio.run(main())


def test_no_more_than_so_many_listen(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "STREAMS_MAX", 1)

    async def main() -> None:
        async with (
            served(FakeMember()) as (url, session),
            session.get(f"{url}/election/events") as first,
            session.get(f"{url}/election/events") as second,
        ):
            assert (first.status, second.status) == (200, 503)

    asyncio.run(main())
