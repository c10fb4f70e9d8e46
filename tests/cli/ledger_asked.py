"""A node of a ledger that answers commands: its chain, keys and listener are real, its network is its own chain."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, cast

from tests.ledger.test_chain import Opened, opened
from typer.testing import CliRunner

from tetrarch.api.control_token import open_control_token
from tetrarch.api.ledger_controls import ledger_controls
from tetrarch.api.ledger_reference import PeerCounts, ReferenceApi
from tetrarch.api.ledger_views import LedgerView
from tetrarch.cli.main import app
from tetrarch.clock import SystemClock
from tetrarch.entropy import system_entropy
from tetrarch.leadership.leading import Leadership
from tetrarch.leadership.ports import LeadershipPorts
from tetrarch.ledger.accounts import AccountId
from tetrarch.ledger.genesis import Genesis, Grant, genesis_block
from tetrarch.ledger.parameters import Fees, Parameters
from tetrarch.network.overlay.chain import Verdict
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS
from tetrarch.observability.controls import Controls
from tetrarch.observability.logs import SilentLog
from tetrarch.observability.metrics import Metrics
from tetrarch.observability.monitoring import Monitoring
from tetrarch.sim.ledger_keys import KeyDisk, SimKeys, first_keys
from tetrarch.sim.ledger_node import InlineCompute


class Asked:
    """``ask`` it by a command line."""

    def __init__(self, ledger: Opened, leadership: Leadership, url: str, folder: Path) -> None:
        self.ledger = ledger
        self.leadership = leadership
        self.url = url
        self.folder = folder

    async def ask(self, *arguments: object, exit_code: int = 0) -> str:
        """What it prints."""
        command = [*map(str, arguments), "--url", self.url]
        result = await asyncio.to_thread(CliRunner().invoke, app, command)
        assert result.exit_code == exit_code, result.output
        return result.stdout if exit_code == 0 else result.stderr

    async def told(self, *arguments: object) -> Any:
        return json.loads(await self.ask(*arguments, "--json"))


class _Own:
    def __init__(self, ledger: Opened) -> None:
        self._ledger = ledger

    async def propose_block(self, content: bytes) -> Verdict:
        return await self._ledger.chain.take(BLOCKS, content)

    async def propose_fragment(self, content: bytes) -> Verdict:
        return await self._ledger.chain.take(FRAGMENTS, content)


@asynccontextmanager
async def asked(folder: Path, account: AccountId, *, fee: int = 3) -> AsyncIterator[Asked]:
    """``account`` holds 1000."""
    genesis = Genesis(
        start_unix_s=int(time.time()) - 1,
        name="asked",
        parameters=Parameters(slot_duration_ms=600_000, fees=Fees(constant=fee)),
        grants=(Grant(account, 1000),),
    )
    disk = KeyDisk(first_keys(0, None))
    async with opened(folder, genesis_block(genesis)) as ledger:
        keys = SimKeys(
            disk,
            ledger.tip.block0,
            Random(0),
            on_block=lambda *_: None,
            on_vote=lambda *_: None,
        )
        network, log = _Own(ledger), cast("Any", SilentLog())
        ports = LeadershipPorts(
            keys=keys, network=network, compute=InlineCompute(), clock=SystemClock(), log=log
        )
        leadership = Leadership(ports, ledger.chain)
        view = LedgerView(ledger.chain, leadership, SystemClock(), voter=keys.voter)
        reference = ReferenceApi(view, network, peers=_nobody, stop=lambda: None)
        token = open_control_token(folder, system_entropy)
        monitoring = Monitoring(
            host="127.0.0.1",
            port=0,
            metrics=Metrics(),
            reasons=lambda: (),
            views=view.views() | reference.views(),
            controls=Controls(ledger_controls(view, network, keys), token=token, log=log),
            log=log,
        )
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(leadership.run()), tasks.create_task(monitoring.run())]
            await monitoring.listening.wait()
            yield Asked(ledger, leadership, f"http://127.0.0.1:{monitoring.bound_port}", folder)
            for task in running:
                task.cancel()


def _nobody() -> PeerCounts:
    return PeerCounts(available=0, connected=0, quarantined=0)
