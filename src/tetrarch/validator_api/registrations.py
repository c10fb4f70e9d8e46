"""Builder registrations in: read and let go. The cluster's own say where its blocks pay."""

from tetrarch.ethereum.spec.forks import spec_types
from tetrarch.ethereum.spec.messages import SignedValidatorRegistration
from tetrarch.ethereum.spec.values import Fork
from tetrarch.validator_api.api import ValidatorApi
from tetrarch.validator_api.messages import ApiAnswer, ApiError, ApiRequest
from tetrarch.validator_api.submissions import read_items, read_ssz_list


async def submit(api: ValidatorApi, request: ApiRequest) -> ApiAnswer:
    """POST register_validator: 200 for whatever is well formed.

    The beacon API knows no failures by item here, and says of registrations for unknown
    validators that they are filtered out: so are foreign keys, and our own for the reason above.
    """
    kind = spec_types(Fork.BELLATRIX, api.ports.chain.preset).SignedValidatorRegistration
    items = await read_items(
        api,
        request,
        from_json=SignedValidatorRegistration.from_json,
        from_ssz=lambda body: read_ssz_list(body, kind, SignedValidatorRegistration.from_ssz),
    )
    for failure in items.malformed:
        raise ApiError(400, f"item {failure.index}: {failure.message}")
    return ApiAnswer()
