"""Duties as the beacon node lists them, with this node's public shares in the keys' place."""

from tetrarch.ethereum.beacon_node.errors import BeaconNodeAnswerInvalid
from tetrarch.ethereum.spec.values import parse_uint64
from tetrarch.validator_api.api import ValidatorApi
from tetrarch.validator_api.beacon_answers import ask, to_share
from tetrarch.validator_api.messages import (
    ApiAnswer,
    ApiError,
    ApiRequest,
    bad_request,
    json_answer,
)
from tetrarch.validator_api.negotiation import JSON, SSZ

INDICES_MAX = 65_536
_INDEX_SIZE_BYTES = 8


async def attester(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """POST duties/attester."""
    target = f"/eth/v1/validator/duties/attester/{request.integer('epoch')}"
    return await _translate(api, request, "POST", target)


async def sync(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """POST duties/sync."""
    target = f"/eth/v1/validator/duties/sync/{request.integer('epoch')}"
    return await _translate(api, request, "POST", target)


async def proposer_v1(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """GET duties/proposer: all of the epoch, the cluster's under their shares."""
    target = f"/eth/v1/validator/duties/proposer/{request.integer('epoch')}"
    return await _translate(api, request, "GET", target)


async def proposer_v2(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """GET duties/proposer, version 2: another dependent root."""
    target = f"/eth/v2/validator/duties/proposer/{request.integer('epoch')}"
    return await _translate(api, request, "GET", target)


async def _translate(api: ValidatorApi, request: ApiRequest, method: str, target: str) -> ApiAnswer:
    request.accepts(JSON)
    indices = _indices(request) if method == "POST" else None
    answer = await ask(api, method, target, value=indices)
    if answer.value is None:
        return answer.refusal()
    data = answer.value["data"]
    if not isinstance(data, list):
        raise BeaconNodeAnswerInvalid("translate answer", path=target, field="data")
    for item in data:
        if not isinstance(item, dict):
            raise BeaconNodeAnswerInvalid("translate answer", path=target, field="data")
        item["pubkey"] = to_share(api, item.get("pubkey"), path=target)
    return json_answer(answer.value)


def _indices(request: ApiRequest) -> list[str]:
    """Validator indices in JSON (an array of integers) or SSZ (a list of uint64)."""
    if request.body_type() == SSZ:
        size = len(request.body)
        if size % _INDEX_SIZE_BYTES or size > INDICES_MAX * _INDEX_SIZE_BYTES:
            raise ApiError(400, "the body is no SSZ list of validator indices")
        steps = range(0, size, _INDEX_SIZE_BYTES)
        return [str(int.from_bytes(request.body[at : at + 8], "little")) for at in steps]
    value = request.json()
    if not isinstance(value, list) or len(value) > INDICES_MAX:
        raise ApiError(400, f"expected an array of at most {INDICES_MAX} validator indices")
    with bad_request():
        return [str(parse_uint64(item, what="validator index")) for item in value]
