"""The signer API as other software meets it: statuses, forms of answers, who may call."""

import asyncio
import io
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from tests.duties.duty_world import CHAIN
from tests.remote_signer.signer_world import (
    SHARES,
    VALIDATORS,
    certificates,
    payloads_of,
    served_signer,
)

from tetrarch.crypto.bls import verify
from tetrarch.duties.enclave_signing import request_of
from tetrarch.duties.plausible import signing_root
from tetrarch.duties.types import Payload, RandaoPayload
from tetrarch.enclave.ports import Approved, Failed, SignRandao
from tetrarch.errors import ConfigInvalid, InvariantBroken, Transient
from tetrarch.ethereum.spec.values import Fork
from tetrarch.remote_signer.access import TlsFiles, client_context, read_token, server_context
from tetrarch.remote_signer.errors import TlsFileUnusable, TokenFileUnusable
from tetrarch.remote_signer.requests import body_of
from tetrarch.signer_api.batches import WAITING_MAX, Batches
from tetrarch.signer_api.guard import Guard, check_listener

PUBKEY = VALIDATORS.pubkeys[0]
SHARE = "0x" + SHARES[PUBKEY].hex()
VOTE, BLOCK, REVEAL = payloads_of(Fork.ELECTRA)[:3]
SIGN = f"/api/v1/eth2/sign/{SHARE}"


def value(payload: Payload, **changes: Any) -> dict[str, Any]:
    return body_of(request_of(PUBKEY, payload), CHAIN).value | changes


async def post(url: str, body: Any, **options: Any) -> tuple[int, str]:
    data = body if isinstance(body, bytes | io.BytesIO) else msgspec.json.encode(body)
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=data, **options) as answer,
    ):
        return answer.status, await answer.text()


async def get(url: str, **options: Any) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url, **options) as answer:
        return answer.status, await answer.text()


def test_answers_are_json_or_text_as_the_caller_likes() -> None:
    async def main() -> None:
        async with served_signer() as signer:
            url = signer.url + SIGN
            status, text = await post(url, value(VOTE), headers={"Accept": "text/plain"})
            assert status == 200
            assert verify(SHARES[PUBKEY], signing_root(VOTE, CHAIN), bytes.fromhex(text[2:]))
            answer = ""
            for accept in ("*/*", "application/json", "text/plain, application/json", ""):
                status, answer = await post(url, value(VOTE), headers={"Accept": accept})
                assert (status, msgspec.json.decode(answer)) == (200, {"signature": text})
            bare = f"{signer.url}/api/v1/eth2/sign/{SHARE[2:]}"
            assert await post(bare, value(VOTE)) == (200, answer), "a key without its prefix"

    asyncio.run(main())


def test_lists_keys_and_health() -> None:
    async def main() -> None:
        async with served_signer() as signer:
            status, text = await get(signer.url + "/api/v1/eth2/publicKeys")
            listed = msgspec.json.decode(text)
            assert (status, listed) == (200, sorted("0x" + s.hex() for s in SHARES.values()))
            assert await get(signer.url + "/upcheck") == (200, "OK")
            status, text = await get(signer.url + "/healthcheck")
            assert (status, msgspec.json.decode(text)["outcome"]) == (200, "UP")

    asyncio.run(main())


