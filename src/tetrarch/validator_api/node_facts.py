"""Endpoints that speak of the node, and settings that the node makes itself."""

from tetrarch.ssz.basic import bytes20, uint64
from tetrarch.ssz.container import Container
from tetrarch.ssz.sequence import List
from tetrarch.validator_api.api import ValidatorApi
from tetrarch.validator_api.messages import ApiAnswer, ApiError, ApiRequest, json_answer
from tetrarch.validator_api.negotiation import JSON
from tetrarch.validator_api.submissions import ITEMS_MAX, read_items

_PREPARATION = Container(
    "ProposerPreparation", {"validator_index": uint64, "fee_recipient": bytes20}
)


async def version(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """GET node/version: ours, so that a client's log says what it talks to."""
    request.accepts(JSON)
    return json_answer({"data": {"version": api.version}})


async def no_proposer_config(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """GET proposer_config: Teku and others poll it. No beacon node has it, and neither have we."""
    del api, request
    raise ApiError(404, "there is no proposer configuration: fee recipients are the cluster's")


async def prepare_proposer(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """POST prepare_beacon_proposer: read and let go, for fee recipients are the cluster's."""
    items = await read_items(
        api,
        request,
        from_json=_PREPARATION.from_json,
        from_ssz=List(_PREPARATION, ITEMS_MAX).decode,
    )
    for failure in items.malformed:
        raise ApiError(400, f"item {failure.index}: {failure.message}")
    return ApiAnswer()
