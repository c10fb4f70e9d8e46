"""Puts a node of a ledger together: its keys in an enclave, its chain, the overlay, leadership and votes."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import Final

from tetrarch.api.control_token import open_control_token
from tetrarch.api.ledger_events import LedgerEvents
from tetrarch.api.ledger_face import LedgerFace
from tetrarch.api.ledger_instruments import watch_ledger
from tetrarch.api.ledger_views import LedgerView, ledger_reasons
from tetrarch.api.overlay_controls import overlay_controls
from tetrarch.api.overlay_face import overlay_face, overlay_reasons
from tetrarch.clock import SystemClock
from tetrarch.compute import ThreadCompute
from tetrarch.config import OverlayConfig
from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.ledger_client import LedgerClient
from tetrarch.enclave.protections import Confinement, Protection
from tetrarch.enclave.seal_secret import SealSecret, make_key_file
from tetrarch.enclave.state_key import state_secret
from tetrarch.entropy import system_entropy
from tetrarch.leadership.electing import Electing
from tetrarch.leadership.leading import Leadership
from tetrarch.leadership.ports import LeadershipPorts
from tetrarch.leadership.reserving import Reserving
from tetrarch.leadership.voting import Voting
from tetrarch.ledger.blocks import Block
from tetrarch.ledger.chain import LedgerChain
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.ports import LedgerPorts
from tetrarch.ledger.state_arriving import StateArriving
from tetrarch.ledger.store import SCHEMA as LEDGER_SCHEMA
from tetrarch.ledger.store import LedgerStore
from tetrarch.network.overlay.identity import open_identity
from tetrarch.network.overlay.meters import OverlayMeters
from tetrarch.network.overlay.node_store import SCHEMA as NODES_SCHEMA
from tetrarch.network.overlay.overlay import Overlay, World
from tetrarch.network.overlay.texts import read_settings
from tetrarch.observability.controls import Controls
from tetrarch.observability.logs import Log
from tetrarch.observability.metrics import Metrics
from tetrarch.observability.monitoring import Monitoring
from tetrarch.storage.database import Database
from tetrarch.storage.folders import make_folder
from tetrarch.supervision import Supervisor

DATABASE_FILE: Final = "ledger.sqlite"
KEYS_FOLDER: Final = "ledger-keys"
STOP_DELAY_S: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerNode:
    """``secret``: what seals the keys, else a key file in their folder. ``monitoring_port``: None: nobody is told.

    ``election_url``: of a member's monitoring listener, where leaders are elected. ``begins_with_state``: an empty folder takes
    a proven state of others, not all blocks. ``prunes``: final blocks that are older than the states that it gives are forgotten.
    """

    folder: Path
    genesis: Block
    overlay: OverlayConfig
    secret: SealSecret | None = None
    required: tuple[Protection, ...] = ()
    monitoring_port: int | None = None
    election_url: str = ""
    begins_with_state: bool = False
    prunes: bool = False


async def open_keys(
    stack: AsyncExitStack,
    folder: Path,
    secret: SealSecret | None,
    block0: BlockId | None,
    *,
    required: tuple[Protection, ...] = (),
    is_shared: bool = False,
) -> tuple[LedgerClient, EnclaveClient]:
    """The keys of a node's folder, in an enclave of their own that ends with ``stack``.

    Raises:
        OperatorError: of the enclave, the seal, its secret or the folder.
    """
    keys_folder = folder / KEYS_FOLDER
    make_folder(keys_folder)
    opening = state_secret(keys_folder, secret)
    if secret is None:
        make_key_file(opening.path, system_entropy)
    confinement = Confinement(
        writable=(keys_folder,),
        readable=tuple(dict.fromkeys(path.parent for path in opening.paths)),
        required=required,
    )
    enclave = await EnclaveClient.launch(confinement)
    stack.push_async_callback(enclave.close)
    keys = await LedgerClient.open(enclave, keys_folder, opening, block0, is_shared=is_shared)
    return keys, enclave


async def run_ledger_node(node: LedgerNode, log: Log) -> None:
    """Until cancelled.

    Raises:
        ConfigInvalid: a text of it is not what it should be.
        LedgerDamaged: what is stored is no chain, or another's.
        OperatorError: of the folder, the enclave or an address.
    """
    settings = read_settings(node.overlay)
    clock, metrics = SystemClock(), Metrics()
    make_folder(node.folder)
    async with AsyncExitStack() as stack:
        database = Database.open(node.folder / DATABASE_FILE, (NODES_SCHEMA, LEDGER_SCHEMA))
        stack.push_async_callback(database.close)
        compute = ThreadCompute()
        stack.callback(compute.close)
        block0 = node.genesis.header.id
        keys, enclave = await open_keys(
            stack, node.folder, node.secret, block0, required=node.required
        )
        store = LedgerStore(database)
        identity = open_identity(node.folder, system_entropy)
        world = World(
            clock=clock,
            entropy=system_entropy,
            meters=OverlayMeters(metrics),
            log=log,
            storage=database,
        )
        if node.begins_with_state and await store.load() is None:
            arriving = StateArriving(store, compute, node.genesis, log, random=SystemRandom())
            await _arrive(
                arriving,
                Overlay(settings, identity, arriving.chain, world, on_part=arriving.take),
                log,
            )
        ports = LedgerPorts(store=store, compute=compute, clock=clock, log=log, prunes=node.prunes)
        chain = await LedgerChain.open(ports, node.genesis)
        overlay = Overlay(settings, identity, chain, world)
        leading = LeadershipPorts(keys=keys, network=overlay, compute=compute, clock=clock, log=log)
        leadership, voting = Leadership(leading, chain), Voting(leading, chain)
        reserving = Reserving(leading, chain)
        watch_ledger(metrics, chain, leadership, clock)
        events = LedgerEvents(chain, clock)
        async with Supervisor(log) as tasks:
            if node.monitoring_port is not None:
                token = open_control_token(node.folder, system_entropy)
                face = overlay_face(overlay, token=token, log=log)
                view = LedgerView(chain, leadership, clock, voter=keys.voter)
                served = LedgerFace.of(view, overlay, keys, events, stop=_stopping())
                monitoring = Monitoring(
                    host="127.0.0.1",
                    port=node.monitoring_port,
                    metrics=metrics,
                    reasons=lambda: (*overlay_reasons(overlay), *ledger_reasons(view)),
                    views={**face.views, **served.views},
                    streams=served.streams,
                    controls=Controls(
                        served.controls | overlay_controls(overlay), token=token, log=log
                    ),
                    pages={**face.pages, **served.pages},
                    log=log,
                )
                tasks.spawn(monitoring.run(), name="monitoring")
            log.info(
                "ledger_begun",
                folder=str(node.folder),
                chain=block0.hex(),
                height=chain.tip().height,
                final=chain.tree.final.header.chain_length,
                voter=keys.voter.hex(),
                enclave=enclave.process_id,
            )
            tasks.spawn(enclave.watch(), name="enclave")
            tasks.spawn(leadership.run(), name="leadership")
            tasks.spawn(voting.run(), name="voting")
            tasks.spawn(reserving.run(), name="reserving")
            if node.election_url:
                electing = Electing(leading, node.election_url)
                tasks.spawn(electing.run(), name="electing")
            await overlay.run()


async def _arrive(arriving: StateArriving, overlay: Overlay, log: Log) -> None:
    """Until a state is here; ``overlay`` ends with it."""
    log.info("state_wanted", mend="for all blocks instead, start without --with-state")
    async with Supervisor(log) as tasks:
        tasks.spawn(overlay.run(), name="overlay")
        await overlay.listening.wait()
        await arriving.run(overlay)
        tasks.stop()


def _stopping() -> Callable[[], None]:
    """Ends the node that calls it, a moment later: what asked for it is to be answered."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()

    def stop() -> None:
        if task is not None:
            loop.call_later(STOP_DELAY_S, task.cancel)

    return stop