def test_slashable_wishes_are_refused_with_412_and_the_reason() -> None:
    async def main() -> None:
        async with served_signer() as signer:
            url = signer.url + SIGN
            assert (await post(url, value(BLOCK)))[0] == 200
            other = value(BLOCK)
            header = other["beacon_block"]["block_header"] | {"state_root": "0x" + "22" * 32}
            other["beacon_block"] = other["beacon_block"] | {"block_header": header}
            del other["signingRoot"]
            status, text = await post(url, other)
            assert (status, msgspec.json.decode(text)) == (412, {"message": "double_block"})
            assert signer.meter.answers == [("BLOCK_V2", 200), ("BLOCK_V2", 412)]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "no JSON"),
        (b"[" * 100_000, 400, "no JSON"),
        ({}, 400, "type"),
        ({"type": ["x"]}, 400, "signing_type_unsupported"),
        ({"type": "DEPOSIT", "deposit": {}}, 400, "signing_type_unsupported"),
        (value(VOTE, signingRoot="0x" + "11" * 32), 400, "signing_root_differs"),
        (value(VOTE, signingRoot="0x11"), 400, "signingRoot"),
        (value(VOTE, attestation={}), 400, "field=data."),
        (value(RandaoPayload(epoch=999)), 503, "too_far_ahead"),
        (value(RandaoPayload(epoch=1), randao_reveal={"epoch": str(2**64)}), 400, "64 bits"),
        (
            value(payloads_of(Fork.ELECTRA, VALIDATORS.pubkeys[1])[9]),
            400,
            "another_validator",
        ),
    ],
)
def test_what_cannot_be_signed_has_a_status_that_tells(body: Any, status: int, words: str) -> None:
    async def main() -> None:
        async with served_signer() as signer:
            got, text = await post(signer.url + SIGN, body)
            assert (got, words in text) == (status, True), text
            assert signer.log.find("signing_denied") == []

    asyncio.run(main())


@pytest.mark.parametrize(
    ("key", "status"),
    [("0x" + "ab" * 48, 404), (SHARES[VALIDATORS.pubkeys[1]].hex()[:-2], 400), ("zz" * 48, 400)],
)
def test_foreign_keys_are_unknown_and_others_bad(key: str, status: int) -> None:
    async def main() -> None:
        async with served_signer() as signer:
            url = f"{signer.url}/api/v1/eth2/sign/{key}"
            assert (await post(url, value(VOTE)))[0] == status

    asyncio.run(main())


def test_bodies_are_bounded() -> None:
    async def main() -> None:
        async with served_signer() as signer:
            assert (await post(signer.url + SIGN, io.BytesIO(b" " * (3 << 20))))[0] == 413

    asyncio.run(main())


def test_only_who_has_the_token_may_ask() -> None:
    token = "secret-" * 5

    async def main() -> None:
        async with served_signer(guard=Guard(token=token)) as signer:
            url = signer.url + SIGN
            for given in ("", "Bearer", "Bearer nonsense", f"Basic {token}", f"Bearer {token}x"):
                status, _ = await post(url, value(VOTE), headers={"Authorization": given})
                assert status == 401, given
            assert (await get(signer.url + "/api/v1/eth2/publicKeys"))[0] == 401
            assert (await get(signer.url + "/upcheck"))[0] == 200
            right = {"Authorization": f"Bearer {token}"}
            assert (await post(url, value(VOTE), headers=right))[0] == 200
            assert token not in repr(signer.server._listen)

    asyncio.run(main())


def test_header_that_is_no_text_is_no_token() -> None:
    guard = Guard(token="t" * 32)
    for header in (b"Bearer \xff\xfe", b"\xff", b"Bearer " + b"t" * 31 + b"\xff"):
        assert not guard.permits(header.decode(errors="surrogateescape"))
    assert guard.permits("bearer " + "t" * 32)


def test_only_named_hosts_are_answered() -> None:
    async def main() -> None:
        async with served_signer(guard=Guard(allowed_hosts=("signer.example",))) as signer:
            url = signer.url + SIGN
            assert (await post(url, value(VOTE)))[0] == 403
            named = {"Host": "Signer.Example:9000"}
            assert (await post(url, value(VOTE), headers=named))[0] == 200

    asyncio.run(main())


