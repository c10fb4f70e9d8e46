"""The keymanager listener. Every call needs the bearer token."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from tetrarch.errors import InputInvalid, OperatorError, TetrarchError
from tetrarch.keymanager.keeper import KeyKeeper
from tetrarch.keymanager.messages import (
    KEYSTORES_PATH,
    REMOTE_KEYS_PATH,
    read_delete,
    read_import,
    read_pubkey,
)
from tetrarch.observability.logs import Log
from tetrarch.signer_api.server import Listen, refusal, serve

BODY_SIZE_MAX = 16 << 20
VALIDATOR_PATH = "/eth/v1/validator/{pubkey}/{setting}"
CLUSTER_DECIDES = "the cluster's files decide this, the same on all nodes; nothing was changed"
NO_REMOTE_KEYS = "this signer holds its keys itself; name remote signers in the node's settings"
EXIT_NEEDS_CLUSTER = "one share cannot sign an exit; the cluster's nodes make it together"
_SETTINGS = ("feerecipient", "gas_limit", "graffiti")


class KeymanagerServer:
    """Serves ``keeper`` until cancelled."""

    def __init__(self, keeper: KeyKeeper, *, listen: Listen, graffiti: str, log: Log) -> None:
        self.bound_port = listen.port  # the real one once listening, where it is 0
        self.listening = asyncio.Event()
        self._keeper = keeper
        self._listen = listen
        self._graffiti = graffiti
        self._log = log
        self._changing = asyncio.Lock()

    async def run(self) -> None:
        """Serve until cancelled.

        Raises:
            ListenFailed: the address cannot be bound.
        """
        app = web.Application(client_max_size=BODY_SIZE_MAX)
        app.router.add_get(KEYSTORES_PATH, self._guarded(self._list))
        app.router.add_post(KEYSTORES_PATH, self._guarded(self._import))
        app.router.add_delete(KEYSTORES_PATH, self._guarded(self._delete))
        app.router.add_route("*", REMOTE_KEYS_PATH, self._guarded(_no_remote_keys))
        app.router.add_route("*", VALIDATOR_PATH, self._guarded(self._setting))
        await serve(app, self._listen, self._on_listening)

    def _on_listening(self, port: int) -> None:
        self.bound_port = port
        scheme = "http" if self._listen.tls is None else "https"
        self._log.info("keymanager_listening", address=f"{scheme}://{self._listen.host}:{port}")
        self.listening.set()

    def _guarded(
        self, handler: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            refused = refusal(self._listen.guard, request)
            if refused is not None:
                return refused
            try:
                return await handler(request)
            except InputInvalid as error:
                return _error(400, str(error))
            except OperatorError as error:
                status = 500 if error.code == "enclave_gone" else 400
                return _error(status, str(error))
            except TetrarchError as error:
                return _error(503, str(error))
            finally:
                if request.method != "GET":
                    self._log.info("keymanager_called", method=request.method, path=request.path)

        return answer

    async def _list(self, _request: web.Request) -> web.Response:
        entries = [
            {"validating_pubkey": "0x" + share.hex(), "derivation_path": "", "readonly": False}
            for share in self._keeper.shares()
        ]
        return _json({"data": entries})

    async def _import(self, request: web.Request) -> web.Response:
        wanted = read_import(await request.read())
        async with self._changing:  # one caller at a time: else both could find a key missing
            outcomes = await self._keeper.add(wanted)
        return _json({"data": [each.to_json() for each in outcomes]})

    async def _delete(self, request: web.Request) -> web.Response:
        shares = read_delete(await request.read())
        async with self._changing:
            outcomes, document = await self._keeper.remove(shares)
        answer = {
            "data": [each.to_json() for each in outcomes],
            "slashing_protection": document.decode(),
        }
        return _json(answer)

    async def _setting(self, request: web.Request) -> web.Response:
        """What the cluster's files say of a validator; nobody can change it here."""
        setting = request.match_info["setting"]
        share = read_pubkey(request.match_info["pubkey"])
        validator = self._keeper.validator_of(share)
        if setting == "voluntary_exit":
            return _error(403, EXIT_NEEDS_CLUSTER)
        if setting not in _SETTINGS:
            return _error(404, "no such endpoint")
        if validator is None:
            return _error(404, "no such key here")
        if request.method != "GET":
            return _error(403, CLUSTER_DECIDES)
        values = {
            "feerecipient": {"ethaddress": "0x" + validator.fee_recipient.hex()},
            "gas_limit": {"gas_limit": str(validator.registration.gas_limit)},
            "graffiti": {"graffiti": self._graffiti},
        }
        return _json({"data": {"pubkey": "0x" + share.hex(), **values[setting]}})


async def _no_remote_keys(_request: web.Request) -> web.Response:
    return _error(403, NO_REMOTE_KEYS)


def _error(status: int, message: str) -> web.Response:
    return _json({"message": message}, status=status)


def _json(value: object, *, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(value), content_type="application/json"
    )
