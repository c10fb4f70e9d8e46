"""Endpoints about the node: version, health, sync."""

from aiohttp import web

import tetrarch
from tetrarch.ethereum.devchain.http.answers import Face, data_answer, query_number


async def version(_face: Face, _request: web.Request) -> web.Response:
    """GET /eth/v1/node/version."""
    return data_answer({"version": f"tetrarch-devchain/{tetrarch.__version__}"})


async def identity(_face: Face, _request: web.Request) -> web.Response:
    """GET /eth/v1/node/identity: there is no network behind it."""
    return data_answer(
        {
            "peer_id": "tetrarch-devchain",
            "enr": "",
            "p2p_addresses": [],
            "discovery_addresses": [],
            "metadata": {
                "seq_number": "0",
                "attnets": "0x" + "ff" * 8,
                "syncnets": "0x0f",
                "custody_group_count": "128",
            },
        }
    )


async def peers(_face: Face, _request: web.Request) -> web.Response:
    """GET /eth/v1/node/peers: none."""
    return data_answer([], meta={"count": 0})


async def peer_count(_face: Face, _request: web.Request) -> web.Response:
    """GET /eth/v1/node/peer_count: one, for whoever does not trust a beacon node without any."""
    counts = {"disconnected": "0", "connecting": "0", "connected": "1", "disconnecting": "0"}
    return data_answer(counts)


async def syncing(face: Face, _request: web.Request) -> web.Response:
    """GET /eth/v1/node/syncing: always in sync; empty slots are no distance."""
    return data_answer(
        {
            "head_slot": str(max(face.chain.slot, 0)),
            "sync_distance": "0",
            "is_syncing": False,
            "is_optimistic": False,
            "el_offline": False,
        }
    )


async def health(_face: Face, request: web.Request) -> web.Response:
    """GET /eth/v1/node/health: 200 while it answers at all."""
    query_number(request, "syncing_status", 200)
    return web.Response(status=200)
