"""Every endpoint answers as the beacon API describes, and takes what a validator client sends."""

import asyncio
import json
from random import Random
from typing import Any

import pytest
from tests.ethereum.devchain.served import StillClock, served

from tetrarch.ethereum.devchain.config import FORKS
from tetrarch.ethereum.devchain.duties import attester_assignments
from tetrarch.ethereum.devchain.http.routes import ROUTES
from tetrarch.ethereum.devchain.keys import interop_key, interop_public_key
from tetrarch.ethereum.devchain.self_run import sign_block, sign_randao, single_attestation
from tetrarch.ethereum.spec.domains import DomainType, compute_signing_root
from tetrarch.ethereum.spec.proposals import Proposal
from tetrarch.ethereum.spec.values import Fork

forks = pytest.mark.parametrize("fork", FORKS)
SSZ = "application/octet-stream"
ALL = tuple(range(16))


def hexed(data: bytes) -> str:
    return "0x" + data.hex()


@forks
def test_everything_that_can_be_read_is_as_described(fork: Fork) -> None:
    async def main() -> None:
        clock = StillClock(18)
        async with served(clock, fork=fork, validators=16, self_run=ALL) as (server, client):
            chain = server.chain
            chain.advance(clock.wall_s())
            head, states = chain.head, "/eth/v1/beacon/states"
            reads = [
                "/eth/v1/node/version",
                "/eth/v1/node/peers",
                "/eth/v1/node/peer_count",
                "/eth/v1/node/syncing",
                "/eth/v1/node/health",
                "/eth/v1/node/identity",
                "/eth/v1/config/spec",
                "/eth/v1/config/fork_schedule",
                "/eth/v1/config/deposit_contract",
                "/eth/v1/beacon/genesis",
                f"{states}/head/root",
                f"{states}/18/fork",
                f"{states}/genesis/root",
                f"{states}/finalized/finality_checkpoints",
                f"{states}/{hexed(head.state_root)}/root",
                f"{states}/head/validators?id=1,2&status=active",
                f"{states}/head/validators/3",
                f"{states}/head/validators/{hexed(interop_public_key(3))}",
                f"{states}/head/validator_balances?id=1",
                f"{states}/head/committees?epoch=2&slot=17&index=0",
                f"{states}/head/sync_committees",
                f"{states}/head/randao",
                "/eth/v1/beacon/headers",
                "/eth/v1/beacon/headers?slot=3",
                f"/eth/v1/beacon/headers?parent_root={hexed(head.parent_root)}",
                "/eth/v1/beacon/headers/head",
                f"/eth/v1/beacon/headers/{hexed(head.root)}",
                "/eth/v1/beacon/headers/genesis",
                "/eth/v2/beacon/blocks/head",
                "/eth/v2/beacon/blocks/5",
                "/eth/v1/beacon/blinded_blocks/head",
                "/eth/v1/beacon/blocks/head/root",
                "/eth/v2/beacon/blocks/5/attestations",
                "/eth/v2/debug/beacon/heads",
                "/eth/v2/beacon/pool/attestations",
                "/eth/v1/beacon/pool/proposer_slashings",
                "/eth/v2/beacon/pool/attestations?slot=18&committee_index=0",
                "/eth/v2/beacon/pool/attester_slashings",
                "/eth/v1/beacon/pool/voluntary_exits",
                "/eth/v1/validator/duties/proposer/2",
                "/eth/v1/validator/duties/proposer/3",
                "/eth/v2/validator/duties/proposer/2",
                "/eth/v1/validator/attestation_data?slot=18&committee_index=0",
            ]
            if fork.at_least(Fork.DENEB):
                reads.append("/eth/v1/beacon/pool/bls_to_execution_changes")
            if fork.at_least(Fork.ELECTRA):
                reads += [
                    f"{states}/head/pending_deposits",
                    f"{states}/head/pending_consolidations",
                ]
            if fork is Fork.FULU:
                reads.append(f"{states}/head/proposer_lookahead")
            for path in reads:
                await client.get(path)
            duties = await client.post("/eth/v1/validator/duties/attester/2", ["1", "5"])
            assert {duty["validator_index"] for duty in duties["data"]} == {"1", "5"}
            await client.post("/eth/v1/validator/duties/sync/2", ["1", "5"])
            await client.post("/eth/v1/validator/liveness/2", ["1", "5"])
            await client.post(f"{states}/head/validators", {"ids": ["1"]})
            await client.post(f"{states}/head/validator_balances", ["1"])
            await client.post(f"{states}/head/validator_identities", ["1"])
            state = await client.get(
                "/eth/v2/debug/beacon/states/head", headers={"Accept": f"{SSZ};q=1"}
            )
            assert state == chain.head_state(18).encode()

    asyncio.run(main())


