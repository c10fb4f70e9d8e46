"""Validators in a state, asked and answered by this node's public shares."""

from typing import Any
from urllib.parse import quote, urlencode

from tetrarch.ethereum.beacon_node.errors import BeaconNodeAnswerInvalid
from tetrarch.validator_api.api import ValidatorApi
from tetrarch.validator_api.beacon_answers import ask, to_root, to_share
from tetrarch.validator_api.messages import ApiAnswer, ApiError, ApiRequest, json_answer
from tetrarch.validator_api.negotiation import JSON

IDS_MAX = 65_536


async def list_by_get(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """GET states/{state_id}/validators?id=…&status=…"""
    request.accepts(JSON)
    query = [("id", to_root(api, each)) for each in request.many("id")]
    query += [("status", each) for each in request.many("status")]
    target = _path(request)
    if query:
        target += "?" + urlencode(query)
    answer = await ask(api, "GET", target)
    return answer.refusal() if answer.value is None else _list(api, answer.value, target)


async def list_by_post(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """POST states/{state_id}/validators, ids and statuses in the body."""
    request.accepts(JSON)
    if request.body_type() != JSON:
        raise ApiError(415, f"the body is read as {JSON} only")
    body = request.json() if request.body else {}
    if not isinstance(body, dict):
        raise ApiError(400, "expected an object with ids and statuses")
    ids = _strings(body, "ids")
    value = {**body, "ids": [to_root(api, each) for each in ids]}
    if "ids" not in body:
        del value["ids"]
    answer = await ask(api, "POST", _path(request), value=value)
    return answer.refusal() if answer.value is None else _list(api, answer.value, _path(request))


async def one(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """GET states/{state_id}/validators/{validator_id}."""
    request.accepts(JSON)
    target = f"{_path(request)}/{quote(to_root(api, request.parameters['validator_id']), safe='')}"
    answer = await ask(api, "GET", target)
    if answer.value is None:
        return answer.refusal()
    _rename(api, answer.value["data"], target)
    return json_answer(answer.value)


def _path(request: ApiRequest) -> str:
    state_id = quote(request.parameters["state_id"], safe="")
    return f"/eth/v1/beacon/states/{state_id}/validators"


def _strings(body: dict[str, Any], name: str) -> list[str]:
    values = body.get(name)
    if values is None:
        return []
    if not isinstance(values, list) or len(values) > IDS_MAX:
        raise ApiError(400, f"{name}: expected an array of at most {IDS_MAX} items")
    if not all(isinstance(value, str) for value in values):
        raise ApiError(400, f"{name}: expected strings")
    return values


def _list(api: ValidatorApi, value: dict[str, Any], path: str) -> ApiAnswer:
    if not isinstance(value["data"], list):
        raise BeaconNodeAnswerInvalid("translate answer", path=path, field="data")
    for item in value["data"]:
        _rename(api, item, path)
    return json_answer(value)


def _rename(api: ValidatorApi, item: object, path: str) -> None:
    inner = item.get("validator") if isinstance(item, dict) else None
    if not isinstance(inner, dict):
        raise BeaconNodeAnswerInvalid("translate answer", path=path, field="validator")
    inner["pubkey"] = to_share(api, inner.get("pubkey"), path=path)
