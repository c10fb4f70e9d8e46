"""Uploads share keystores to somebody's keymanager: a validator client, or ``tetrarch signer``."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from tetrarch.decoding import UNDECODABLE
from tetrarch.errors import ConfigInvalid, OperatorError
from tetrarch.keymanager.messages import KEYSTORES_PATH, Status
from tetrarch.remote_signer.access import TlsFiles, client_context, read_token

CHECK_TIMEOUT_S = 10.0
UPLOAD_TIMEOUT_S = 900.0  # each keystore may cost the other side a second
ANSWER_SIZE_MAX = 16 << 20
UPLOADED_AT_ONCE = 50
WORDS_MAX = 300


class KeymanagerFailed(OperatorError):
    """A keymanager cannot be reached, refuses the token, or did not take every key."""

    code = "keymanager_failed"
    exit_code = 69  # sysexits.h EX_UNAVAILABLE
    mend = "check its address, token and log; keys that it took are named by it under /eth/v1/keystores"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keymanager:
    """Where one keymanager is, and the token that it wants."""

    url: str
    token: str = field(repr=False)
    ca_file: Path | None = None

    @classmethod
    def of(cls, url: str, token_file: Path, *, ca_file: Path | None = None) -> "Keymanager":
        """From the command line.

        Raises:
            ConfigInvalid: ``url`` is no http(s) address, or is unencrypted to another machine.
            TokenFileUnusable: names the file.
        """
        try:
            parsed = URL(url)
        except ValueError:
            parsed = URL()
        wrong = parsed.query_string or parsed.fragment or parsed.user is not None
        if parsed.scheme not in ("http", "https") or not parsed.host or wrong:
            raise ConfigInvalid(
                "read keymanager address", expected="http(s)://host[:port], without credentials"
            )
        if parsed.scheme == "http" and parsed.host not in ("localhost", "127.0.0.1", "::1"):
            raise ConfigInvalid(
                "read keymanager address",
                got=str(parsed),
                reason="keys and passwords go to another machine over https only",
            )
        return cls(url=str(parsed).rstrip("/"), token=read_token(token_file), ca_file=ca_file)


async def check(keymanager: Keymanager) -> int:
    """Ask for the list of keys, before anything is made; returns how many there are.

    Raises:
        KeymanagerFailed: says why.
    """
    answer = await _ask(keymanager, "GET", None, timeout_s=CHECK_TIMEOUT_S)
    data = answer.get("data")
    if not isinstance(data, list):
        raise _failed(keymanager, reason="its answer is no list of keys")
    return len(data)


async def upload(
    keymanager: Keymanager,
    keystores: tuple[str, ...],
    passwords: tuple[str, ...],
    *,
    slashing_protection: str | None = None,
) -> tuple[str, ...]:
    """Give it keystores with their passwords; the status of each, imported or duplicate.

    Raises:
        KeymanagerFailed: it cannot be reached, or did not take one of them.
    """
    statuses: list[str] = []
    for start in range(0, len(keystores), UPLOADED_AT_ONCE):
        body: dict[str, Any] = {
            "keystores": keystores[start : start + UPLOADED_AT_ONCE],
            "passwords": passwords[start : start + UPLOADED_AT_ONCE],
        }
        if slashing_protection is not None:
            body["slashing_protection"] = slashing_protection
        answer = await _ask(
            keymanager, "POST", msgspec.json.encode(body), timeout_s=UPLOAD_TIMEOUT_S
        )
        statuses += _statuses(keymanager, answer, expected=len(body["keystores"]), done=start)
    return tuple(statuses)


def _statuses(
    keymanager: Keymanager, answer: dict[str, Any], *, expected: int, done: int
) -> list[str]:
    data = answer.get("data")
    if not isinstance(data, list) or len(data) != expected:
        raise _failed(keymanager, reason="it does not tell what became of each key")
    statuses = []
    for place, entry in enumerate(data):
        status = entry.get("status") if isinstance(entry, dict) else None
        if status not in (Status.IMPORTED, Status.DUPLICATE):
            said = entry.get("message") if isinstance(entry, dict) else None
            raise _failed(keymanager, key=done + place, reason=_plain(str(said)))
        statuses.append(str(status))
    return statuses


async def _ask(
    keymanager: Keymanager, method: str, body: bytes | None, *, timeout_s: float
) -> dict[str, Any]:
    headers = {
        "Authorization": f"Bearer {keymanager.token}",
        "Content-Type": "application/json",
        "Accept": "application/json",
    }
    connector = aiohttp.TCPConnector(ssl=client_context(TlsFiles(ca=keymanager.ca_file)))
    timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CHECK_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.request(
                method,
                URL(keymanager.url + KEYSTORES_PATH, encoded=True),
                data=body,
                headers=headers,
                allow_redirects=False,
            ) as response,
        ):
            text = b""
            async for chunk in response.content.iter_any():
                text += chunk
                if len(text) > ANSWER_SIZE_MAX:
                    raise _failed(keymanager, reason="its answer is too long")
            status = response.status
    except TimeoutError:
        raise _failed(keymanager, reason="no answer in time") from None
    except (aiohttp.ClientError, OSError) as error:
        # The class only: the text may repeat the request.
        raise _failed(keymanager, reason=type(error).__name__) from None
    if status != 200:
        raise _failed(keymanager, status=status, reason=_plain(text.decode(errors="replace")))
    try:
        value = msgspec.json.decode(text)
    except UNDECODABLE:
        value = None
    if not isinstance(value, dict):
        raise _failed(keymanager, reason="its answer is no JSON object")
    return value


def _failed(keymanager: Keymanager, **fields: object) -> KeymanagerFailed:
    return KeymanagerFailed("ask keymanager", keymanager=keymanager.url, **fields)


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)[:WORDS_MAX].strip()
