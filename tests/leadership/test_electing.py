"""What the own member of the election has is given to the chain, seldom again; a member that is away is told of once."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

from aiohttp import web
from tests.ledger.test_elections import C, certificate, election
from tests.network.mesh_world import RecordingLog
from tests.network.overlay.world import until

from tetrarch.election.documents import certificate_fields
from tetrarch.leadership.electing import AGAIN_S, ANSWER_SIZE_BYTES_MAX, PATH, Electing
from tetrarch.network.overlay.chain import Verdict
from tetrarch.sim.loop import simulate


class Member:
    """Answers as it is told to, and hears what is proposed."""

    def __init__(self) -> None:
        self.answer: tuple[int, bytes] = (200, b'{"leader": null}')
        self.proposed: list[bytes] = []
        self.asked = 0
        self.log = RecordingLog()

    async def serve(self, _request: web.Request) -> web.Response:
        self.asked += 1
        status, body = self.answer
        return web.Response(status=status, body=body, content_type="application/json")

    async def propose_fragment(self, data: bytes) -> Verdict:
        self.proposed.append(data)
        return Verdict.NEW

    async def look(self) -> None:
        """Until it was asked twice more: the first may have been under way."""
        before = self.asked
        await until(lambda: self.asked >= before + 2)


def leads(member: int, term: int) -> tuple[int, bytes]:
    told = {
        "leader": {"term": term, "certificate": certificate_fields(certificate(member, term), C)}
    }
    return 200, json.dumps(told).encode()


def test_certificates_are_given_once_and_a_member_that_is_away_is_told_of_once() -> None:
    async def main() -> None:
        member = Member()
        app = web.Application()
        app.router.add_get(f"/{PATH}", member.serve)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        ports = cast("Any", SimpleNamespace(network=member, log=member.log))
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(Electing(ports, url).run())
            await member.look()
            assert member.proposed == [], "nobody is elected"
            member.answer = leads(2, 1)
            await member.look()
            for wrong in ((500, b""), (200, b"{"), (200, b" " * (ANSWER_SIZE_BYTES_MAX + 1))):
                member.answer = wrong
                await member.look()
            member.answer = leads(3, 2)
            await member.look()
            task.cancel()
        await runner.cleanup()
        assert member.proposed == [election(2, 1), election(3, 2)]
        assert len(member.log.find("election_away")) == 1
        assert len(member.log.find("election_answers")) == 1

    asyncio.run(main())


def test_a_certificate_is_given_again_later_and_told_of_once() -> None:
    """To whom it did not come: the leader of before, which was cut off."""

    async def main() -> None:
        member = Member()
        ports = cast("Any", SimpleNamespace(network=member, log=member.log))
        electing = Electing(ports, "")
        await electing.give(election(2, 1))
        await asyncio.sleep(AGAIN_S - 0.1)
        await electing.give(election(2, 1))
        assert member.proposed == [election(2, 1)]
        await asyncio.sleep(0.2)
        await electing.give(election(2, 1))
        assert member.proposed == [election(2, 1)] * 2
        assert len(member.log.find("election_given")) == 1

    simulate(main, seed=1)
