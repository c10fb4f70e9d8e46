"""Which validators a beacon node saw vote in an epoch: POST validator/liveness."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.beacon_node.errors import BeaconNodeAnswerInvalid, BeaconNodeUnreachable
from tetrarch.ethereum.beacon_node.ports import ProxyRequest, ProxyResponse
from tetrarch.ethereum.spec.values import parse_uint64

ANSWER_SIZE_MAX = 4 << 20
PATH = "/eth/v1/validator/liveness/{epoch}"


class PassesOn(Protocol):
    """A beacon node that is handed a request as it is."""

    def proxy(self, request: ProxyRequest) -> AbstractAsyncContextManager[ProxyResponse]:
        """See ``BeaconNode``."""
        ...


class _Item(msgspec.Struct):
    index: str
    is_live: bool


class _Answer(msgspec.Struct):
    data: list[_Item]


async def live_validators(
    beacon_node: PassesOn, epoch: int, indices: tuple[int, ...]
) -> frozenset[int]:
    """Those of ``indices`` that were seen to vote in ``epoch``, this one or the one before.

    Raises:
        BeaconNodeUnreachable: no beacon node answered; ask again.
        BeaconNodeAnswerInvalid: it says something else than was asked.
    """
    body = msgspec.json.encode([str(index) for index in indices])
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    path = PATH.format(epoch=epoch)
    request = ProxyRequest(method="POST", path=path, headers=headers, body=body)
    answer = b""
    async with beacon_node.proxy(request) as response:
        async for chunk in response.chunks():
            answer += chunk
            if len(answer) > ANSWER_SIZE_MAX:
                raise BeaconNodeAnswerInvalid("ask liveness", reason="larger than 4 MiB")
        if response.status != 200:
            raise BeaconNodeUnreachable("ask liveness", status=response.status)
    try:
        items = msgspec.json.decode(answer, type=_Answer).data
        found = {parse_uint64(item.index, what="index"): item.is_live for item in items}
    except (msgspec.MsgspecError, InputInvalid) as error:
        raise BeaconNodeAnswerInvalid("ask liveness", reason=error) from error
    if not found.keys() >= set(indices):
        raise BeaconNodeAnswerInvalid("ask liveness", reason="not all that were asked for")
    return frozenset(index for index in indices if found[index])