def test_errors_are_in_the_described_form() -> None:
    async def main() -> None:
        async with served(StillClock(3), validators=16, self_run=ALL) as (_server, client):
            for path, status in {
                "/eth/v1/beacon/states/nonsense/root": 400,
                "/eth/v1/beacon/states/99/root": 404,
                "/eth/v1/beacon/states/head/validators/99": 404,
                "/eth/v1/beacon/states/head/validators?id=nonsense": 400,
                "/eth/v2/beacon/blocks/0x1234": 400,
                f"/eth/v2/beacon/blocks/{hexed(bytes(32))}": 404,
                "/eth/v1/validator/duties/proposer/9": 400,
                "/eth/v1/validator/attestation_data?slot=99&committee_index=0": 400,
                "/eth/v1/validator/attestation_data?slot=3&committee_index=9": 400,
                "/eth/v1/validator/attestation_data": 400,
                "/eth/v3/validator/blocks/3": 400,
                f"/eth/v3/validator/blocks/3?randao_reveal={hexed(bytes(96))}": 400,
                "/eth/v3/validator/blocks/3?builder_boost_factor=-1": 400,
                "/eth/v1/events?topics=": 400,
                "/eth/v7/nothing": 404,
            }.items():
                answer = await client.get(path, expect=status)
                assert answer["code"] == status
                assert answer["message"]
            pool = "/eth/v2/beacon/pool/attestations"
            version = {"Eth-Consensus-Version": "electra"}
            text = {**version, "Content-Type": "text/plain"}
            await client.post(pool, data=b"{}", expect=415, headers=text)
            json = {**version, "Content-Type": "application/json"}
            await client.post(pool, data=b"{", expect=400, headers=json)
            await client.post(pool, [], expect=400)  # the header is missing
            await client.post(pool, [], expect=400, headers={"Eth-Consensus-Version": "deneb"})
            await client.post(pool, [{}], expect=400, headers=version)
            await client.post(
                pool, data=b"\1\2", expect=400, headers={**version, "Content-Type": SSZ}
            )
            await client.post("/eth/v1/node/version", expect=405)

    asyncio.run(main())


@forks
@pytest.mark.parametrize("ssz", [False, True])
def test_client_proposes_and_attests(fork: Fork, ssz: bool) -> None:
    accept = {"Accept": SSZ if ssz else "application/json"}
    version = {"Eth-Consensus-Version": fork.value}

    async def main() -> None:
        clock = StillClock(0)
        async with served(clock, fork=fork, validators=16) as (server, client):
            chain = server.chain
            for slot in range(1, 4):
                clock.move(slot, 0.5)
                chain.advance(clock.wall_s())
                duties = (await client.get("/eth/v1/validator/duties/proposer/0"))["data"]
                proposer = int(duties[slot]["validator_index"])
                reveal = hexed(sign_randao(chain.head_state(slot), proposer))
                path = f"/eth/v3/validator/blocks/{slot}?randao_reveal={reveal}"
                path += f"&graffiti={hexed(b'graffiti'.ljust(32, b'!'))}"
                answer = await client.get(path, headers=accept)
                read = Proposal.from_ssz if ssz else Proposal.from_json
                content = answer if ssz else answer["data"]
                proposal = read(fork, False, content, preset="minimal")
                assert proposal.graffiti.startswith(b"graffiti")
                await client.get(path.replace("v3", "v2"), headers=accept)
                types = chain.rules.types
                contents = fork.at_least(Fork.DENEB)
                record: Any = (types.BlockContents if contents else types.BeaconBlock).decode(
                    proposal.ssz
                )
                block = record.block if contents else record
                signed: Any = sign_block(chain.head_state(slot), block)
                if contents:
                    signed = types.SignedBlockContents(signed_block=signed, kzg_proofs=(), blobs=())
                for _ in range(2):  # every node of a cluster publishes
                    if ssz:
                        headers = {**version, "Content-Type": SSZ}
                        body = {"data": signed.encode()}
                    else:
                        headers, body = version, {"json": signed.to_json()}
                    await client.ask("POST", "/eth/v2/beacon/blocks", headers=headers, **body)
                assert chain.head.root == proposal.hash_tree_root()
                clock.move(slot, 2.5)
                await attest(chain, client, slot, ssz=ssz)
            report = await client.get("/tetrarch/devchain/report")
            past = [duty for duty in report["duties"] if 1 <= duty["slot"] <= 3]
            assert {duty["status"] for duty in past} == {"in_time"}
            assert {duty["arrived_ms"] for duty in past} == {500, 2500}
            assert report["slashable"] == []
            assert report["head_slot"] == 3

    async def attest(chain: Any, client: Any, slot: int, *, ssz: bool) -> None:
        duties = await client.post(
            "/eth/v1/validator/duties/attester/0", [str(index) for index in range(16)]
        )
        mine = {int(d["validator_index"]) for d in duties["data"] if d["slot"] == str(slot)}
        state = chain.head_state(slot)
        assert mine
        answer = await client.get(
            f"/eth/v1/validator/attestation_data?slot={slot}&committee_index=0", headers=accept
        )
        kind = chain.rules.types.AttestationData
        data = kind.decode(answer) if ssz else kind.from_json(answer["data"])
        votes = [
            single_attestation(state, data, each)
            for each in attester_assignments(state, 0, mine)
            if each.slot == slot
        ]
        pool = "/eth/v2/beacon/pool/attestations"
        if ssz:
            from tetrarch.ssz.sequence import List

            body = List(votes[0].ssz_type, 64).encode(votes)
            await client.post(pool, data=body, headers={**version, "Content-Type": SSZ})
        else:
            await client.post(pool, [vote.to_json() for vote in votes], headers=version)
            await client.post("/eth/v1/beacon/pool/attestations", [votes[0].to_json()])
        root = hexed(data.hash_tree_root())
        path = f"validator/aggregate_attestation?attestation_data_root={root}&slot={slot}"
        await client.get(f"/eth/v2/{path}&committee_index=0", headers=accept)

    asyncio.run(main())


