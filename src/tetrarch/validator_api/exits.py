"""Voluntary exits in: one object, signed by our share. The group exits once enough nodes ask."""

from tetrarch.duties.types import Duty, DutyType, ExitPayload
from tetrarch.ethereum.spec.messages import SignedVoluntaryExit
from tetrarch.validator_api.api import ValidatorApi
from tetrarch.validator_api.messages import ApiAnswer, ApiError, ApiRequest, bad_request
from tetrarch.validator_api.negotiation import SSZ
from tetrarch.validator_api.submissions import Refused, Submission, require_open, store_one


async def submit(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """POST pool/voluntary_exits."""
    with bad_request():
        if request.body_type() == SSZ:
            signed = SignedVoluntaryExit.from_ssz(request.body)
        else:
            signed = SignedVoluntaryExit.from_json(request.json())
    message = signed.message
    duty = Duty(api.ports.chain.first_slot(message.epoch), DutyType.EXIT)
    try:
        require_open(api, duty)
    except Refused as refused:
        raise ApiError(400, str(refused)) from None
    pubkey = api.ports.duties.pubkey_of(message.validator_index)
    if pubkey is None:
        raise ApiError(400, f"validator {message.validator_index} is not of this cluster")
    payload = ExitPayload(message=message)
    submission = Submission(duty=duty, pubkey=pubkey, payload=payload, signature=signed.signature)
    await store_one(api, submission, what="exit's signature")
    return ApiAnswer()
