"""Endpoints for blocks: reading them by id, and publishing them."""

from typing import Any

from aiohttp import web

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.devchain.http.answers import (
    SSZ,
    VERSION,
    Face,
    check_version,
    data_answer,
    hexed,
    query_number,
    read_json,
    versioned_answer,
)
from tetrarch.ethereum.devchain.tree import Node
from tetrarch.ethereum.spec.values import Fork, parse_hex

BROADCAST_VALIDATIONS = ("gossip", "consensus", "consensus_and_equivocation")


def _flags(face: Face, node: Node) -> dict[str, Any]:
    return {"execution_optimistic": False, "finalized": face.is_final(node)}


def _signed_block(face: Face, node: Node) -> Any:
    """The block itself; genesis has an empty one."""
    if node.signed is not None:
        return node.signed
    types = face.chain.rules.types
    block = types.BeaconBlock.default().replace(state_root=node.state_root)
    return types.SignedBeaconBlock(message=block, signature=bytes(96))


def _header(face: Face, node: Node) -> dict[str, Any]:
    signed = _signed_block(face, node)
    block = signed.message
    message = {
        "slot": str(block.slot),
        "proposer_index": str(block.proposer_index),
        "parent_root": hexed(block.parent_root),
        "state_root": hexed(block.state_root),
        "body_root": hexed(block.body.hash_tree_root()),
    }
    return {
        "root": hexed(node.root),
        "canonical": face.chain.tree.is_ancestor(node.root, face.chain.head.root),
        "header": {"message": message, "signature": hexed(signed.signature)},
    }


async def header(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v1/beacon/headers/{block_id}."""
    node = face.node_of(request.match_info["block_id"])
    return data_answer(_header(face, node), **_flags(face, node))


async def headers(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v1/beacon/headers: the head, or what the query names."""
    tree = face.chain.tree
    nodes = [face.chain.head]
    if "parent_root" in request.query:
        parent = parse_hex(request.query["parent_root"], size_bytes=32, what="parent_root")
        nodes = [node for node in tree.nodes() if node.parent_root == parent]
    elif "slot" in request.query:
        slot = query_number(request, "slot")
        nodes = [node for node in tree.nodes() if node.slot == slot]
    final = all(face.is_final(node) for node in nodes)
    listed = [_header(face, node) for node in nodes]
    return data_answer(listed, execution_optimistic=False, finalized=final)


async def block(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v2/beacon/blocks/{block_id}."""
    node = face.node_of(request.match_info["block_id"])
    kind = face.chain.rules.types.SignedBeaconBlock
    return versioned_answer(face, request, kind, _signed_block(face, node), **_flags(face, node))


async def blinded_block(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v1/beacon/blinded_blocks/{block_id}; the full block before Bellatrix."""
    node = face.node_of(request.match_info["block_id"])
    signed, types = _signed_block(face, node), face.chain.rules.types
    kind = types.SignedBeaconBlock
    if face.chain.rules.has_payload:
        kind = types.SignedBlindedBeaconBlock
        blinded = face.chain.builder.blind(face.chain.head_state(0), signed.message)
        signed = kind(message=blinded, signature=signed.signature)
    return versioned_answer(face, request, kind, signed, **_flags(face, node))


async def block_root(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v1/beacon/blocks/{block_id}/root."""
    node = face.node_of(request.match_info["block_id"])
    return data_answer({"root": hexed(node.root)}, **_flags(face, node))


async def block_attestations(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v2/beacon/blocks/{block_id}/attestations."""
    node = face.node_of(request.match_info["block_id"])
    body = _signed_block(face, node).message.body
    version = face.chain.config.fork.value
    listed = [each.to_json() for each in body.attestations]
    answer = data_answer(listed, version=version, **_flags(face, node))
    answer.headers[VERSION] = version
    return answer


async def publish(face: Face, request: web.Request) -> web.Response:
    """POST /eth/v1 and /eth/v2/beacon/blocks. What is refused is never passed on: 400, not 202."""
    types = face.chain.rules.types
    contents = face.chain.config.fork.at_least(Fork.DENEB)
    value = await _read_block(
        face, request, types.SignedBlockContents if contents else types.SignedBeaconBlock
    )
    if contents:
        _check_blobs(value)
        value = value.signed_block
    face.chain.import_block(value, face.now_s())
    return web.Response(status=200)


def _check_blobs(contents: Any) -> None:
    """Blobs must be as many as the block commits to; their proofs are not checked."""
    commitments = len(contents.signed_block.message.body.blob_kzg_commitments)
    if len(contents.blobs) != commitments:
        raise InputInvalid("publish block", field="blobs", expected=commitments)


async def publish_blinded(face: Face, request: web.Request) -> web.Response:
    """POST /eth/v1 and /eth/v2/beacon/blinded_blocks: only what was produced here."""
    types = face.chain.rules.types
    if not face.chain.rules.has_payload:
        signed = await _read_block(face, request, types.SignedBeaconBlock)
    else:
        blinded = await _read_block(face, request, types.SignedBlindedBeaconBlock)
        signed = face.chain.builder.unblind(face.chain.head_state(0), blinded)
    face.chain.import_block(signed, face.now_s())
    return web.Response(status=200)


async def _read_block(face: Face, request: web.Request, kind: Any) -> Any:
    check_version(face, request, required=request.path.startswith("/eth/v2"))
    wanted = request.query.get("broadcast_validation", "gossip")
    if wanted not in BROADCAST_VALIDATIONS:
        raise InputInvalid("read query", field="broadcast_validation", got=wanted[:32])
    if request.content_type == SSZ:
        return kind.decode(await request.read())
    return kind.from_json(await read_json(request))


async def state_v2(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v2/debug/beacon/states/{state_id}."""
    state, final = face.state_of(request.match_info["state_id"])
    kind = face.chain.rules.types.BeaconState
    beside: dict[str, Any] = {"execution_optimistic": False, "finalized": final}
    return versioned_answer(face, request, kind, state, **beside)


async def heads_v2(face: Face, _request: web.Request) -> web.Response:
    """GET /eth/v2/debug/beacon/heads."""
    return data_answer(
        [
            {"root": hexed(node.root), "slot": str(node.slot), "execution_optimistic": False}
            for node in face.chain.tree.tips()
        ]
    )
