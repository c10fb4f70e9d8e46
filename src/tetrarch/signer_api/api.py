"""What the signer API answers: requests in, status and text out. No HTTP library in here.

The enclave computes every signing root and judges every request by its own history; a request's
own signing root is only compared. Keys are named by the public share, as other software knows
them, and have their root key inside.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from tetrarch.decoding import UNDECODABLE
from tetrarch.enclave.ports import Approved, Denied, Failed, SignRequest, SignResult
from tetrarch.enclave.rules import Reason
from tetrarch.errors import InputInvalid
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.values import parse_hex
from tetrarch.remote_signer.requests import Kind, KindUnsupported, parse

KIND_UNKNOWN = "UNKNOWN"

# What is no matter of slashing protection has another status than 412.
_STATUS = {
    Reason.KEY_UNKNOWN: 404,
    Reason.ANOTHER_VALIDATOR: 400,
    Reason.NOT_CONFIGURED: 503,
    Reason.TOO_FAR_AHEAD: 503,  # it may come due
}
SLASHING_STATUS = 412


class Keys(Protocol):
    """The shares that can sign now."""

    def root_of(self, share: bytes) -> bytes | None:
        """The root key of a public share that the enclave holds."""
        ...

    def shares(self) -> tuple[bytes, ...]:
        """Their public shares, ascending."""
        ...


class HeldKeys:
    """Keys that the enclave holds; the keymanager adds and removes some."""

    def __init__(self, roots: Mapping[bytes, bytes]) -> None:
        """``roots``: public share to root key."""
        self._roots = dict(roots)

    def root_of(self, share: bytes) -> bytes | None:
        """As ``Keys``."""
        return self._roots.get(share)

    def shares(self) -> tuple[bytes, ...]:
        """As ``Keys``."""
        return tuple(sorted(self._roots))

    def add(self, share: bytes, root: bytes) -> None:
        """The enclave has it now."""
        self._roots[share] = root

    def remove(self, share: bytes) -> None:
        """The enclave has it no longer."""
        self._roots.pop(share, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer: a signature, or why there is none."""

    status: int
    signature: bytes | None = None
    message: str = ""
    kind: str = KIND_UNKNOWN  # for the metrics


class SignerApi:
    """Answers signing requests through ``sign``, one at a time."""

    def __init__(
        self,
        *,
        sign: Callable[[SignRequest], Awaitable[SignResult]],
        keys: Keys,
        chain: ChainSpec,
    ) -> None:
        self._sign = sign
        self._keys = keys
        self._chain = chain

    def public_keys(self) -> list[str]:
        """The answer to ``publicKeys``."""
        return ["0x" + share.hex() for share in self._keys.shares()]

    async def sign(self, identifier: str, body: bytes) -> Reply:
        """Sign what ``body`` asks for with the share ``identifier``."""
        try:
            text = identifier if identifier.startswith("0x") else "0x" + identifier
            share = parse_hex(text, size_bytes=48, what="identifier")
            value = _decoded(body)
        except InputInvalid as error:
            return Reply(status=400, message=str(error))
        kind = _kind(value)
        root = self._keys.root_of(share)
        if root is None:
            return Reply(status=404, message="no such key here", kind=kind)
        try:
            request = parse(value, pubkey=root, chain=self._chain)
        except KindUnsupported as error:
            return Reply(status=400, message=str(error))
        except InputInvalid as error:
            return Reply(status=400, message=str(error), kind=kind)
        return _reply(await self._sign(request), kind)


def _reply(result: SignResult, kind: str) -> Reply:
    match result:
        case Approved(signature=signature):
            return Reply(status=200, signature=signature, kind=kind)
        case Denied(reason=reason):
            status = _STATUS.get(reason, SLASHING_STATUS)
            return Reply(status=status, message=reason.value, kind=kind)
        case Failed(reason=text):
            return Reply(status=503, message=text, kind=kind)


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except UNDECODABLE:
        raise InputInvalid("read request", reason="no JSON") from None


def _kind(value: object) -> str:
    """The type, if it is a known one: what a caller makes up gets no metric of its own."""
    named = value.get("type") if isinstance(value, dict) else None
    return named if isinstance(named, str) and named in set(Kind) else KIND_UNKNOWN
