"""One remote signer over HTTP: asks it, and sorts its answers by what they mean.

Guarantees: an answer is read up to a limit, redirects are not followed, credentials and tokens
appear in no error and no log. Nothing is believed here: ``signing`` verifies every signature.
"""

from dataclasses import dataclass
from typing import TypeAlias

import aiohttp
import msgspec
from yarl import URL

from tetrarch.decoding import UNDECODABLE
from tetrarch.errors import ConfigInvalid, InputInvalid
from tetrarch.ethereum.spec.values import member, parse_hex
from tetrarch.remote_signer.errors import RemoteSignerFailed
from tetrarch.remote_signer.requests import PUBLIC_KEYS_PATH, SIGN_PATH, UPCHECK_PATH

CONNECT_TIMEOUT_S = 1.0
ANSWER_SIZE_MAX = 4096
KEYS_SIZE_MAX = 8 << 20  # 80,000 keys
KEYS_TIMEOUT_S = 10.0
WORDS_MAX = 200


@dataclass(frozen=True, slots=True)
class Signature:
    """96 bytes that are said to be the share's signature."""

    signature: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """The signer's slashing protection says no: for good."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unfit:
    """The signer cannot do it now.

    ``final``: asking it the same again is of no use. ``key_unknown``: it is well, but has not got
    the key.
    """

    reason: str
    final: bool = False
    key_unknown: bool = False


Answer: TypeAlias = Signature | Refused | Unfit


class RemoteSigner:
    """Asks one signer over a session that it does not own."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, *, timeout_s: float, token: str | None
    ) -> None:
        """Give it what it asks with.

        Args:
            session: its connector has the TLS context.
            url: http(s)://host[:port][/prefix].
            timeout_s: for one signature, connecting included.
            token: a bearer token, if the signer wants one.

        Raises:
            ConfigInvalid: ``url`` has another form; the text itself is not repeated.
        """
        self._url = _parse(url)
        self.name = str(self._url).rstrip("/")  # without credentials: there can be none
        self._session = session
        self._timeout_s = timeout_s
        self._headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"

    async def sign(self, share: bytes, body: bytes) -> Answer:
        """Ask for the signature of ``body`` by the share with public key ``share``."""
        try:
            status, answer = await self._ask(
                "POST", f"{SIGN_PATH}0x{share.hex()}", body, ANSWER_SIZE_MAX, self._timeout_s
            )
        except RemoteSignerFailed as error:
            return Unfit(str(error.fields["reason"]))
        if status == 200:
            return _signature(answer)
        said = _words(answer)
        reason = f"status {status}" + (f": {said}" if said else "")
        if status == 412:
            return Refused(reason)
        if status == 404:
            return Unfit("key unknown to the signer", key_unknown=True)
        return Unfit(reason, final=status == 400)

    async def public_keys(self) -> frozenset[bytes]:
        """The public keys that the signer says it can sign with.

        Raises:
            RemoteSignerFailed: no answer, or not such a list.
        """
        status, _ = await self._ask("GET", UPCHECK_PATH, None, ANSWER_SIZE_MAX, KEYS_TIMEOUT_S)
        if status == 200:
            status, answer = await self._ask(
                "GET", PUBLIC_KEYS_PATH, None, KEYS_SIZE_MAX, KEYS_TIMEOUT_S
            )
            if status == 200:
                return self._keys(answer)
        raise self._failed(f"status {status}")

    def _keys(self, answer: bytes) -> frozenset[bytes]:
        try:
            listed = msgspec.json.decode(answer, type=list[str])
            return frozenset(parse_hex(_prefixed(key), size_bytes=48, what="key") for key in listed)
        except (*UNDECODABLE, InputInvalid):
            raise self._failed("its list of public keys is none") from None

    async def _ask(
        self, method: str, path: str, body: bytes | None, size_max: int, timeout_s: float
    ) -> tuple[int, bytes]:
        timeout = aiohttp.ClientTimeout(
            total=timeout_s, connect=None, sock_connect=min(CONNECT_TIMEOUT_S, timeout_s)
        )
        try:
            async with self._session.request(
                method,
                URL(self.name + path, encoded=True),
                data=body,
                headers=self._headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                return response.status, await _read(response, size_max)
        except TimeoutError:
            raise self._failed("no answer in time") from None
        except _TooLong:
            raise self._failed("its answer is too long") from None
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError) as error:
            raise self._failed(f"TLS: {_tls_reason(error)}") from None
        except (aiohttp.ClientError, OSError) as error:
            # The class only: the text may repeat the request with its headers.
            raise self._failed(type(error).__name__) from None

    def _failed(self, reason: str) -> RemoteSignerFailed:
        return RemoteSignerFailed("ask remote signer", signer=self.name, reason=reason)


class _TooLong(Exception):
    """More bytes than any answer has."""


async def _read(response: aiohttp.ClientResponse, size_max: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > size_max:
            raise _TooLong
        parts.append(chunk)
    return b"".join(parts)


def _signature(answer: bytes) -> Answer:
    """From JSON or from plain text, whichever the signer prefers."""
    try:
        text: object = answer.decode("ascii").strip()
        if answer.lstrip().startswith(b"{"):
            text = member(msgspec.json.decode(answer), "signature", what="answer")
        return Signature(parse_hex(text, size_bytes=96, what="signature"))
    except (*UNDECODABLE, InputInvalid):
        return Unfit("its answer is no signature")


def _words(answer: bytes) -> str:
    """What the signer says about a refusal, cut to a sane length."""
    text = answer.decode(errors="replace")
    try:
        value = msgspec.json.decode(answer)
    except UNDECODABLE:
        value = None
    if isinstance(value, dict):
        text = next((str(value[name]) for name in ("message", "error") if name in value), "")
    return "".join(c if c.isprintable() else " " for c in text)[:WORDS_MAX].strip()


def _tls_reason(error: aiohttp.ClientError) -> str:
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    return str(getattr(cause, "reason", None) or type(cause).__name__)


def _prefixed(key: str) -> str:
    return key if key.startswith("0x") else "0x" + key


def _parse(text: str) -> URL:
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    plain = not (url.query_string or url.fragment or url.user is not None)
    if url.scheme not in ("http", "https") or not url.host or not plain:
        raise ConfigInvalid(
            "read remote signer address",
            setting="remote_signer.urls",
            expected="http(s)://host[:port][/prefix], without credentials",
        )
    return url