def test_callers_need_a_certificate_where_one_is_asked_for(tmp_path: Path) -> None:
    files = certificates(tmp_path)

    async def main() -> None:
        async with served_signer(tls=files["server"]) as signer:
            url = signer.url + SIGN
            without = client_context(TlsFiles(ca=files["client"].ca))
            with pytest.raises(aiohttp.ClientError):
                await post(url, value(VOTE), ssl=without)
            assert (await post(url, value(VOTE), ssl=client_context(files["client"])))[0] == 200

    asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "guarded", "encrypted", "allowed"),
    [
        ("127.0.0.1", False, False, True),
        ("::1", False, False, True),
        ("localhost", False, False, True),
        ("0.0.0.0", False, True, False),
        ("10.0.0.1", True, False, False),
        ("signer.example", False, False, False),
        ("0.0.0.0", True, True, True),
    ],
)
def test_no_listener_is_open_to_others_unguarded(
    host: str, guarded: bool, encrypted: bool, allowed: bool
) -> None:
    if allowed:
        check_listener("signer_api", host, guarded=guarded, encrypted=encrypted)
        return
    with pytest.raises(ConfigInvalid):
        check_listener("signer_api", host, guarded=guarded, encrypted=encrypted)


def test_files_that_cannot_be_used_are_named_and_never_shown(tmp_path: Path) -> None:
    files = certificates(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    foreign = certificates(other)
    mixed = TlsFiles(certificate=files["server"].certificate, key=foreign["server"].key)
    for make in (server_context, client_context):
        for bad in (mixed, TlsFiles(certificate=tmp_path / "none"), TlsFiles(key=mixed.key)):
            if make is server_context and bad.certificate is None:
                continue
            with pytest.raises(TlsFileUnusable):
                make(bad)
    with pytest.raises(TlsFileUnusable):
        server_context(TlsFiles(ca=files["server"].ca))
    assert server_context(TlsFiles()) is None
    token = tmp_path / "token"
    for content in (b"short", b"with space in the middle", b"\xff" * 32, b"x" * 2000):
        token.write_bytes(content)
        with pytest.raises(TokenFileUnusable) as caught:
            read_token(token)
        assert content.decode(errors="replace") not in str(caught.value)
    token.write_text("0123456789abcdef\n")
    assert read_token(token) == "0123456789abcdef"


class SlowEnclave:
    """Keeps each batch until it is let go."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.asked, self.go = asyncio.Event(), asyncio.Event()
        self.error: BaseException | None = None

    async def sign(self, requests: Any) -> Any:
        self.batches.append(len(requests))
        self.asked.set()
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return tuple(Approved(each.epoch.to_bytes(96, "big")) for each in requests)


def test_requests_that_come_while_the_enclave_works_go_together() -> None:
    async def main() -> None:
        enclave = SlowEnclave()
        batches = Batches(enclave)
        async with asyncio.TaskGroup() as tasks:
            worker = tasks.create_task(batches.run())
            first = tasks.create_task(batches.sign(SignRandao(PUBKEY, 0)))
            await enclave.asked.wait()
            rest = [tasks.create_task(batches.sign(SignRandao(PUBKEY, n))) for n in range(1, 40)]
            given_up = tasks.create_task(batches.sign(SignRandao(PUBKEY, 99)))
            await asyncio.sleep(0)
            given_up.cancel()
            enclave.go.set()
            answers = [await first, *[await each for each in rest]]
            assert answers == [Approved(n.to_bytes(96, "big")) for n in range(40)]
            assert enclave.batches == [1, 40]
            enclave.error = Transient("ask enclave")
            assert await batches.sign(SignRandao(PUBKEY, 1)) == Failed("transient")
            worker.cancel()

    asyncio.run(main())


def test_waiting_requests_are_bounded_and_a_broken_enclave_ends_the_worker() -> None:
    async def main() -> None:
        enclave = SlowEnclave()
        batches = Batches(enclave)
        async with asyncio.TaskGroup() as tasks:
            waiting = [
                tasks.create_task(batches.sign(SignRandao(PUBKEY, n))) for n in range(WAITING_MAX)
            ]
            await asyncio.sleep(0)
            assert isinstance(await batches.sign(SignRandao(PUBKEY, 1)), Failed)
            enclave.error = InvariantBroken("as told")
            enclave.go.set()
            with pytest.raises(InvariantBroken):
                await batches.run()
            for each in waiting:
                each.cancel()

    asyncio.run(main())
