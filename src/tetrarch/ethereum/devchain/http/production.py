"""Endpoints that produce what a validator signs: attestation data and blocks."""

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.devchain.chain import BOOST_NEUTRAL
from tetrarch.ethereum.devchain.http.answers import (
    SSZ,
    VERSION,
    Face,
    data_answer,
    json_answer,
    path_number,
    query_number,
    wants_ssz,
)
from tetrarch.ethereum.devchain.production import BlockWish
from tetrarch.ethereum.devchain.transition.deposits import INFINITY_SIGNATURE
from tetrarch.ethereum.spec.values import Fork, parse_hex
from tetrarch.ssz.container import Container, Record

# Blocks are worth the same wherever they come from; the number means nothing.
BLOCK_VALUE = "1"


@dataclass(frozen=True, slots=True)
class _Produced:
    value: Record
    blinded: bool

    @property
    def kind(self) -> Container:
        return self.value.ssz_type


async def attestation_data(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v1/validator/attestation_data."""
    slot = query_number(request, "slot")
    index = query_number(request, "committee_index", 0)
    wrong_head = face.chain.faults.wrong_head
    data = face.chain.attestation_data(slot, index, wrong_head=wrong_head)
    if wants_ssz(request):
        headers = {VERSION: face.chain.config.fork.value}
        return web.Response(body=data.encode(), content_type=SSZ, headers=headers)
    return data_answer(data.to_json())


async def block_v3(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v3/validator/blocks/{slot}: full, or blinded if the builder is preferred."""
    boost = query_number(request, "builder_boost_factor", BOOST_NEUTRAL)
    produced = _produce(face, request, blinded=face.chain.offers_blinded(boost))
    headers = {
        VERSION: face.chain.config.fork.value,
        "Eth-Execution-Payload-Blinded": str(produced.blinded).lower(),
        "Eth-Execution-Payload-Value": BLOCK_VALUE,
        "Eth-Consensus-Block-Value": BLOCK_VALUE,
    }
    if wants_ssz(request):
        return web.Response(body=produced.value.encode(), content_type=SSZ, headers=headers)
    content = {
        "version": face.chain.config.fork.value,
        "execution_payload_blinded": produced.blinded,
        "execution_payload_value": BLOCK_VALUE,
        "consensus_block_value": BLOCK_VALUE,
        "data": produced.value.to_json(),
    }
    return json_answer(content, headers=headers)


async def block_v2(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v2/validator/blocks/{slot}: always full."""
    return _block_answer(face, request, _produce(face, request, blinded=False))


async def blinded_block_v1(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v1/validator/blinded_blocks/{slot}: always blinded."""
    if not face.chain.rules.has_payload:
        raise InputInvalid("produce block", reason="the fork has no blinded blocks")
    return _block_answer(face, request, _produce(face, request, blinded=True))


def _block_answer(face: Face, request: web.Request, produced: _Produced) -> web.Response:
    version = face.chain.config.fork.value
    headers = {VERSION: version}
    if wants_ssz(request):
        return web.Response(body=produced.value.encode(), content_type=SSZ, headers=headers)
    return json_answer({"version": version, "data": produced.value.to_json()}, headers=headers)


def _produce(face: Face, request: web.Request, *, blinded: bool) -> _Produced:
    chain, slot = face.chain, path_number(request, "slot")
    reveal = request.query.get("randao_reveal")
    if reveal is None:
        raise InputInvalid("read query", field="randao_reveal", reason="missing")
    skip = "skip_randao_verification" in request.query
    wish = BlockWish(
        randao_reveal=parse_hex(reveal, size_bytes=96, what="randao_reveal"),
        graffiti=_graffiti(request.query.get("graffiti")),
    )
    if skip and wish.randao_reveal != INFINITY_SIGNATURE:
        raise InputInvalid("produce block", reason="skipping the check needs the point at infinity")
    block: Any = chain.produce(slot, wish, verify_reveal=not skip)
    types = chain.rules.types
    if blinded:
        state = chain.tree.state_at(block.parent_root, slot)
        return _Produced(chain.builder.blind(state, block), blinded=True)
    if chain.config.fork.at_least(Fork.DENEB):
        return _Produced(types.BlockContents(block=block, kzg_proofs=(), blobs=()), blinded=False)
    return _Produced(block, blinded=False)


def _graffiti(text: str | None) -> bytes:
    return bytes(32) if text is None else parse_hex(text, size_bytes=32, what="graffiti")
