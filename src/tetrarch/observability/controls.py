"""What may be changed over the monitoring listener: POST, JSON, and a token that the operator alone has.

A browser on the operator's machine can be led here by any page that he opens. Such a page has no token;
and what it sends is refused before that is looked at, by the Host (a name that was bent to this
address), the Origin, or the content type (a form's).
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from tetrarch.decoding import UNDECODABLE
from tetrarch.errors import InputInvalid, TetrarchError
from tetrarch.observability.logs import Log

BODY_MAX_BYTES = 4096
BYTES_MAX = 1 << 16  # of a body that is bytes
BODY_WAIT_S = 10.0
_JSON = "application/json"
_BYTES = "application/octet-stream"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Control(Generic[T]):
    """One thing that may be done.

    ``asked`` is what its body decodes to, a ``msgspec.Struct`` that forbids unknown fields; all of it is
    logged. Or it is ``bytes``: the body as it is. ``act`` gives what is answered, as JSON; it raises
    InputInvalid for what cannot be done. Where the path has parts as in "leaders/{number}", these are
    what is asked, and there is no body.
    """

    asked: type[T]
    act: Callable[[T], Awaitable[object]]
    method: str = "POST"

    def media_in(self, path: str) -> str | None:
        """What a request's content type has to be; None: it has no body."""
        if "{" in path:
            return None
        return _BYTES if self.asked is bytes else _JSON


class Controls:
    """Controls by their paths; each call needs ``token``."""

    def __init__(self, by_path: Mapping[str, Control[Any]], *, token: str, log: Log) -> None:
        self._by_path = dict(by_path)
        self._token = token
        self._log = log

    def add_to(self, app: web.Application) -> None:
        """Serve them. Bodies are bounded by the application's ``client_max_size``."""
        for path, control in self._by_path.items():
            app.router.add_route(control.method, f"/{path}", self._serve(path, control))

    def _serve(
        self, path: str, control: Control[Any]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def serve(request: web.Request) -> web.Response:
            log = self._log.bind(control=path, caller=str(request.remote))
            media = control.media_in(path)
            refused = refusal(request.headers, token=self._token, media=media)
            if refused is not None:
                log.warning("control_refused", status=refused[0], reason=refused[1])
                return _refused(*refused)
            try:
                asked: Any
                if media is None:
                    asked = msgspec.convert(dict(request.match_info), control.asked, strict=False)
                elif media == _BYTES:
                    asked = await _bytes(request)
                else:
                    asked = msgspec.json.decode(await _body(request), type=control.asked)
                told = await control.act(asked)
            except TimeoutError:
                return _refused(408, "the body did not come in time")
            except web.HTTPRequestEntityTooLarge:
                most = BYTES_MAX if media == _BYTES else BODY_MAX_BYTES
                return _refused(413, f"the body has more than {most} bytes")
            except (*UNDECODABLE, InputInvalid) as error:
                log.info("control_failed", reason=str(error))
                return _refused(400, str(error))
            except TetrarchError as error:  # the disk, mostly
                log.warning("control_failed", code=error.code, reason=str(error))
                return _refused(503, str(error))
            said = f"{len(asked)} bytes" if media == _BYTES else msgspec.to_builtins(asked)
            log.info("control_done", asked=said)
            return _answer(200, told)

        return serve


def refusal(
    headers: Mapping[str, str], *, token: str, media: str | None = _JSON
) -> tuple[int, str] | None:
    """Status and reason; None where the request may change something. ``media``: what its body is; None: it has none."""
    host = headers.get("Host", "")
    if not _is_number_or_own(host):
        return 403, "the Host must be an IP address or localhost"
    if headers.get("Origin", f"http://{host}").lower() != f"http://{host}".lower():
        return 403, "it comes from another origin"
    told = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media is not None and told != media:
        return 415, f"the content type must be {media}"
    scheme, _, given = headers.get("Authorization", "").partition(" ")
    # Header bytes that are no text arrive as surrogates.
    given_bytes = given.strip().encode(errors="surrogateescape")
    is_right = hmac.compare_digest(given_bytes, token.encode())
    if not is_right or scheme.lower() != "bearer":
        return 401, "the token of the node's folder is needed: Authorization: Bearer TOKEN"
    return None


def _is_number_or_own(host: str) -> bool:
    """Whoever bends a name to this address has that name in his requests."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name != "localhost":
            ip_address(name)
    except ValueError:
        return False
    return True


async def _body(request: web.Request) -> bytes:
    async with asyncio.timeout(BODY_WAIT_S):
        return await request.read()


async def _bytes(request: web.Request) -> bytes:
    async with asyncio.timeout(BODY_WAIT_S):
        try:
            body = await request.content.readexactly(BYTES_MAX + 1)
        except asyncio.IncompleteReadError as ended:
            return ended.partial
    raise web.HTTPRequestEntityTooLarge(max_size=BYTES_MAX, actual_size=len(body))


def _refused(status: int, message: str) -> web.Response:
    response = _answer(status, {"code": status, "message": message[:1_000]})
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    response.force_close()  # what is left of its body is not read
    return response


def _answer(status: int, told: object) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(told), content_type=_JSON)
