"""Opens the configured beacon nodes as one, and waits at start until they tell which chain this is.

One node or several: it is the same composition.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from tetrarch.clock import Clock
from tetrarch.config import BeaconNodeConfig
from tetrarch.errors import ConfigInvalid, OperatorError, Transient
from tetrarch.ethereum.beacon_node.client import BeaconNodeClient, connect_beacon_node
from tetrarch.ethereum.beacon_node.http import Timeouts
from tetrarch.ethereum.beacon_nodes.chain_identity import OurChain
from tetrarch.ethereum.beacon_nodes.meters import BeaconNodesMeters
from tetrarch.ethereum.beacon_nodes.ports import Spawner
from tetrarch.ethereum.beacon_nodes.several import SeveralBeaconNodes
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.observability.logs import Log
from tetrarch.observability.metrics import Metrics

RETRY_S = 1.0
MAJORITY_SHARE = 1 / 3  # of the wait at start; after that fewer nodes are enough


class BeaconNodeAway(OperatorError):
    """No beacon node gave a usable answer at start."""

    code = "beacon_node_away"
    exit_code = 69  # EX_UNAVAILABLE
    mend = "start a beacon node, or correct beacon_node.url or beacon_node.urls"


class ChainDiffers(OperatorError):
    """Every beacon node follows another chain than the cluster was made for, or signed on."""

    code = "chain_differs"
    mend = "use a beacon node of the cluster's network"


@asynccontextmanager
async def open_beacon_nodes(
    config: BeaconNodeConfig,
    *,
    ours: OurChain,
    clock: Clock,
    spawner: Spawner,
    metrics: Metrics,
    log: Log,
) -> AsyncIterator[SeveralBeaconNodes]:
    """All configured nodes behind the port of one. Connects when first asked, not now.

    Raises:
        ConfigInvalid: a URL is none, or stands twice: a node has one vote.
    """
    timeouts = Timeouts(
        read_s=config.timeout_ms / 1000,
        production_s=config.production_timeout_ms / 1000,
        submit_s=config.submit_timeout_ms / 1000,
        proxy_idle_s=config.proxy_idle_timeout_ms / 1000,
    )
    async with AsyncExitStack() as stack:
        clients: list[BeaconNodeClient] = []
        for url in config.primary_urls + config.fallback_urls:
            client = await stack.enter_async_context(connect_beacon_node(url, timeouts=timeouts))
            if client.name in (each.name for each in clients):
                raise ConfigInvalid(
                    "open beacon nodes", beacon_node=client.name, reason="configured twice"
                )
            clients.append(client)
        count = len(config.primary_urls)
        yield SeveralBeaconNodes(
            clients[:count],
            clients[count:],
            clock=clock,
            spawner=spawner,
            log=log,
            observer=BeaconNodesMeters(metrics),
            ours=ours,
        )


async def await_chain(
    nodes: SeveralBeaconNodes, config: BeaconNodeConfig, *, log: Log
) -> ChainSpec:
    """Ask until the nodes tell the chain's constants.

    More than half of the primaries must say the same; after a third of ``start_wait_ms`` those
    that answer are enough. A node of another chain is named in the log and left out.

    Raises:
        ChainDiffers: all nodes follow another chain.
        BeaconNodeAway: ``start_wait_ms`` passed.
    """
    loop = asyncio.get_running_loop()
    wait_s = config.start_wait_ms / 1000
    give_up_s, lenient_s = loop.time() + wait_s, loop.time() + wait_s * MAJORITY_SHARE
    majority = len(config.primary_urls) // 2 + 1
    while True:
        agreeing = majority if loop.time() < lenient_s else 1
        try:
            _, chain = await nodes.identify(agreeing=agreeing)
        except Transient as error:
            if len(nodes.strangers) == len(nodes.conditions):
                raise ChainDiffers("check chain", beacon_node=nodes.name, reason=error) from error
            if loop.time() >= give_up_s:
                raise BeaconNodeAway(
                    "ask beacon node", beacon_node=nodes.name, reason=error
                ) from error
            log.warning(
                "beacon_node_away", beacon_node=nodes.name, reason=str(error), code=error.code
            )
            await asyncio.sleep(RETRY_S)
        else:
            return chain
