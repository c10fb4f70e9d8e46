"""Goal: a node signs through remote signers as through its enclave, and believes none of them.

Method: real servers on loopback sockets with their own histories, the real client in front.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.duties.duty_world import CHAIN, attestation_data
from tests.remote_signer.signer_world import (
    FORKS,
    SHARES,
    VALIDATORS,
    block_of,
    certificates,
    chain_for,
    client_of,
    payloads_of,
    served_signer,
)

from tetrarch.crypto.bls import verify
from tetrarch.duties.plausible import signing_root
from tetrarch.duties.signer import NotNow
from tetrarch.duties.types import AttestationPayload, ProposalPayload, RandaoPayload
from tetrarch.enclave.ports import Approved
from tetrarch.ethereum.spec.values import Fork
from tetrarch.remote_signer.access import TlsFiles
from tetrarch.remote_signer.errors import RemoteSharesMissing, RemoteSignerAway
from tetrarch.signer_api.guard import Guard

PUBKEY, OTHER = VALIDATORS.pubkeys
TOKEN = "t" * 32
VOTE = AttestationPayload(data=attestation_data(9))
RIVAL = AttestationPayload(data=attestation_data(9, head=b"r" * 32))


@asynccontextmanager
async def scripted(answer: Any, *, keys: Any = None) -> AsyncIterator[str]:
    """A signer that lists all our shares and answers every request with ``answer(request)``."""
    app = web.Application()

    async def listed(_: web.Request) -> web.Response:
        return web.json_response(["0x" + s.hex() for s in (keys or SHARES.values())])

    async def up(_: web.Request) -> web.Response:
        return web.Response(text="OK")

    app.router.add_get("/upcheck", up)
    app.router.add_get("/api/v1/eth2/publicKeys", listed)
    app.router.add_post("/api/v1/eth2/sign/{share}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def status(code: int, text: str = "") -> Any:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=code, text=text)

    return answer


@pytest.mark.parametrize("fork", FORKS)
def test_every_kind_of_duty_is_signed_over_mutual_tls(fork: Fork, tmp_path: Path) -> None:
    files, chain = certificates(tmp_path), chain_for(fork)

    async def main() -> None:
        async with (
            served_signer(chain, tls=files["server"], guard=Guard(token=TOKEN)) as signer,
            client_of(
                signer.url, chain=chain, fork=fork, tls=files["client"], token=TOKEN
            ) as client,
        ):
            payloads = payloads_of(fork)
            answers = await client.sign(*payloads)
            for payload, answer in zip(payloads, answers, strict=True):
                assert isinstance(answer, Approved), (payload, answer)
                assert verify(SHARES[PUBKEY], signing_root(payload, chain), answer.signature)
            assert await client.sign(*payloads) == answers, "repeats are signed alike"
            assert len(client.meter.answers) == len(payloads), "and not asked for again"

    asyncio.run(main())


def test_both_histories_hold_what_was_signed() -> None:
    async def main() -> None:
        async with served_signer() as signer, client_of(signer.url) as client:
            (first,) = await client.sign(VOTE)
            assert isinstance(first, Approved)
            assert (await signer.enclave.status()).votes_recorded == 1
            count = "SELECT count(*) FROM slashing_vote"
            assert (await client.storage.read(lambda c: c.execute(count).fetchone())) == (1,)
            asked = len(client.meter.answers)
            assert await client.sign(RIVAL) == ("denied: double_vote",)
            assert len(client.meter.answers) == asked, "what is denied here is asked of nobody"

    asyncio.run(main())


def test_refusal_of_the_signer_is_final_and_asked_of_no_other() -> None:
    """The signer knows of a vote that this node does not; the second signer knows of nothing."""

    async def main() -> None:
        async with served_signer() as first, served_signer() as second:
            async with client_of(first.url) as elsewhere:
                await elsewhere.sign(RIVAL)
            async with client_of(first.url, second.url) as client:
                (answer,) = await client.sign(VOTE)
                assert not isinstance(answer, NotNow)
                assert "412" in answer
                assert "double_vote" in answer
                assert second.meter.answers == []
            assert [line["reason"] for line in first.log.find("signing_denied")] == ["double_vote"]

    asyncio.run(main())


def test_repeat_asks_only_for_what_is_missing() -> None:
    """One slow answer among many must not have the signers do all the work again."""
    asked: list[str] = []

    async def main() -> None:
        async def once_in_trouble(request: web.Request) -> web.Response:
            share = request.match_info["share"]
            asked.append(share)
            if share == "0x" + SHARES[OTHER].hex() and len(asked) <= 2:
                return web.Response(status=500)
            pubkey = PUBKEY if share == "0x" + SHARES[PUBKEY].hex() else OTHER
            signature = VALIDATORS.shares[pubkey][1].sign(signing_root(VOTE, CHAIN))
            return web.Response(text="0x" + signature.hex())

        async with scripted(once_in_trouble) as url, client_of(url) as client:
            both = ((PUBKEY, VOTE), (OTHER, VOTE))
            first = await client.signing.sign(both)
            assert [type(answer) for answer in first] == [Approved, NotNow]
            second = await client.signing.sign(both)
            assert [type(answer) for answer in second] == [Approved, Approved]
            assert second[0] == first[0]
            assert sorted(asked[:2]) == sorted("0x" + s.hex() for s in SHARES.values())
            assert asked[2:] == ["0x" + SHARES[OTHER].hex()]

    asyncio.run(main())


def test_next_signer_is_asked_when_one_is_silent_and_for_the_same_bytes_only() -> None:
    async def main() -> None:
        over = asyncio.Event()

        async def silent(_: web.Request) -> web.Response:
            await over.wait()
            return web.Response()

        async with (
            scripted(silent) as hanging,
            served_signer() as good,
            client_of(hanging, good.url, timeout_s=0.3) as client,
        ):
            (answer,) = await client.sign(VOTE)
            assert isinstance(answer, Approved)
            assert client.log.find("remote_signer_down")[0]["signer"] == hanging
            assert await client.sign(RIVAL) == ("denied: double_vote",)
            await client.sign(RandaoPayload(epoch=1))
            asked = [name for name, *_ in client.meter.answers]
            assert asked == [hanging, good.url, good.url], "who failed lately is asked last"
            assert client.signers.trouble() is None
            over.set()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (status(500, "boom"), "status 500: boom"),
        (status(404), "key unknown"),
        (status(401), "status 401"),
        (status(200, "0x12"), "no signature"),
        (status(200, "x" * 5000), "too long"),
        (status(200, '{"signature": 7}'), "no signature"),
        (status(302), "status 302"),
    ],
)
def test_trouble_of_the_only_signer_may_pass(answer: Any, words: str) -> None:
    async def main() -> None:
        async with scripted(answer) as url, client_of(url) as client:
            (said,) = await client.sign(VOTE)
            assert isinstance(said, NotNow)
            assert words in said

    asyncio.run(main())


def test_bad_request_ends_unless_another_signer_can_do_it() -> None:
    async def main() -> None:
        async with scripted(status(400, "no such type")) as old, served_signer() as new:
            async with client_of(old) as client:
                (said,) = await client.sign(VOTE)
                assert not isinstance(said, NotNow)
                assert "no such type" in said
            async with client_of(old, new.url) as client:
                assert isinstance((await client.sign(VOTE))[0], Approved)

    asyncio.run(main())


def test_false_signature_is_never_used_and_the_next_signer_asked() -> None:
    wrong = {pubkey: VALIDATORS.shares[pubkey][2] for pubkey in VALIDATORS.pubkeys}

    async def main() -> None:
        async with served_signer(shares=wrong) as liar, served_signer() as good:
            async with client_of(liar.url) as client:
                (said,) = await client.sign(VOTE)
                assert isinstance(said, NotNow)
                assert "false signature" in said
            async with client_of(liar.url, good.url) as client:
                (answer,) = await client.sign(VOTE)
                assert isinstance(answer, Approved)
                assert verify(SHARES[PUBKEY], signing_root(VOTE, CHAIN), answer.signature)
                told = client.log.find("remote_signature_false")
                assert [line["signer"] for line in told] == [liar.url]
                assert client.meter.liars == [liar.url]
                asked = len(liar.meter.answers)
                await client.sign(RandaoPayload(epoch=1))
                assert len(liar.meter.answers) == asked, "a liar is asked last for a while"

    asyncio.run(main())


def test_plain_text_answers_are_understood() -> None:
    signature = VALIDATORS.shares[PUBKEY][1].sign(signing_root(VOTE, CHAIN))

    async def main() -> None:
        async with scripted(status(200, "0x" + signature.hex())) as url, client_of(url) as client:
            assert await client.sign(VOTE) == (Approved(signature),)

    asyncio.run(main())


def test_shares_may_be_spread_over_signers() -> None:
    async def main() -> None:
        one = {PUBKEY: VALIDATORS.shares[PUBKEY][1]}
        other = {OTHER: VALIDATORS.shares[OTHER][1]}
        async with (
            served_signer(shares=one) as first,
            served_signer(shares=other) as second,
            client_of(first.url, second.url) as client,
        ):
            answers = await client.signing.sign(((PUBKEY, VOTE), (OTHER, VOTE)))
            assert all(isinstance(answer, Approved) for answer in answers)
            assert len(first.meter.answers) == len(second.meter.answers) == 1

    asyncio.run(main())


def test_signer_that_lost_a_key_is_no_longer_asked_for_it_and_not_taken_for_dead() -> None:
    async def main() -> None:
        async with (
            served_signer() as first,
            served_signer() as second,
            client_of(first.url, second.url) as client,
        ):
            first.keys.remove(SHARES[PUBKEY])
            assert isinstance((await client.sign(VOTE))[0], Approved)
            assert client.log.find("remote_signer_lost_keys")[0]["keys"] == 1
            assert client.log.find("remote_signer_down") == []
            asked = len(first.meter.answers)
            await client.sign(RandaoPayload(epoch=1))
            assert len(first.meter.answers) == asked
            second.keys.remove(SHARES[PUBKEY])
            (said,) = await client.sign(RandaoPayload(epoch=0))
            assert isinstance(said, NotNow)
            assert client.signers.trouble() == "1 of 2 shares have no remote signer"
            first.keys.add(SHARES[PUBKEY], PUBKEY)
            await client.signers.check()
            assert client.signers.trouble() is None
            assert isinstance((await client.sign(RandaoPayload(epoch=0)))[0], Approved)

    asyncio.run(main())


def test_start_names_the_shares_that_no_signer_has() -> None:
    async def main() -> None:
        async with served_signer(shares={PUBKEY: VALIDATORS.shares[PUBKEY][1]}) as signer:
            with pytest.raises(RemoteSharesMissing) as caught:
                async with client_of(signer.url):
                    pass
            assert caught.value.fields["shares"] == "0x" + SHARES[OTHER].hex()
            url = signer.url
        with pytest.raises(RemoteSignerAway) as away:
            async with client_of(url):
                pass
        assert away.value.fields["away"] == url

    asyncio.run(main())


def test_one_signer_away_at_start_is_no_matter_while_another_has_all() -> None:
    async def main() -> None:
        async with served_signer() as signer:
            async with client_of("http://127.0.0.1:9", signer.url) as client:
                assert client.signers.trouble() is None
                assert isinstance((await client.sign(VOTE))[0], Approved)
            assert client.meter.states[0] == ("http://127.0.0.1:9", False)

    asyncio.run(main())


def test_signer_without_the_right_certificate_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "foreign").mkdir()
    own, foreign = certificates(tmp_path / "own"), certificates(tmp_path / "foreign")

    async def main() -> None:
        async with served_signer(tls=own["server"]) as signer:
            for files in (foreign["client"], TlsFiles(ca=own["client"].ca), TlsFiles()):
                with pytest.raises(RemoteSignerAway):
                    async with client_of(signer.url, tls=files):
                        pass
            async with client_of(signer.url, tls=own["client"]) as client:
                assert isinstance((await client.sign(VOTE))[0], Approved)

    asyncio.run(main())


def test_altair_block_needs_its_body_from_dutydb() -> None:
    chain = chain_for(Fork.ALTAIR)
    unknown = block_of(Fork.ALTAIR, slot=10)
    payload = ProposalPayload(fork=Fork.ALTAIR, blinded=False, header=unknown.header)

    async def main() -> None:
        async with (
            served_signer(chain) as signer,
            client_of(signer.url, chain=chain, fork=Fork.ALTAIR) as client,
        ):
            (said,) = await client.sign(payload)
            assert isinstance(said, NotNow)
            assert "body" in said

    asyncio.run(main())


def test_full_disk_denies_nothing_for_good_and_asks_nobody() -> None:
    async def main() -> None:
        async with served_signer() as signer, client_of(signer.url) as client:
            client.storage.full = True
            vote, reveal = await client.sign(VOTE, RandaoPayload(epoch=1))
            assert isinstance(vote, NotNow)
            assert isinstance(reveal, Approved)
            assert [kind for kind, *_ in signer.meter.answers] == ["RANDAO_REVEAL"]

    asyncio.run(main())
