"""Endpoints that speak of the node, and settings that the node makes itself."""

from tetrarch.validator_api.api import ValidatorApi
from tetrarch.validator_api.messages import ApiAnswer, ApiRequest, json_answer
from tetrarch.validator_api.negotiation import JSON


async def version(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """GET node/version: ours, so that a client's log says what it talks to."""
    request.accepts(JSON)
    return json_answer({"data": {"version": api.version}})


async def accepted(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """POST prepare_beacon_proposer: the cluster's files say fee recipients, not the client."""
    del api, request
    return ApiAnswer()
