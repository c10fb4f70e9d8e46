"""Uploading shares: to the keymanager of ``tetrarch signer``, and at a cluster's creation."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.keymanager.managed_world import Folders, folders, managed
from typer.testing import CliRunner

from tetrarch.cli.main import app
from tetrarch.cluster.files import CLUSTER_KEY_FOLDER, VALIDATOR_KEYS_FOLDER
from tetrarch.cluster.load import load_cluster
from tetrarch.crypto.keystore import decrypt_keystore
from tetrarch.errors import ConfigInvalid
from tetrarch.keymanager.client import Keymanager, KeymanagerFailed, check, upload

TOKEN = "t" * 32


@pytest.fixture
def world(tmp_path: Path) -> Folders:
    return folders(tmp_path)


def test_client_and_server_understand_each_other(world: Folders, tmp_path: Path) -> None:
    async def main() -> None:
        async with managed(world.signer) as signer:
            token_file = world.signer / "keymanager-token"
            keymanager = Keymanager.of(signer.url, token_file)
            assert signer.token not in repr(keymanager)
            assert await check(keymanager) == 0
            own = (tuple(world.keystore(0, n) for n in (0, 1)),)
            passwords = tuple(world.password(0, n) for n in (0, 1))
            assert await upload(keymanager, *own, passwords) == ("imported", "imported")
            assert await upload(keymanager, *own, passwords) == ("duplicate", "duplicate")
            assert await check(keymanager) == 2
            with pytest.raises(KeymanagerFailed) as foreign:
                await upload(keymanager, (world.keystore(1, 0),), (world.password(1, 0),))
            assert "share of node 1" in str(foreign.value)
            assert world.password(1, 0) not in str(foreign.value)
            wrong = tmp_path / "wrong"
            wrong.write_text("w" * 40)
            with pytest.raises(KeymanagerFailed, match="401"):
                await check(Keymanager.of(signer.url, wrong))
        with pytest.raises(KeymanagerFailed):
            await check(keymanager)

    asyncio.run(main())


@pytest.mark.parametrize(
    "url", ["", "ftp://a", "http://user:pw@127.0.0.1:1", "http://10.0.0.1:1", "https://h/?x=1"]
)
def test_addresses_that_would_show_keys_are_refused(tmp_path: Path, url: str) -> None:
    (tmp_path / "token").write_text(TOKEN)
    with pytest.raises(ConfigInvalid) as caught:
        Keymanager.of(url, tmp_path / "token")
    assert "pw@" not in str(caught.value)


class Taker:
    """A keymanager that takes any key, as validator clients do."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.taken: list[tuple[str, str]] = []
        self.refuses = refuses
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"message": "no"}, status=401)
        if request.method == "GET":
            return web.json_response({"data": []})
        if self.refuses:
            return web.json_response({"message": "full"}, status=500)
        body: Any = await request.json()
        self.taken += zip(body["keystores"], body["passwords"], strict=True)
        return web.json_response({"data": [{"status": "imported"}] * len(body["keystores"])})


@contextmanager
def taking(*takers: Taker) -> Iterator[None]:
    """Serve ``takers`` in a thread: the command has a loop of its own."""
    ready, over = threading.Event(), threading.Event()

    async def serve() -> None:
        runners = []
        for taker in takers:
            application = web.Application()
            application.router.add_route("*", "/eth/v1/keystores", taker.answer)
            runner = web.AppRunner(application)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            taker.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            runners.append(runner)
        ready.set()
        await asyncio.get_running_loop().run_in_executor(None, over.wait)
        for runner in runners:
            await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        ready.wait()
        yield
    finally:
        over.set()
        thread.join()


def create(folder: Path, token: Path, takers: list[Taker]) -> Any:
    options = [
        text
        for taker in takers
        for text in ("--keymanager-url", taker.url, "--keymanager-token-file", str(token))
    ]
    arguments = ["cluster", "create", str(folder), "--validators", "2", "--insecure-keystores"]
    return CliRunner().invoke(app, [*arguments, *options])


def test_created_shares_go_to_keymanagers_and_not_to_disk(tmp_path: Path) -> None:
    takers = [Taker() for _ in range(4)]
    token = tmp_path / "token"
    token.write_text(TOKEN)
    with taking(*takers):
        ended = create(tmp_path / "cluster", token, takers)
    assert ended.exit_code == 0, ended.output
    for index, taker in enumerate(takers):
        folder = tmp_path / "cluster" / f"node{index}"
        assert list((folder / VALIDATOR_KEYS_FOLDER).iterdir()) == []
        assert len(list((folder / CLUSTER_KEY_FOLDER).iterdir())) == 2
        cluster = load_cluster(folder)
        opened = [decrypt_keystore(json.loads(text), word).public_key for text, word in taker.taken]
        assert opened == [v.public_share(cluster.share_index) for v in cluster.validators]


def test_failed_upload_leaves_no_cluster_and_says_who_has_keys(tmp_path: Path) -> None:
    takers = [Taker(), Taker(), Taker(refuses=True), Taker()]
    token = tmp_path / "token"
    token.write_text(TOKEN)
    with taking(*takers):
        ended = create(tmp_path / "cluster", token, takers)
    assert ended.exit_code == 69
    assert "full" in ended.stderr
    assert f"also_delete_at={takers[0].url},{takers[1].url}" in ended.stderr
    assert not (tmp_path / "cluster").exists()


def test_keymanagers_are_asked_before_anything_is_made(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("another-token-than-theirs")
    takers = [Taker() for _ in range(4)]
    with taking(*takers):
        assert create(tmp_path / "one", token, takers).exit_code == 69
        assert create(tmp_path / "two", token, takers[:3]).exit_code == 78
        assert create(tmp_path / "three", token, takers[:1] * 4).exit_code == 78
    assert [taker.taken for taker in takers] == [[]] * 4
    assert not any((tmp_path / name).exists() for name in ("one", "two", "three"))


def test_stopped_nodes_shares_and_history_are_handed_over(world: Folders) -> None:
    """A node that signed; its keys go to a signer, which knows what was signed."""
    node = world.cluster / "node0"

    async def sign(signer: Any, *, head: bytes) -> Any:
        from tests.enclave.enclave_world import vote

        return await signer.enclave.sign((vote(signer.root(0), 3, 4, head=head),))

    async def before() -> None:
        (node / "database").mkdir()
        async with managed(node) as own:
            (result,) = await sign(own, head=b"a" * 32)
            assert type(result).__name__ == "Approved"

    asyncio.run(before())
    ready, over = threading.Event(), threading.Event()
    urls: list[str] = []
    after: list[Any] = []

    async def serve() -> None:
        async with managed(world.signer) as signer:
            urls.append(signer.url)
            ready.set()
            await asyncio.get_running_loop().run_in_executor(None, over.wait)
            after.extend(await sign(signer, head=b"b" * 32))
            after.extend(await sign(signer, head=b"a" * 32))

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        ready.wait()
        token = str(world.signer / "keymanager-token")
        options = ["--keymanager-url", urls[0], "--keymanager-token-file", token, "--remove"]
        ended = CliRunner().invoke(app, ["cluster", "upload-shares", str(node), *options, "--json"])
        assert ended.exit_code == 0, ended.output
        told = json.loads(ended.stdout)
        assert told["statuses"] == ["imported"] * len(told["statuses"])
        assert told["history"]
    finally:
        over.set()
        thread.join()
    assert [type(each).__name__ for each in after] == ["Denied", "Approved"]
    assert list((node / VALIDATOR_KEYS_FOLDER).iterdir()) == []