def test_builder_s_block_is_blinded_and_comes_back_whole() -> None:
    async def main() -> None:
        clock = StillClock(1)
        async with served(clock, validators=16, builder=True) as (server, client):
            chain = server.chain
            chain.advance(clock.wall_s())
            state = chain.head_state(1)
            proposer = {
                int(d["slot"]): int(d["validator_index"])
                for d in (await client.get("/eth/v1/validator/duties/proposer/0"))["data"]
            }[1]
            recipient = "0x" + "ab" * 20
            preparation = {"validator_index": str(proposer), "fee_recipient": recipient}
            await client.post("/eth/v1/validator/prepare_beacon_proposer", [preparation])
            path = f"/eth/v3/validator/blocks/1?randao_reveal={hexed(sign_randao(state, proposer))}"
            full = await client.get(path + "&builder_boost_factor=0")
            assert not full["execution_payload_blinded"]
            answer = await client.get(path + f"&builder_boost_factor={2**64 - 1}")
            assert answer["execution_payload_blinded"]
            types = chain.rules.types
            blinded = types.BlindedBeaconBlock.from_json(answer["data"])
            header: Any = blinded.body.execution_payload_header
            assert hexed(header.fee_recipient) == recipient
            root = compute_signing_root(
                blinded.hash_tree_root(), state.domain(DomainType.BEACON_PROPOSER)
            )
            signature = interop_key(proposer).sign(root)
            signed = types.SignedBlindedBeaconBlock(message=blinded, signature=signature)
            version = {"Eth-Consensus-Version": "electra"}
            wrong = signed.replace(signature=bytes(96))
            publish = "/eth/v2/beacon/blinded_blocks"
            await client.post(publish, wrong.to_json(), headers=version, expect=400)
            await client.post(publish, signed.to_json(), headers=version)
            assert chain.head.root == blinded.hash_tree_root()
            block = await client.get("/eth/v2/beacon/blocks/head")
            assert block["data"]["message"]["body"]["execution_payload"]["transactions"] == []

    asyncio.run(main())


@forks
def test_rubbish_is_refused_with_400(fork: Fork) -> None:
    rng = Random(f"rubbish/{fork}")
    version = {"Eth-Consensus-Version": fork.value}

    def spoiled(data: bytes) -> bytes:
        cut = data[: rng.randrange(len(data) + 1)] if rng.random() < 0.3 else data
        raw = bytearray(cut)
        for _ in range(rng.randrange(1, 6)):
            if raw:
                raw[rng.randrange(len(raw))] = rng.randrange(256)
        return bytes(raw)

    async def main() -> None:
        async with served(StillClock(3), fork=fork, validators=16, self_run=ALL) as (
            server,
            client,
        ):
            chain = server.chain
            await client.get("/eth/v1/node/syncing")
            head = chain.head
            assert head.signed is not None
            signed: Any = head.signed
            if fork.at_least(Fork.DENEB):
                contents = chain.rules.types.SignedBlockContents
                signed = contents(signed_block=signed, kzg_proofs=(), blobs=())
            block_ssz, block_json = signed.encode(), json.dumps(signed.to_json()).encode()
            duty = next(d for d in attester_assignments(chain.head_state(3), 0) if d.slot == 3)
            data = chain.attestation_data(3, duty.committee_index)
            vote = single_attestation(chain.head_state(3), data, duty)
            vote_json = json.dumps([vote.to_json()]).encode()
            for number in range(60):
                body, kind = ((block_ssz, SSZ), (block_json, "application/json"))[number % 2]
                headers = {**version, "Content-Type": kind}
                spoilt = spoiled(body)
                if spoilt != body:
                    path = "/eth/v2/beacon/blocks"
                    await client.post(path, data=spoilt, headers=headers, expect=400)
                spoilt = spoiled(vote_json)
                if number % 2 and not _is_same(spoilt, vote.to_json()):
                    path = "/eth/v2/beacon/pool/attestations"
                    await client.post(path, data=spoilt, headers=headers, expect=400)
            assert chain.head is head
            assert chain.watch.findings == []

    asyncio.run(main())


