"""Nodes that do not know where they are are told, over real sockets; nobody is made to dial a third."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.network.overlay.support import address, node_id
from tests.network.overlay.world import Node, nodes_of, until

from tetrarch.network.overlay.discovery import ASKED_AGAIN_S, PROBES_MAX, Discovery
from tetrarch.network.overlay.meeting import Met
from tetrarch.network.overlay.memory_chain import MemoryChain
from tetrarch.network.overlay.messages import (
    Kind,
    OverlayMessageInvalid,
    Reach,
    encode_reach,
    encode_reached,
)
from tetrarch.network.overlay.observed import ObservedRules
from tetrarch.network.overlay.reaching import Target
from tetrarch.observability.logs import Log


def test_a_node_finds_out_where_it_is_and_is_known_from_then_on(tmp_path: Path) -> None:
    async def scenario(secured: bool) -> None:
        first, second, third = nodes_of(tmp_path / str(secured), 3, secured=secured)
        settings = replace(
            third.overlay.settings,
            public=None,
            discovers=True,
            trusted=tuple(
                replace(first_, address=node.overlay.settings.listen[0])
                for node in (first, second)
                for first_ in third.overlay.settings.trusted
            ),
        )
        lost = Node(tmp_path / str(secured) / "lost", settings, MemoryChain())
        async with first.running(), second.running():
            await until(lambda: second.node in first.nodes.known)
            async with lost.running():
                await until(lambda: lost.node in first.nodes.guests)
                await until(lambda: lost.overlay.discovery.address == settings.listen[0])
                await until(lambda: lost.node in first.nodes.known)
                assert first.nodes.known.profiles[lost.node].address == settings.listen[0]
                assert "overlay_address_found" in lost.text.getvalue()

    for secured in (True, False):
        (tmp_path / str(secured)).mkdir()
        asyncio.run(scenario(secured))


def test_where_nobody_gets_in_nothing_is_told(tmp_path: Path) -> None:
    """A router lets calls out and none in: the port that others try is nobody's."""

    async def scenario() -> None:
        first, second, third = nodes_of(tmp_path, 3)
        settings = replace(
            third.overlay.settings,
            public=None,
            discovers=True,
            discovered_port=1,
            trusted=tuple(
                replace(first_, address=node.overlay.settings.listen[0])
                for node in (first, second)
                for first_ in third.overlay.settings.trusted
            ),
        )
        lost = Node(tmp_path / "lost", settings, MemoryChain())
        async with first.running(), second.running(), lost.running():
            await until(lambda: lost.node in first.nodes.guests)
            await until(
                lambda: "overlay_not_there" in first.text.getvalue() + second.text.getvalue()
            )
            assert lost.overlay.discovery.address is None
            assert lost.node not in first.nodes.known
            await lost.make_block(b"its blocks reach all the same")
            await until(lambda: second.chain.tip() == lost.chain.tip())

    asyncio.run(scenario())


class FakeLinks:
    def __init__(self, *nodes: Any) -> None:
        self.nodes = nodes
        self.sent: list[tuple[Any, int, bytes]] = []

    def __iter__(self) -> Any:
        return iter(self.nodes)

    def send(self, node: Any, kind: int, payload: bytes) -> bool:
        self.sent.append((node, kind, payload))
        return True


class FakeReaching:
    def __init__(self, there: bool = True) -> None:
        self.there = there
        self.targets: list[Target] = []

    async def is_there(self, target: Target) -> bool:
        self.targets.append(target)
        return self.there


def discovery(links: FakeLinks, rules: ObservedRules | None = None, **changes: Any) -> Discovery:
    options: dict[str, Any] = {
        "certificate": b"",
        "private_addresses": False,
        "random": Random(1),
        "found": lambda _: None,
        "log": _log(),
    }
    return Discovery(rules, links, **(options | changes))  # type: ignore[arg-type]


