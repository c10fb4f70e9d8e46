"""Handing a request on: to the best node, or the next where nothing was sent to the first.

What changes nothing goes to the next, too, when a node answers that it is broken (5xx).
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from tetrarch.ethereum.beacon_node.errors import BeaconNodeUnreachable
from tetrarch.ethereum.beacon_node.ports import ProxyRequest, ProxyResponse
from tetrarch.ethereum.beacon_nodes.pool import Pool, most_telling

# Methods that change nothing: they may be sent twice.
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# The client's names for a connection that never came to be.
_NOT_CONNECTED = frozenset(
    {
        "ClientConnectorError",
        "ClientConnectorDNSError",
        "ClientConnectorSSLError",
        "ClientConnectorCertificateError",
        "ConnectionTimeoutError",
        "ConnectionRefusedError",
    }
)


@asynccontextmanager
async def proxy(pool: Pool, request: ProxyRequest) -> AsyncIterator[ProxyResponse]:
    """Hand ``request`` on as it is.

    Raises:
        BeaconNodeUnreachable: no node can be reached, or the one that got the request is lost.
    """
    failed: list[BeaconNodeUnreachable] = []
    members = [member for tier in pool.walk() for member in tier]
    for member in members:
        async with AsyncExitStack() as stack:
            try:
                response = await stack.enter_async_context(member.node.proxy(request))
            except BeaconNodeUnreachable as error:
                member.failed("proxy", error)
                if not may_send_again(request, error):
                    raise
                failed.append(error)
                continue
            if response.status < 500:
                member.succeeded()
            elif request.method.upper() in _SAFE and member is not members[-1]:
                continue
            yield response
            return
    raise failed[0] if failed else most_telling([], "proxy")


def may_send_again(request: ProxyRequest, error: BeaconNodeUnreachable) -> bool:
    """Whether another node may be sent a request that this ``error`` ended."""
    return request.method.upper() in _SAFE or error.fields.get("reason") in _NOT_CONNECTED
