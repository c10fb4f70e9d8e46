"""Goal: keys come and go in a running enclave, with their history, and only this node's.

Method: real files, a real enclave process, real sockets; asked by hand as another program would.
"""

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from tests.enclave.ceremony_world import key_file
from tests.enclave.enclave_world import block, vote
from tests.keymanager.managed_world import CHAIN, Folders, Managed, folders, managed

from tetrarch.cluster.files import VALIDATOR_KEYS_FOLDER
from tetrarch.config import EnclaveConfig
from tetrarch.crypto.bls import verify
from tetrarch.enclave.approval import signing_root_of
from tetrarch.enclave.errors import SealOld
from tetrarch.enclave.key_messages import AddShare
from tetrarch.enclave.messages import SealedFile, ShareFile
from tetrarch.enclave.ports import Approved, Denied
from tetrarch.enclave.rules import Reason
from tetrarch.enclave.sealed_keys import SealedKeys
from tetrarch.entropy import system_entropy
from tetrarch.remote_signer.requests import body_of
from tetrarch.share_files import sealed_keys_path

KEYSTORES = "/eth/v1/keystores"


@pytest.fixture
def world(tmp_path: Path) -> Folders:
    return folders(tmp_path)


def keys(world: Folders, *places: tuple[int, int], **more: Any) -> dict[str, Any]:
    """The request to import these (node, validator)."""
    return {
        "keystores": [world.keystore(*place) for place in places],
        "passwords": [world.password(*place) for place in places],
        **more,
    }


async def signs(signer: Managed, request: Any, validator: int) -> bool:
    """Whether the signer API gives a signature that is true for our share."""
    url = f"{signer.signer_url}/api/v1/eth2/sign/{signer.share(validator)}"
    body = msgspec.json.encode(body_of(request, CHAIN).value)
    async with aiohttp.ClientSession() as session, session.post(url, data=body) as answer:
        text = await answer.text()
        if answer.status != 200:
            return False
    public, root = bytes.fromhex(signer.share(validator)[2:]), signing_root_of(request, CHAIN)
    assert verify(public, root, bytes.fromhex(msgspec.json.decode(text)["signature"][2:]))
    return True


def statuses(answer: dict[str, Any]) -> list[str]:
    return [entry["status"] for entry in answer["data"]]


def test_key_comes_signs_survives_a_restart_and_goes(world: Folders) -> None:
    async def main() -> None:
        async with managed(world.signer) as signer:
            assert await signer.listed() == []
            first = vote(signer.root(0), 3, 4)
            assert not await signs(signer, first, 0)
            status, answer = await signer.call("POST", KEYSTORES, keys(world, (0, 0), (0, 1)))
            assert (status, statuses(answer)) == (200, ["imported", "imported"])
            assert await signs(signer, first, 0), "without a restart"
            assert set(await signer.listed()) == {signer.share(0), signer.share(1)}
            again = await signer.call("POST", KEYSTORES, keys(world, (0, 1)))
            assert statuses(again[1]) == ["duplicate"]
        assert world.files() == [f"keystore-{n}.{kind}" for n in (0, 1) for kind in ("json", "txt")]
        for path in (world.signer / VALIDATOR_KEYS_FOLDER).iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        async with managed(world.signer) as signer:
            assert set(await signer.listed()) == {signer.share(0), signer.share(1)}
            rival = vote(signer.root(0), 3, 4, head=b"r" * 32)
            assert not await signs(signer, rival, 0), "the history is still there"
            gone = {"pubkeys": [signer.share(0)]}
            status, answer = await signer.call("DELETE", KEYSTORES, gone)
            assert (status, statuses(answer)) == (200, ["deleted"])
            document = json.loads(answer["slashing_protection"])
            (entry,) = document["data"]
            assert entry["pubkey"] == signer.share(0)
            assert [v["target_epoch"] for v in entry["signed_attestations"]] == ["4"]
            root = CHAIN.forks.genesis_validators_root.hex()
            assert document["metadata"]["genesis_validators_root"] == "0x" + root
            assert not await signs(signer, vote(signer.root(0), 4, 5), 0)
            assert await signs(signer, vote(signer.root(1), 4, 5), 1)
            assert await signer.listed() == [signer.share(1)]
            status, answer = await signer.call("DELETE", KEYSTORES, gone)
            assert statuses(answer) == ["not_active"], "its history is told all the same"
            assert json.loads(answer["slashing_protection"])["data"] == document["data"]
        assert world.files() == ["keystore-1.json", "keystore-1.txt"]

    asyncio.run(main())