def _log() -> Log:
    import io

    from tetrarch.clock import SystemClock
    from tetrarch.observability.logs import LogFormat, LogLevel, build_log

    return build_log(
        io.StringIO(),
        clock=SystemClock(),
        log_format=LogFormat.CONSOLE,
        level=LogLevel.DEBUG,
        node="x",
    )


def met(number: int, ip: str, observed: str = "") -> Met:
    return Met(node=node_id(number), is_extended=True, address=address(ip), observed=observed)


async def ask(one: Discovery, node: Any, port: int, reaching: FakeReaching) -> None:
    tasks: list[Any] = []
    spawn: Callable[[Any, str], Any] = lambda work, _: tasks.append(work)  # noqa: E731
    one.hear_question(
        node,
        encode_reach(Reach(port, b"c" * 32)),
        reaching=reaching,
        spawn=spawn,
    )
    for work in tasks:
        await work


def test_only_the_address_where_the_asker_is_seen_is_dialled_and_not_all_the_time() -> None:
    async def scenario() -> None:
        links, reaching = FakeLinks(), FakeReaching()
        one = discovery(links)
        one.met(met(1, "20.0.0.1"))
        await ask(one, node_id(1), 3000, reaching)
        (target,) = reaching.targets
        assert target.address == address("20.0.0.1", 3000)
        assert (target.node, target.certificate, target.secured) == (node_id(1), b"c" * 32, True)
        assert links.sent == [(node_id(1), Kind.REACHED, encode_reached(address("20.0.0.1", 3000)))]
        await ask(one, node_id(1), 3001, reaching)
        assert len(reaching.targets) == 1
        await ask(one, node_id(2), 3000, reaching)  # nobody knows where that is
        assert len(reaching.targets) == 1
        one.met(met(3, "192.168.0.1"))
        await ask(one, node_id(3), 22, reaching)  # nothing of our own network for strangers
        assert len(reaching.targets) == 1

    asyncio.run(scenario())


def test_who_is_not_reached_is_told_nothing() -> None:
    async def scenario() -> None:
        links = FakeLinks()
        one = discovery(links)
        one.met(met(1, "20.0.0.1"))
        await ask(one, node_id(1), 3000, FakeReaching(there=False))
        assert not links.sent

    asyncio.run(scenario())


def test_few_are_dialled_at_once() -> None:
    async def scenario() -> None:
        one, reaching = discovery(FakeLinks()), FakeReaching()
        waiting: list[Any] = []
        for number in range(PROBES_MAX + 3):
            one.met(met(number, f"20.0.{number}.1"))
            one.hear_question(
                node_id(number),
                encode_reach(Reach(3000, b"")),
                reaching=reaching,
                spawn=lambda work, _: waiting.append(work),
            )
        assert len(waiting) == PROBES_MAX
        for work in waiting:
            await work
        one.met(met(99, "20.0.99.1"))
        await ask(one, node_id(99), 3000, reaching)
        assert len(reaching.targets) == PROBES_MAX + 1

    asyncio.run(scenario())


def test_an_answer_that_nobody_asked_for_is_a_fault() -> None:
    async def scenario() -> None:
        one = discovery(FakeLinks(node_id(1)), ObservedRules(port=3000))
        one.met(met(1, "30.0.0.1", "20.0.0.1:5555"))
        one.met(met(2, "31.0.0.1", "20.0.0.1:5556"))
        answer = encode_reached(address("20.0.0.1", 3000))
        with pytest.raises(OverlayMessageInvalid):
            one.hear_answer(node_id(1), answer)
        one._ask()
        one.hear_answer(node_id(1), answer)
        assert one.address is None  # one is not enough
        with pytest.raises(OverlayMessageInvalid):
            one.hear_answer(node_id(2), answer)
        assert ASKED_AGAIN_S > 0

    asyncio.run(scenario())


def test_nonsense_about_us_is_no_word() -> None:
    one = discovery(FakeLinks(), ObservedRules(port=3000))
    for number, text in enumerate(("", "nonsense", "20.0.0.1", "[::1]")):
        one.met(met(number, f"30.0.{number}.1", text))
    assert one.observed is not None
    assert one.observed.candidate is None
