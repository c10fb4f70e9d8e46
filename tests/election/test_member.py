"""A member hands its machine's wishes to its enclave: in order, and none twice while it waits."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable

import pytest
from tests.election.support import KEYS, configuration, signed

from tetrarch.election.keys import MemberKeys
from tetrarch.election.member import Member
from tetrarch.election.promises import Denied, Reason
from tetrarch.election.requests import Answer, Keep, Request
from tetrarch.election.statements import Reservation, Signed
from tetrarch.observability.logs import SilentLog

C = configuration()


class SlowEnclave:
    """Answers when it is let; until then everything else waits."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.may_answer = asyncio.Semaphore(0)

    async def ask(self, request: Request) -> Answer:
        self.asked.append(request)
        await self.may_answer.acquire()
        return Denied(Reason.TERM_IS_OVER)


class NoLinks:
    def send(self, to: object, message: object) -> None:
        pass


def reservation(source: int, reserved_to: int) -> Signed[Reservation]:
    return signed(
        Reservation(
            configuration_hash=C.hash,
            source=source,
            incarnation=1,
            boot=b"b" * 32,
            reserved_to=reserved_to,
        )
    )


def keeps(asked: list[Request]) -> list[Keep]:
    return [each for each in asked if isinstance(each, Keep)]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)


def test_a_slow_enclave_is_asked_once_for_what_others_ask_again_and_again() -> None:
    """Others repeat a reservation five times a second: that must not make a slow enclave slower."""

    async def main() -> list[Request]:
        enclave = SlowEnclave()
        keys = MemberKeys(tuple(key.public_key().public_bytes_raw() for key in KEYS[:4]))
        ticks = itertools.count()
        member = Member(
            C, 0, keys=keys, enclave=enclave, log=SilentLog(), now_s=lambda: next(ticks) / 1e6
        )
        running = asyncio.create_task(member.run(NoLinks()))
        await asyncio.sleep(0.01)
        for _ in range(50):
            for source in (1, 2, 3):
                member.receive(source, reservation(source, 8))
        member.receive(1, reservation(1, 16))
        await until(lambda: bool(enclave.asked))
        for _ in range(10):
            enclave.may_answer.release()
        await until(lambda: len(keeps(enclave.asked)) == 4)
        member.receive(1, reservation(1, 16))  # once it is answered, it may be asked again
        await until(lambda: len(keeps(enclave.asked)) == 5)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return enclave.asked

    kept = [each.reservation.what for each in keeps(asyncio.run(main()))]
    assert Counter(each.reserved_to for each in kept) == {8: 3, 16: 2}
    assert [each.source for each in kept] == [1, 2, 3, 1, 1]
