"""Members with enclave processes and sockets elect; they die, come back, resign and are cut off."""

import asyncio
import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.ports import free_ports

import tetrarch.election
from tetrarch.election.campaigning import Campaign, Leadership
from tetrarch.election.certificates import check_leader
from tetrarch.election.documents import read_certificate, read_configuration
from tetrarch.election.joining import CONFIGURATION_FILE
from tetrarch.election.quorums import Mode
from tetrarch.enclave.errors import SealSecretMissing
from tetrarch.errors import ConfigInvalid, ListenFailed

SOON_S = 20.0  # far more than needed: nothing here measures time


class Members:
    """Started and stopped one by one; each in a task of its own."""

    def __init__(self, folder: Path, count: int, *, mode: Mode = Mode.BFT, lease_ms: int = 0):
        self.names = sorted(f"127.0.0.1:{port}" for port in free_ports(count))
        self.running: dict[int, Campaign] = {}
        self._folder, self._mode, self._lease_ms = folder, mode, lease_ms
        self._stacks: dict[int, contextlib.AsyncExitStack] = {}

    async def start(self, *indices: int) -> None:
        for index in indices or range(len(self.names)):
            stack = contextlib.AsyncExitStack()
            self.running[index] = await stack.enter_async_context(
                tetrarch.election.campaign(
                    self.names[index],
                    [name for name in self.names if name != self.names[index]],
                    folder=self._folder / str(index),
                    mode=self._mode,
                    lease_ms=self._lease_ms,
                )
            )
            self._stacks[index] = stack

    async def stop(self, *indices: int) -> None:
        for index in reversed(indices or tuple(self._stacks)):
            del self.running[index]
            await self._stacks.pop(index).aclose()

    def known(self, index: int) -> Leadership:
        leading = self.running[index].leading
        assert leading is not None
        return leading

    async def agreed(self, members: Sequence[int], *, after: int = 0) -> Leadership:
        """Wait until these know one leader of a term above ``after`` with just them in its list."""
        names = tuple(self.names[index] for index in members)
        async with asyncio.timeout(SOON_S):
            while True:
                known = [self.running[index].leading for index in members]
                first = known[0]
                if (
                    first is not None
                    and first.term > after
                    and all(each is not None and each.term == first.term for each in known)
                    and first.members == names
                ):
                    assert {each.leader for each in known if each is not None} == {first.leader}
                    return first
                await asyncio.sleep(0.02)


def test_two_elect_one_and_anybody_can_check_it(tmp_path: Path) -> None:
    async def main() -> None:
        members = Members(tmp_path, 2)
        await members.start()
        first = await members.agreed((0, 1))
        assert first.leader == members.names[0]
        assert [members.known(index).is_own for index in (0, 1)] == [True, False]
        configuration, keys = read_configuration((tmp_path / "1" / CONFIGURATION_FILE).read_bytes())
        document = json.dumps(first.document).encode()
        check_leader(read_certificate(document, configuration), configuration, keys)
        await members.stop()

    asyncio.run(main())


def test_leader_that_stops_is_replaced_and_comes_back(tmp_path: Path) -> None:
    async def main() -> None:
        members = Members(tmp_path, 4)
        await members.start()
        first = await members.agreed((0, 1, 2, 3))
        await members.stop(0)
        second = await members.agreed((1, 2, 3), after=first.term)
        assert second.leader == members.names[1]
        await members.start(0)
        third = await members.agreed((0, 1, 2, 3), after=second.term)
        assert third.leader == members.names[1]  # a living leader stays
        await members.stop()

    asyncio.run(main())


def test_half_of_four_elects_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        members = Members(tmp_path, 4)
        await members.start()
        first = await members.agreed((0, 1, 2, 3))
        await members.stop(0, 1)
        await asyncio.sleep(3)
        assert [members.known(index).term for index in (2, 3)] == [first.term] * 2
        await members.stop()

    asyncio.run(main())


def test_leader_resigns_and_another_follows(tmp_path: Path) -> None:
    async def main() -> None:
        members = Members(tmp_path, 3, mode=Mode.CRASH, lease_ms=1000)
        await members.start()
        first = await members.agreed((0, 1, 2))
        async with asyncio.timeout(SOON_S):
            while not members.running[0].holds_lease():  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.02)
        assert not members.running[1].holds_lease()
        members.running[0].resign()
        second = await members.agreed((0, 1, 2), after=first.term)
        assert second.leader != first.leader
        assert not members.running[0].holds_lease()
        await members.stop()

    asyncio.run(main())


def test_watcher_hears_of_each_leader(tmp_path: Path) -> None:
    async def main() -> None:
        members = Members(tmp_path, 3, mode=Mode.CRASH)
        await members.start()
        first = await members.agreed((0, 1, 2))
        terms = []
        async with asyncio.timeout(SOON_S):
            async for leading in members.running[2].leaders():
                terms.append(leading.term)
                if leading.term == first.term:
                    members.running[0].resign()
                elif leading.leader != first.leader:
                    break
        assert terms == sorted(set(terms))
        await members.stop()

    asyncio.run(main())


async def _start_alone(own: str, others: list[str], folder: Path, **options: Path) -> None:
    async with tetrarch.election.campaign(own, others, folder=folder, **options):  # type: ignore[arg-type]
        pass


def test_what_cannot_be_is_said_at_the_start(tmp_path: Path) -> None:
    one, other = (f"127.0.0.1:{port}" for port in free_ports(2))
    with pytest.raises(ConfigInvalid, match="named twice"):
        asyncio.run(_start_alone(one, [one], tmp_path))
    with pytest.raises(ConfigInvalid, match="members"):
        asyncio.run(_start_alone(one, [], tmp_path))
    missing = tmp_path / "passphrase"
    with pytest.raises(SealSecretMissing):
        asyncio.run(_start_alone(one, [other], tmp_path, passphrase_file=missing))


def test_port_that_is_taken_is_named(tmp_path: Path) -> None:
    async def main() -> None:
        members = Members(tmp_path, 2)
        await members.start(0)
        with pytest.raises(ListenFailed, match=members.names[0]):
            await _start_alone(members.names[0], [members.names[1]], tmp_path / "other")
        await members.stop()

    asyncio.run(main())


def test_module_has_no_other_names() -> None:
    with pytest.raises(AttributeError):
        tetrarch.election.nothing  # noqa: B018