def _is_same(spoilt: bytes, vote: Any) -> bool:
    """Whether a spoilt body still reads as the same vote: only a name or a space changed."""
    try:
        return bool(json.loads(spoilt) in ([vote], []))
    except ValueError:
        return False


def test_announcements_are_taken() -> None:
    async def main() -> None:
        async with served(StillClock(1), validators=16) as (_server, client):
            subscription = {
                "validator_index": "1",
                "committee_index": "0",
                "committees_at_slot": "1",
                "slot": "2",
                "is_aggregator": False,
            }
            await client.post("/eth/v1/validator/beacon_committee_subscriptions", [subscription])
            await client.post("/eth/v1/validator/sync_committee_subscriptions", [])
            await client.post("/eth/v1/validator/register_validator", [])
            await client.post("/eth/v1/validator/prepare_beacon_proposer", {}, expect=400)

    asyncio.run(main())


def test_events_tell_of_blocks_heads_and_finality() -> None:
    async def main() -> None:
        clock = StillClock(0)
        async with served(clock, validators=16, self_run=ALL) as (server, client):
            url = server.url + "/eth/v1/events?topics=head,block,finalized_checkpoint"
            seen: list[str] = []
            async with client._session.get(url) as stream:
                assert stream.headers["Content-Type"].startswith("text/event-stream")
                await stream.content.readline()
                clock.move(34)
                server.chain.advance(clock.wall_s())
                async for line in stream.content:
                    if line.startswith(b"event: "):
                        seen.append(line.decode().split()[1])
                    if len(seen) == 34 * 2 + 1:
                        break
            assert seen.count("block") == seen.count("head") == 34
            assert seen.count("finalized_checkpoint") == 1

    asyncio.run(main())


def test_faults_are_switched_while_it_runs() -> None:
    async def main() -> None:
        clock = StillClock(4)
        async with served(clock, validators=16, self_run=ALL) as (server, client):
            path = "/tetrarch/devchain/faults"
            await client.post(path, {"error_rate": 0.5})
            await client.get("/eth/v1/node/syncing")
            await client.get("/eth/v1/node/syncing", expect=500)
            await client.post(path, {"error_rate": 0, "wrong_head": True, "slow_ms": 1})
            chain = server.chain
            data = await client.get("/eth/v1/validator/attestation_data?slot=4&committee_index=0")
            assert data["data"]["beacon_block_root"] == hexed(chain.head.parent_root)
            await client.post(path, {"wrong_head": False, "down": True})
            import aiohttp

            with pytest.raises(aiohttp.ClientError):
                await client.get("/eth/v1/node/syncing")
            assert (await client.get("/tetrarch/devchain/report"))["head_slot"] == 4
            faults = await client.post(path, {"down": False, "reorg_depth": 2})
            assert faults["reorg_depth"] == 2
            wrongs: tuple[Any, ...] = (
                {"slow_ms": "1"},
                {"error_rate": 2},
                {"unknown": 1},
                [],
                {"down": 1},
            )
            for wrong in wrongs:
                await client.post(path, wrong, expect=400)
            before = chain.tree.ancestor(chain.head.root, 2).root
            clock.move(5)
            await client.get("/eth/v1/node/syncing")
            assert chain.head.slot == 5
            assert chain.head.parent_root == before

    asyncio.run(main())


def test_every_route_of_the_beacon_api_is_known_to_its_description() -> None:
    from tests.openapi import BeaconApi

    judge = BeaconApi()
    unknown = {
        (method, path)
        for method, path, _ in ROUTES
        if path.startswith("/eth/") and not judge.knows(method, path)
    }
    # Older versions that real clients still call; the newer ones are described.
    assert unknown == {
        ("GET", "/eth/v1/beacon/pool/attester_slashings"),
        ("POST", "/eth/v1/beacon/pool/attester_slashings"),
        ("GET", "/eth/v1/validator/blinded_blocks/{slot}"),
        ("GET", "/eth/v1/validator/aggregate_attestation"),
        ("POST", "/eth/v1/validator/aggregate_and_proofs"),
    }
