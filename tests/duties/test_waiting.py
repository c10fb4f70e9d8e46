"""Blocking queries: nobody who waits is missed, and nothing is kept for nobody."""

import asyncio

import pytest

from tetrarch.duties.waiting import Waiters


async def absent() -> str | None:
    return None


def test_value_announced_while_looking_is_not_missed() -> None:
    async def main() -> None:
        waiters = Waiters[str, str]()

        async def look() -> str | None:
            waiters.announce("key", "announced")  # stored by another just after we looked
            return None

        async with asyncio.timeout(1):
            assert await waiters.wait("key", look) == "announced"
        assert not waiters.keys

    asyncio.run(main())


def test_value_that_is_there_is_returned_at_once() -> None:
    async def main() -> None:
        waiters = Waiters[str, str]()

        async def look() -> str | None:
            return "there"

        assert await waiters.wait("key", look) == "there"
        assert not waiters.keys

    asyncio.run(main())


def test_all_who_wait_for_a_key_are_woken_and_no_others() -> None:
    async def main() -> None:
        waiters = Waiters[str, str]()
        async with asyncio.TaskGroup() as tasks:
            mine = [tasks.create_task(waiters.wait("mine", absent)) for _ in range(3)]
            other = tasks.create_task(waiters.wait("other", absent))
            await asyncio.sleep(0)
            waiters.announce("mine", "value")
            assert [await each for each in mine] == ["value"] * 3
            assert waiters.keys == ("other",)
            assert not other.done()
            waiters.announce("other", "later")
        assert not waiters.keys

    asyncio.run(main())


def test_caller_that_gives_up_is_forgotten_and_others_still_wait() -> None:
    async def main() -> None:
        waiters = Waiters[str, str]()
        async with asyncio.TaskGroup() as tasks:
            patient = tasks.create_task(waiters.wait("key", absent))
            hasty = tasks.create_task(waiters.wait("key", absent))
            await asyncio.sleep(0)
            hasty.cancel()
            await asyncio.sleep(0)
            assert waiters.keys == ("key",)
            waiters.announce("key", "value")
            assert await patient == "value"
        assert not waiters.keys

    asyncio.run(main())


def test_look_that_fails_leaves_nothing_behind() -> None:
    async def main() -> None:
        waiters = Waiters[str, str]()

        async def look() -> str | None:
            raise LookupError("disk")

        with pytest.raises(LookupError):
            await waiters.wait("key", look)
        assert not waiters.keys

    asyncio.run(main())