def test_where_keys_are_sealed_a_key_that_comes_or_goes_changes_the_seal(world: Folders) -> None:
    key = key_file(world.signer / "key")
    enclave = EnclaveConfig(key_file="key")
    sealed = SealedFile(str(sealed_keys_path(world.signer)), key)

    def editions() -> tuple[int, int]:
        kept = SealedKeys.open(sealed, system_entropy).kept
        return kept.edition, len(kept.shares)

    async def main() -> None:
        async with managed(world.signer, enclave=enclave) as signer:
            assert not sealed_keys_path(world.signer).exists()
            status, answer = await signer.call("POST", KEYSTORES, keys(world, (0, 0), (0, 1)))
            assert (status, statuses(answer)) == (200, ["imported", "imported"])
            assert editions() == (2, 2)
        assert world.files() == [], "no keystore is written"
        async with managed(world.signer, enclave=enclave) as signer:
            assert set(await signer.listed()) == {signer.share(0), signer.share(1)}
            assert await signs(signer, vote(signer.root(0), 3, 4), 0)
            older = sealed_keys_path(world.signer).read_bytes()
            gone = {"pubkeys": [signer.share(0)]}
            status, answer = await signer.call("DELETE", KEYSTORES, gone)
            assert (status, statuses(answer)) == (200, ["deleted"])
            assert editions() == (3, 1)
            assert not await signs(signer, vote(signer.root(0), 4, 5), 0)
        async with managed(world.signer, enclave=enclave) as signer:
            assert await signer.listed() == [signer.share(1)]
        sealed_keys_path(world.signer).write_bytes(older)
        with pytest.raises(SealOld):
            async with managed(world.signer, enclave=enclave):
                pytest.fail("a removed key came back")

    asyncio.run(main())


def test_only_this_nodes_shares_are_taken_each_with_its_own_answer(world: Folders) -> None:
    async def main() -> None:
        async with managed(world.signer) as signer:
            wrong = keys(world, (1, 0), (0, 0), (0, 1))
            wrong["passwords"][1] = "nonsense"
            swapped = json.loads(world.keystore(2, 0)) | {"pubkey": signer.share(1)[2:]}
            wrong["keystores"] += ["{}", "[", json.dumps(swapped), "x" * 70_000]
            wrong["passwords"] += ["a", "b", world.password(2, 0), "c"]
            status, answer = await signer.call("POST", KEYSTORES, wrong)
            assert status == 200
            told = [(e["status"], e["message"]) for e in answer["data"]]
            assert told[0] == ("error", "not this node's share: share of node 1 for validator 0")
            assert told[1] == ("error", "share_password_wrong")
            assert told[2] == ("imported", "")
            assert told[3][0] == told[4][0] == "error"
            assert told[5] == ("duplicate", "")
            assert told[6] == ("error", "keystore or password too long")
            assert await signer.listed() == [signer.share(1)]
        assert world.files() == ["keystore-1.json", "keystore-1.txt"]

    asyncio.run(main())


def test_keystore_that_lies_about_its_key_is_found_out(world: Folders) -> None:
    async def main() -> None:
        async with managed(world.signer) as signer:
            lying = json.loads(world.keystore(2, 0)) | {"pubkey": signer.share(0)[2:]}
            wanted = {"keystores": [json.dumps(lying)], "passwords": [world.password(2, 0)]}
            _, answer = await signer.call("POST", KEYSTORES, wanted)
            assert answer["data"][0]["status"] == "error"
            assert "share_" in answer["data"][0]["message"]
        assert world.files() == []

    asyncio.run(main())


def test_history_comes_before_the_key(world: Folders) -> None:
    """What another program signed with this share, or with the root key, is denied from the start."""

    async def main() -> None:
        async with managed(world.signer) as signer:
            root = "0x" + CHAIN.forks.genesis_validators_root.hex()
            document: dict[str, Any] = {
                "metadata": {
                    "interchange_format_version": "5",
                    "genesis_validators_root": root,
                },
                "data": [
                    {
                        "pubkey": signer.share(0),
                        "signed_blocks": [],
                        "signed_attestations": [{"source_epoch": "3", "target_epoch": "9"}],
                    },
                    {
                        "pubkey": "0x" + signer.root(0).hex(),
                        "signed_blocks": [{"slot": "80"}],
                        "signed_attestations": [],
                    },
                    {"pubkey": "0x" + "ab" * 48, "signed_blocks": [], "signed_attestations": []},
                ],
            }
            wanted = keys(world, (0, 0), slashing_protection=json.dumps(document))
            _, answer = await signer.call("POST", KEYSTORES, wanted)
            assert statuses(answer) == ["imported"]
            results = await signer.enclave.sign(
                (
                    vote(signer.root(0), 4, 8),
                    vote(signer.root(0), 4, 9),
                    block(signer.root(0), 80),
                    vote(signer.root(0), 4, 10),
                    block(signer.root(0), 81),
                )
            )
            assert [type(each) for each in results] == [Denied, Denied, Denied, Approved, Approved]

            document["metadata"]["genesis_validators_root"] = "0x" + "11" * 32
            for bad in (json.dumps(document), "{}", "nonsense"):
                wanted = keys(world, (0, 1), slashing_protection=bad)
                status, answer = await signer.call("POST", KEYSTORES, wanted)
                assert status == 400
            assert await signer.listed() == [signer.share(0)], "no key without its history"

    asyncio.run(main())


