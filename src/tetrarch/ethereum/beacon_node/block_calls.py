"""Calls that produce and publish blocks, by the newest endpoint that the node has."""

from dataclasses import replace

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.beacon_node.errors import BeaconNodeRefused
from tetrarch.ethereum.beacon_node.http import (
    BLINDED_HEADER,
    BLOCK_SIZE_MAX,
    GONE,
    JSON,
    SSZ,
    SSZ_PREFERRED,
    VERSION_HEADER,
    Answer,
    Call,
    Exchange,
    encode_json,
    reading,
)
from tetrarch.ethereum.beacon_node.ports import BlockRequest
from tetrarch.ethereum.spec.proposals import Proposal, SignedProposal
from tetrarch.ethereum.spec.values import Fork, member

EXECUTION_VALUE_HEADER = "Eth-Execution-Payload-Value"
CONSENSUS_VALUE_HEADER = "Eth-Consensus-Block-Value"
WEI_LENGTH_MAX = 78  # digits of 256 bits


def parse_fork(text: object, *, what: str) -> Fork:
    """A fork's name as the beacon API writes it.

    Raises:
        InputInvalid: a fork that this program does not know.
    """
    try:
        return Fork(text)  # type: ignore[arg-type]  # anything else is the same error
    except ValueError:
        raise InputInvalid("read fork", field=what, got=str(text)[:32]) from None


async def produce_block(exchange: Exchange, request: BlockRequest, *, preset: str) -> Proposal:
    """An unsigned block, by version 3 of the endpoint, or 2 (full blocks only) without it."""
    query = (
        ("randao_reveal", "0x" + request.randao_reveal.hex()),
        ("graffiti", "0x" + request.graffiti.hex()),
    )
    boost = (("builder_boost_factor", str(request.builder_boost_factor)),)
    try:
        answer = await _get_block(
            exchange, f"/eth/v3/validator/blocks/{request.slot}", query + boost
        )
    except BeaconNodeRefused as refusal:
        if refusal.status not in GONE:
            raise
        answer = await _get_block(exchange, f"/eth/v2/validator/blocks/{request.slot}", query)
    with reading(answer.path):
        proposal = _valued(_parse_proposal(answer, preset=preset), answer)
        header = proposal.header
        if header.slot != request.slot:
            raise InputInvalid("read block", field="slot", expected=request.slot, got=header.slot)
        if proposal.randao_reveal != request.randao_reveal:
            raise InputInvalid("read block", field="randao_reveal", reason="not the one sent")
        return proposal


async def _get_block(exchange: Exchange, path: str, query: tuple[tuple[str, str], ...]) -> Answer:
    call = Call(
        method="GET",
        path=path,
        timeout_s=exchange.timeouts.production_s,
        query=query,
        headers={"Accept": SSZ_PREFERRED},
        size_max=BLOCK_SIZE_MAX,
    )
    return await exchange.send(call)


def _parse_proposal(answer: Answer, *, preset: str) -> Proposal:
    if answer.is_ssz:
        fork = parse_fork(answer.headers.get(VERSION_HEADER), what=VERSION_HEADER)
        blinded = _parse_blinded(answer.headers.get(BLINDED_HEADER, "false"))
        return Proposal.from_ssz(fork, blinded, answer.body, preset=preset)
    value = answer.json()
    fork = parse_fork(member(value, "version", what="answer"), what="version")
    blinded = value.get("execution_payload_blinded", False)
    if not isinstance(blinded, bool):
        raise InputInvalid("read block", field="execution_payload_blinded")
    data = member(value, "data", what="answer")
    return Proposal.from_json(fork, blinded, data, preset=preset)


def _valued(proposal: Proposal, answer: Answer) -> Proposal:
    """With what the node says that the block is worth; a value that is none is left out."""
    value = {} if answer.is_ssz else answer.json()
    execution, consensus = (
        _wei(answer.headers.get(header, value.get(name)))
        for header, name in (
            (EXECUTION_VALUE_HEADER, "execution_payload_value"),
            (CONSENSUS_VALUE_HEADER, "consensus_block_value"),
        )
    )
    return replace(proposal, execution_value_wei=execution, consensus_value_wei=consensus)


def _wei(text: object) -> int | None:
    is_number = isinstance(text, str) and text.isascii() and text.isdigit()
    return (
        int(text) if isinstance(text, str) and is_number and len(text) <= WEI_LENGTH_MAX else None
    )


def _parse_blinded(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise InputInvalid("read block", field=BLINDED_HEADER, got=text[:32])
    return text.lower() == "true"


async def publish_block(exchange: Exchange, signed: SignedProposal) -> None:
    """Publish a signed block: version 2, or 1 without it; SSZ, or JSON where SSZ is refused."""
    name = "blinded_blocks" if signed.blinded else "blocks"
    try:
        await _publish(exchange, f"/eth/v2/beacon/{name}", signed)
    except BeaconNodeRefused as refusal:
        if refusal.status not in GONE:
            raise
        await _publish(exchange, f"/eth/v1/beacon/{name}", signed)


async def _publish(exchange: Exchange, path: str, signed: SignedProposal) -> None:
    try:
        await exchange.send(_publication(exchange, path, SSZ, signed))
    except BeaconNodeRefused as refusal:
        if refusal.status != 415:
            raise
        await exchange.send(_publication(exchange, path, JSON, signed))


def _publication(exchange: Exchange, path: str, content_type: str, signed: SignedProposal) -> Call:
    body = signed.ssz if content_type == SSZ else encode_json(signed.to_json())
    return Call(
        method="POST",
        path=path,
        timeout_s=exchange.timeouts.submit_s,
        headers={"Content-Type": content_type, VERSION_HEADER: signed.fork.value},
        body=body,
    )
