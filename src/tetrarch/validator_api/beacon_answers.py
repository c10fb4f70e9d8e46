"""Questions that the beacon node answers and we translate: public shares in, root keys out.

The beacon chain knows validators by their root keys; the validator client knows itself by the
public keys of its shares. All else in an answer stays as the beacon node gave it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tetrarch.decoding import UNDECODABLE
from tetrarch.duties.types import PubKey
from tetrarch.ethereum.beacon_node.errors import BeaconNodeAnswerInvalid
from tetrarch.ethereum.beacon_node.ports import ProxyRequest
from tetrarch.validator_api.api import ValidatorApi
from tetrarch.validator_api.messages import ApiAnswer, ApiError
from tetrarch.validator_api.negotiation import JSON

PUBLIC_KEY_HEX_LENGTH = 2 + 96


@dataclass(frozen=True, slots=True, kw_only=True)
class BeaconAnswer:
    """A beacon node's JSON answer. ``value`` is None unless the status is 200."""

    status: int
    value: dict[str, Any] | None
    body: bytes

    def refusal(self) -> ApiAnswer:
        """The beacon node's own refusal, for the client."""
        return ApiAnswer(status=self.status, content_type=JSON, body=self.body)


async def ask(api: ValidatorApi, method: str, target: str, *, value: object = None) -> BeaconAnswer:
    """Ask the beacon node in JSON, with ``value`` as the body of a POST."""
    headers: Mapping[str, str] = {"Accept": JSON}
    body = b""
    if method == "POST":
        headers = {**headers, "Content-Type": JSON}
        body = msgspec.json.encode(value)
    request = ProxyRequest(method=method, path=target, headers=headers, body=body)
    path = target.partition("?")[0]
    parts: list[bytes] = []
    size = 0
    async with api.ports.beacon_node.proxy(request) as response:
        async for chunk in response.chunks():
            size += len(chunk)
            if size > api.limits.rewrite_size_max:
                raise BeaconNodeAnswerInvalid("translate answer", path=path, reason="too long")
            parts.append(chunk)
        answer = BeaconAnswer(status=response.status, value=None, body=b"".join(parts))
    if answer.status != 200:
        return answer
    try:
        decoded = msgspec.json.decode(answer.body)
    except UNDECODABLE:
        decoded = None
    if not isinstance(decoded, dict) or "data" not in decoded:
        raise BeaconNodeAnswerInvalid("translate answer", path=path, field="data")
    return BeaconAnswer(status=200, value=decoded, body=answer.body)


def to_root(api: ValidatorApi, text: str) -> str:
    """The root key of a public share, in hex; a validator's index or root key stays as it is.

    Raises:
        ApiError: 400, the key is no share of this node; says whose share it is.
    """
    if not text.startswith("0x"):
        return text
    key = _parse_key(text)
    root = api.ports.keys.root_of(key)
    if root is not None:
        return "0x" + root.hex()
    if api.ports.keys.share_of(PubKey(key)) is not None:
        return text
    owner = api.ports.keys.owner_of(key)
    own = api.ports.keys.share_index
    if owner is not None:
        raise ApiError(
            400,
            f"key share {text} is operator {owner}'s, this node is operator {own}'s: the validator"
            f" client holds the keystores of another node",
        )
    raise ApiError(400, f"key {text} is no key share of this cluster")


def to_share(api: ValidatorApi, text: object, *, path: str) -> str:
    """The public share of a root key, in hex; a foreign validator's key stays as it is."""
    try:
        key = _parse_key(text)
    except ApiError:
        raise BeaconNodeAnswerInvalid("translate answer", path=path, field="pubkey") from None
    share = api.ports.keys.share_of(PubKey(key))
    return "0x" + (key if share is None else share).hex()


def _parse_key(text: object) -> bytes:
    if isinstance(text, str) and len(text) == PUBLIC_KEY_HEX_LENGTH:
        try:
            return bytes.fromhex(text[2:])
        except ValueError:
            pass
    raise ApiError(400, f"{str(text)[:128]!r} is no public key: expected 0x and 96 hex digits")