def test_nothing_is_told_or_done_without_the_token(world: Folders) -> None:
    async def main() -> None:
        async with managed(world.signer) as signer:
            for method, path in (
                ("GET", KEYSTORES),
                ("POST", KEYSTORES),
                ("DELETE", KEYSTORES),
                ("GET", "/eth/v1/remotekeys"),
                ("GET", f"/eth/v1/validator/{signer.share(0)}/feerecipient"),
            ):
                status, _ = await signer.call(method, path, keys(world, (0, 0)), token="x" * 40)
                assert status == 401, (method, path)
            assert await signer.listed() == []
            mode = (world.signer / "keymanager-token").stat().st_mode
            assert stat.S_IMODE(mode) == 0o600

    asyncio.run(main())


def test_what_the_cluster_decides_is_told_and_not_changed(world: Folders) -> None:
    async def main() -> None:
        async with managed(world.signer) as signer:
            base = f"/eth/v1/validator/{signer.share(0)}"
            validator = signer.cluster.validators[0]
            expected = {
                "feerecipient": {"ethaddress": "0x" + validator.fee_recipient.hex()},
                "gas_limit": {"gas_limit": str(validator.registration.gas_limit)},
                "graffiti": {"graffiti": "ours"},
            }
            for setting, value in expected.items():
                status, answer = await signer.call("GET", f"{base}/{setting}")
                assert (status, answer) == (200, {"data": {"pubkey": signer.share(0), **value}})
                for method in ("POST", "DELETE"):
                    status, answer = await signer.call(method, f"{base}/{setting}", value)
                    assert status == 403
                    assert "cluster's files decide" in answer["message"]
            assert (await signer.call("POST", f"{base}/voluntary_exit"))[0] == 403
            assert (await signer.call("GET", f"{base}/nonsense"))[0] == 404
            foreign = f"/eth/v1/validator/{signer.share(0, node=1)}/feerecipient"
            assert (await signer.call("GET", foreign))[0] == 404
            assert (await signer.call("GET", "/eth/v1/validator/0x12/graffiti"))[0] == 400
            for method in ("GET", "POST", "DELETE"):
                assert (await signer.call(method, "/eth/v1/remotekeys"))[0] == 403

    asyncio.run(main())


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {"keystores": ["{}"], "passwords": []},
        {"keystores": "{}", "passwords": "secret-word"},
        {"keystores": ["{}"] * 1001, "passwords": ["secret-word"] * 1001},
    ],
)
def test_malformed_bodies_are_refused_and_not_repeated(world: Folders, body: Any) -> None:
    async def main() -> None:
        async with managed(world.signer) as signer:
            for method in ("POST", "DELETE"):
                status, answer = await signer.call(method, KEYSTORES, body)
                assert status == 400
                assert "secret-word" not in str(answer)

    asyncio.run(main())


def test_foreign_keys_are_not_found_when_deleted(world: Folders) -> None:
    async def main() -> None:
        async with managed(world.signer) as signer:
            gone = {"pubkeys": [signer.share(0, node=1), "0x" + "ab" * 48, signer.share(0)]}
            status, answer = await signer.call("DELETE", KEYSTORES, gone)
            assert (status, statuses(answer)) == (200, ["not_found"] * 3)
            assert json.loads(answer["slashing_protection"])["data"] == []

    asyncio.run(main())


def test_removed_key_is_unknown_to_the_enclave_and_passwords_are_in_no_log(
    world: Folders,
) -> None:
    async def main() -> None:
        async with managed(world.signer) as signer:
            await signer.call("POST", KEYSTORES, keys(world, (0, 0)))
            await signer.call("DELETE", KEYSTORES, {"pubkeys": [signer.share(0)]})
            (result,) = await signer.enclave.sign((vote(signer.root(0), 3, 4),))
            assert result == Denied(Reason.KEY_UNKNOWN)
            assert world.password(0, 0) not in str(signer.log.lines)

    asyncio.run(main())
    file = ShareFile(b"\1" * 48, b"\2" * 48, "k", "p")
    assert "secret-word" not in repr(AddShare(file, b"{}", b"secret-word"))
