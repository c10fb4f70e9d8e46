"""Who may ask: bearer token and TLS, over real sockets, and files that cannot be used."""

import asyncio
import io
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from tests.validator_api.world import FixedClock, World, run_world

from tetrarch.config import ValidatorApiConfig
from tetrarch.crypto.tls_identity import make_tls_identity
from tetrarch.entropy import system_entropy
from tetrarch.observability.logs import build_log
from tetrarch.validator_api.access import Access, AccessFileInvalid, load_access
from tetrarch.validator_api.api import Limits
from tetrarch.validator_api.server import ValidatorApiServer

TOKEN = "a-token-of-some-length"
VERSION = "/eth/v1/node/version"


@asynccontextmanager
async def serving(
    world: World, access: Access, *, host: str = "127.0.0.1", log: io.StringIO | None = None
) -> AsyncIterator[str]:
    """Another listener on the world's API; yields host and port."""
    text = log or io.StringIO()
    lines = build_log(text, clock=FixedClock())
    server = ValidatorApiServer(world.api, host=host, port=0, log=lines, access=access)
    task = asyncio.create_task(server.run())
    try:
        await server.listening.wait()
        yield f"127.0.0.1:{server.bound_port}"
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer   {TOKEN}  ", 200),
        ("", 401),
        (TOKEN, 401),
        ("Bearer", 401),
        (f"Bearer {TOKEN}x", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        (f"Basic {TOKEN}", 401),
        ("Bearer \N{SNOWMAN}", 401),
    ],
)
@pytest.mark.parametrize("path", [VERSION, "/eth/v1/beacon/genesis", "/eth/v1/events?topics=head"])
def test_only_the_token_opens_the_api(path: str, authorization: str, status: int) -> None:
    async def scenario(world: World) -> None:
        headers = {"Authorization": authorization} if authorization else {}
        async with (
            serving(world, Access(token=TOKEN)) as address,
            world.session.get(f"http://{address}{path}", headers=headers) as response,
        ):
            if status == 401:
                assert response.status == 401
                assert response.headers["WWW-Authenticate"] == "Bearer"
                assert (await response.json())["code"] == 401
                assert world.node.paths() == []
            else:
                assert response.status != 401
        # Whatever was sent on had no token in it.
        assert all("Authorization" not in seen.headers for seen in world.node.seen)

    run_world(scenario)


@pytest.mark.parametrize(("token", "authentication"), [(TOKEN, "token"), (None, "none")])
def test_listener_says_what_is_asked_of_clients(token: str | None, authentication: str) -> None:
    async def scenario(world: World) -> None:
        text = io.StringIO()
        async with serving(world, Access(token=token), log=text):
            (line,) = (
                each for each in text.getvalue().splitlines() if "validator_api_listening" in each
            )
        assert f"authentication={authentication}" in line
        assert "redacted" not in line
        assert TOKEN not in line

    run_world(scenario)


def test_a_stranger_cannot_make_the_node_read_a_body() -> None:
    async def scenario(world: World) -> None:
        async with serving(world, Access(token=TOKEN)) as address:
            host, port = address.split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            line = (
                "POST /eth/v2/beacon/blocks HTTP/1.1\r\nHost: x\r\nContent-Length: 60000000\r\n\r\n"
            )
            writer.write(line.encode())
            assert b" 401 " in await reader.readline()
            writer.close()
            await writer.wait_closed()

    run_world(scenario)


def test_slow_body_is_not_waited_for_longer_than_a_request_may_take() -> None:
    async def scenario(world: World) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.server.bound_port)
        path = "/eth/v1/beacon/pool/sync_committees"
        line = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n["
        writer.write(line.encode())
        assert b" 408 " in await reader.readline()
        writer.close()
        await writer.wait_closed()

    run_world(scenario, limits=Limits(request_s=0.2))


def tls_files(folder: Path) -> ValidatorApiConfig:
    identity = make_tls_identity(b"\x02" * 33, entropy=system_entropy)
    (folder / "api.crt").write_bytes(identity.certificate_pem)
    (folder / "api.key").write_bytes(identity.private_key_pem)
    (folder / "token").write_text(TOKEN + "\n")
    return ValidatorApiConfig(
        token_file="token", tls_certificate_file="api.crt", tls_private_key_file="api.key"
    )


def test_tls_with_the_operators_certificate(tmp_path: Path) -> None:
    access = load_access(tmp_path, tls_files(tmp_path))
    trusting = ssl.create_default_context(cafile=str(tmp_path / "api.crt"))
    trusting.check_hostname = False  # pinned: it is the only certificate that is trusted

    async def scenario(world: World) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with serving(world, access) as address:
            url = f"https://{address}{VERSION}"
            async with world.session.get(url, headers=headers, ssl=trusting) as response:
                assert response.status == 200
            with pytest.raises(aiohttp.ClientError):  # not a certificate that others trust
                await world.session.get(url, headers=headers)
            with pytest.raises(aiohttp.ClientError):  # and no plain HTTP beside it
                await world.session.get(f"http://{address}{VERSION}", headers=headers)

    run_world(scenario)


def test_by_default_nothing_is_asked_for(tmp_path: Path) -> None:
    assert load_access(tmp_path, ValidatorApiConfig()) == Access()


def test_open_to_the_network_without_a_token_is_warned_of() -> None:
    async def scenario(world: World) -> None:
        for host, access, warned in (
            ("0.0.0.0", Access(), True),
            ("0.0.0.0", Access(token=TOKEN), False),
            ("127.0.0.1", Access(), False),
            ("localhost", Access(), False),
        ):
            text = io.StringIO()
            async with serving(world, access, host=host, log=text):
                pass
            assert ("validator_api_open_to_network" in text.getvalue()) is warned, host
            assert TOKEN not in text.getvalue()

    run_world(scenario)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        (b"", "16 to 1024"),
        (b"short", "16 to 1024"),
        (b"x" * 1025, "16 to 1024"),
        (b"two words of a token", "no spaces"),
        (b"\xff" * 32, "printable"),
    ],
)
def test_token_that_is_none_is_refused_at_start(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(AccessFileInvalid, match=reason) as raised:
        load_access(tmp_path, ValidatorApiConfig(token_file="token"))
    assert "short" not in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tls_private_key_file": ""}, "need each other"),
        ({"tls_certificate_file": ""}, "need each other"),
        ({"tls_certificate_file": "nowhere"}, "no such file"),
        ({"tls_certificate_file": "token"}, "read certificate"),
        ({"tls_private_key_file": "api.crt"}, "read certificate"),
    ],
)
def test_certificate_that_is_none_is_refused_at_start(
    tmp_path: Path, changes: dict[str, str], reason: str
) -> None:
    files = tls_files(tmp_path)
    names = ("token_file", "tls_certificate_file", "tls_private_key_file")
    settings = {name: getattr(files, name) for name in names}
    with pytest.raises(AccessFileInvalid, match=reason):
        load_access(tmp_path, ValidatorApiConfig(**{**settings, **changes}))


def test_access_does_not_show_its_token() -> None:
    assert TOKEN not in repr(Access(token=TOKEN))
