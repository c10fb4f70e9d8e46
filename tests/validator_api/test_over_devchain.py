"""A scripted client does its duties through the API on a strict development chain, fork by fork.

Method: the client knows only the API's address and eight keys; the chain runs the other eight
validators itself and judges blocks and votes by the specification. The clock stands still and is
set by the test. Every duty of our keys must come in time, in JSON and in SSZ.
"""

import asyncio
import io
import json
from collections import Counter
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from tests.openapi import BeaconApi
from tests.validator_api.one_node import OneNode
from tests.validator_api.test_aggregates import in_ssz as ssz_list
from tests.validator_api.test_selections import in_ssz
from tests.validator_api.world import JSON, SSZ, hexed

from tetrarch.crypto.bls import SecretKey
from tetrarch.duties.types import DutyType
from tetrarch.entropy import system_entropy
from tetrarch.ethereum.beacon_node.client import connect_beacon_node
from tetrarch.ethereum.devchain.config import FORKS, DevChainConfig
from tetrarch.ethereum.devchain.keys import interop_key
from tetrarch.ethereum.devchain.server import DevChainServer
from tetrarch.ethereum.spec.aggregates import (
    Aggregate,
    AggregateAndProof,
    ContributionAndProof,
    SignedAggregateAndProof,
    SignedContributionAndProof,
    SyncCommitteeContribution,
    aggregate_from_json,
    aggregate_from_ssz,
)
from tetrarch.ethereum.spec.attestations import (
    SingleAttestation,
    SubmittedAttestation,
    build_attestation,
    submissions_to_json,
    submissions_to_ssz,
)
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.domains import DomainType
from tetrarch.ethereum.spec.messages import SyncCommitteeMessage
from tetrarch.ethereum.spec.proposals import Proposal, sign_proposal
from tetrarch.ethereum.spec.selection import (
    is_aggregator,
    subcommittees_of,
    sync_selection_root,
)
from tetrarch.ethereum.spec.values import AttestationData, Fork
from tetrarch.observability.logs import build_log
from tetrarch.validator_api.api import ValidatorApi
from tetrarch.validator_api.ports import Ports
from tetrarch.validator_api.server import ValidatorApiServer

OURS = tuple(range(8))
THEIRS = tuple(range(8, 16))
SLOTS = 10  # more than an epoch of 8
SLOT_MS = 6_000


class ManualClock:
    """Stands still."""

    now_s = 0.0

    def wall_s(self) -> float:
        return self.now_s


class ScriptedClient:
    """A validator client: asks, signs, submits. ``wire`` is what it prefers and sends."""

    def __init__(
        self, url: str, session: aiohttp.ClientSession, chain: ChainSpec, wire: str
    ) -> None:
        self._url = url
        self._session = session
        self._chain = chain
        self._wire = wire
        self._judge = BeaconApi()
        self._attested: dict[tuple[int, int], AttestationData] = {}
        self._keys = {key.public_key(): key for key in map(interop_key, OURS)}

    async def _ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Any:
        """Body of the answer (decoded when JSON), judged by the API's description."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("Accept", JSON if self._wire == JSON else f"{SSZ};q=1,{JSON};q=0.9")
        url = self._url + path
        async with self._session.request(method, url, data=body, headers=named) as response:
            got = await response.read()
            assert response.status == 200, got
            if self._judge.knows(method, path):  # it dropped the oldest versions
                self._judge.check_response(
                    method, path, status=200, headers=response.headers, body=got
                )
            is_json = response.content_type == JSON
            return json.loads(got) if is_json and got else got

    async def duties(self, epoch: int) -> tuple[list[Any], dict[int, Any]]:
        indices = json.dumps([str(index) for index in OURS]).encode()
        path = f"/eth/v1/validator/duties/attester/{epoch}"
        attesters = await self._ask("POST", path, indices, Content_Type=JSON)
        proposers = await self._ask("GET", f"/eth/v1/validator/duties/proposer/{epoch}")
        ours = [each for each in proposers["data"] if int(each["validator_index"]) in OURS]
        return attesters["data"], {int(each["slot"]): each for each in ours}

    def _sign(self, duty: Any, domain: DomainType, epoch: int, root: bytes) -> bytes:
        key: SecretKey = self._keys[bytes.fromhex(duty["pubkey"][2:])]
        return key.sign(self._chain.forks.signing_root(domain, epoch, root))

    async def propose(self, slot: int, duty: Any) -> None:
        epoch, fork = self._chain.epoch_of(slot), self._chain.fork_at_slot(slot)
        reveal = self._sign(duty, DomainType.RANDAO, epoch, epoch.to_bytes(32, "little"))
        path = f"/eth/v3/validator/blocks/{slot}?randao_reveal=0x{reveal.hex()}"
        got = await self._ask("GET", path)
        if self._wire == SSZ:
            proposal = Proposal.from_ssz(fork, False, got, preset="minimal")
        else:
            assert got["version"] == fork.value
            proposal = Proposal.from_json(fork, False, got["data"], preset="minimal")
        root = proposal.hash_tree_root()
        signed = sign_proposal(proposal, self._sign(duty, DomainType.BEACON_PROPOSER, epoch, root))
        body = signed.ssz if self._wire == SSZ else json.dumps(signed.to_json()).encode()
        headers = {"Content_Type": self._wire, "Eth_Consensus_Version": fork.value}
        await self._ask("POST", "/eth/v2/beacon/blocks", body, **headers)

    async def sync_duties(self, epoch: int) -> list[Any]:
        indices = json.dumps([str(index) for index in OURS]).encode()
        path = f"/eth/v1/validator/duties/sync/{epoch}"
        found = await self._ask("POST", path, indices, Content_Type=JSON)
        return list(found["data"])

    async def _post_list(self, path: str, items: list[Any], ssz: bytes, fork: Fork) -> Any:
        body = ssz if self._wire == SSZ else json.dumps(items).encode()
        headers = {"Content_Type": self._wire, "Eth_Consensus_Version": fork.value}
        return await self._ask("POST", path, body, **headers)

    async def aggregate(self, slot: int, duties: list[Any]) -> None:
        """Ask who is drawn, then for the aggregates, and sign these."""
        fork, epoch = self._chain.fork_at_slot(slot), self._chain.epoch_of(slot)
        selections = []
        for duty in duties:
            root = slot.to_bytes(32, "little")
            proof = self._sign(duty, DomainType.SELECTION_PROOF, epoch, root)
            index = duty["validator_index"]
            selections.append(
                {"validator_index": index, "slot": str(slot), "selection_proof": hexed(proof)}
            )
        path = "/eth/v1/validator/beacon_committee_selections"
        got = await self._post_list(path, selections, in_ssz(selections), fork)
        signed: list[SignedAggregateAndProof] = []
        for duty, selected in zip(duties, got["data"], strict=True):
            proof = bytes.fromhex(selected["selection_proof"][2:])
            assert is_aggregator(int(duty["committee_length"]), proof)  # small committees: all are
            message = AggregateAndProof(
                fork=fork,
                preset="minimal",
                aggregator_index=int(duty["validator_index"]),
                aggregate=await self._aggregate_of(slot, int(duty["committee_index"])),
                selection_proof=proof,
            )
            root = message.hash_tree_root()
            signature = self._sign(duty, DomainType.AGGREGATE_AND_PROOF, epoch, root)
            signed.append(SignedAggregateAndProof(message=message, signature=signature))
        version = "v2" if fork.at_least(Fork.ELECTRA) or self._wire == SSZ else "v1"
        path = f"/eth/{version}/validator/aggregate_and_proofs"
        await self._post_list(path, [each.to_json() for each in signed], ssz_list(signed), fork)

    async def _aggregate_of(self, slot: int, committee: int) -> Aggregate:
        fork = self._chain.fork_at_slot(slot)
        index = 0 if fork.at_least(Fork.ELECTRA) else committee
        root = hexed(self._attested[slot, index].hash_tree_root())
        query = f"attestation_data_root={root}&slot={slot}"
        if fork.at_least(Fork.ELECTRA) or self._wire == SSZ:
            path = f"/eth/v2/validator/aggregate_attestation?{query}&committee_index={committee}"
        else:
            path = f"/eth/v1/validator/aggregate_attestation?{query}"
        got = await self._ask("GET", path)
        if self._wire == SSZ:
            return aggregate_from_ssz(fork, got, preset="minimal")
        return aggregate_from_json(fork, got["data"], preset="minimal")

    async def vote_for_head(self, slot: int, members: list[Any]) -> bytes:
        """Sync committee messages; returns the head's root."""
        answer = await self._ask("GET", "/eth/v1/beacon/blocks/head/root", Accept=JSON)
        root = bytes.fromhex(answer["data"]["root"][2:])
        epoch = self._chain.epoch_of(slot)
        messages = [
            SyncCommitteeMessage(
                slot=slot,
                beacon_block_root=root,
                validator_index=int(member["validator_index"]),
                signature=self._sign(member, DomainType.SYNC_COMMITTEE, epoch, root),
            )
            for member in members
        ]
        ssz = b"".join(each.to_ssz() for each in messages)
        path, fork = "/eth/v1/beacon/pool/sync_committees", self._chain.fork_at_slot(slot)
        await self._post_list(path, [each.to_json() for each in messages], ssz, fork)
        return root

    async def contribute(self, slot: int, members: list[Any], head: bytes) -> None:
        epoch, fork = self._chain.epoch_of(slot), self._chain.fork_at_slot(slot)
        asked: list[tuple[Any, int]] = []
        selections = []
        for member in members:
            positions = tuple(map(int, member["validator_sync_committee_indices"]))
            for place in subcommittees_of(positions, preset="minimal"):
                domain = DomainType.SYNC_COMMITTEE_SELECTION_PROOF
                proof = self._sign(member, domain, epoch, sync_selection_root(slot, place))
                asked.append((member, place))
                selections.append(
                    {
                        "validator_index": member["validator_index"],
                        "slot": str(slot),
                        "subcommittee_index": str(place),
                        "selection_proof": hexed(proof),
                    }
                )
        path = "/eth/v1/validator/sync_committee_selections"
        got = await self._post_list(path, selections, in_ssz(selections), fork)
        signed: list[SignedContributionAndProof] = []
        for (member, place), selected in zip(asked, got["data"], strict=True):
            path = "/eth/v1/validator/sync_committee_contribution"
            path += f"?slot={slot}&subcommittee_index={place}&beacon_block_root={hexed(head)}"
            answer = await self._ask("GET", path)
            message = ContributionAndProof(
                aggregator_index=int(member["validator_index"]),
                contribution=SyncCommitteeContribution.from_json(answer["data"], preset="minimal"),
                selection_proof=bytes.fromhex(selected["selection_proof"][2:]),
            )
            root = message.hash_tree_root()
            signature = self._sign(member, DomainType.CONTRIBUTION_AND_PROOF, epoch, root)
            signed.append(SignedContributionAndProof(message=message, signature=signature))
        ssz = b"".join(each.to_ssz() for each in signed)
        path = "/eth/v1/validator/contribution_and_proofs"
        await self._post_list(path, [each.to_json() for each in signed], ssz, fork)

    async def attest(self, slot: int, duties: list[Any]) -> None:
        fork = self._chain.fork_at_slot(slot)
        signed: list[SubmittedAttestation] = []
        for duty in duties:
            committee = int(duty["committee_index"])
            path = f"/eth/v1/validator/attestation_data?slot={slot}&committee_index={committee}"
            got = await self._ask("GET", path)
            if self._wire == SSZ:
                data = AttestationData.from_ssz(got)
            else:
                data = AttestationData.from_json(got["data"])
            self._attested[slot, data.index] = data
            domain, epoch = DomainType.BEACON_ATTESTER, data.target.epoch
            signature = self._sign(duty, domain, epoch, data.hash_tree_root())
            if fork.at_least(Fork.ELECTRA):
                signed.append(
                    SingleAttestation(
                        committee_index=committee,
                        attester_index=int(duty["validator_index"]),
                        data=data,
                        signature=signature,
                    )
                )
            else:
                signed.append(
                    build_attestation(
                        data,
                        committee_length=int(duty["committee_length"]),
                        validator_committee_index=int(duty["validator_committee_index"]),
                        signature=signature,
                    )
                )
        if self._wire == SSZ:
            body = submissions_to_ssz(fork, tuple(signed))
        else:
            body = json.dumps(submissions_to_json(tuple(signed))).encode()
        headers = {"Content_Type": self._wire, "Eth_Consensus_Version": fork.value}
        await self._ask("POST", "/eth/v2/beacon/pool/attestations", body, **headers)


@pytest.mark.parametrize("fork", FORKS)
@pytest.mark.parametrize("wire", [JSON, SSZ])
def test_every_duty_comes_in_time(fork: Fork, wire: str) -> None:
    asyncio.run(_run(fork, wire))


async def _run(fork: Fork, wire: str) -> None:
    clock = ManualClock()
    config = DevChainConfig(
        genesis_time_s=1_000,
        fork=fork,
        validators=len(OURS + THEIRS),
        slot_duration_ms=SLOT_MS,
        self_run=THEIRS,
    )
    clock.now_s = 1_000.0
    async with (
        DevChainServer(config, clock) as devchain,
        connect_beacon_node(devchain.url) as beacon_node,
        aiohttp.ClientSession() as session,
    ):
        chain = await beacon_node.chain_spec()
        assert chain.slot_duration_ms == SLOT_MS
        pubkeys = tuple(interop_key(index).public_key() for index in OURS)
        one = OneNode(beacon_node, chain, pubkeys)
        ports = Ports(
            duties=one,
            decided=one,
            aggregated=one,
            proofs=one,
            keys=one,
            beacon_node=beacon_node,
            chain=chain,
            clock=clock,
            compute=one,
            entropy=system_entropy,
        )
        api = ValidatorApi(ports, version="test")
        api.submitted.subscribe(one.take)
        log = build_log(io.StringIO(), clock=clock)
        server = ValidatorApiServer(api, host="127.0.0.1", port=0, log=log)
        serving = asyncio.create_task(server.run())
        await server.listening.wait()
        try:
            url = f"http://127.0.0.1:{server.bound_port}"
            client = ScriptedClient(url, session, chain, wire)
            due = await _do_duties(client, chain, clock)
            head = await beacon_node.head()
            assert head.slot == SLOTS
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving
        ours = [
            entry
            for entry in devchain.chain.reports.to_json(SLOTS * SLOT_MS + SLOT_MS // 2)
            if int(entry["validator_index"]) in OURS and 1 <= int(entry["slot"]) < SLOTS
        ]
        assert len(ours) >= len(OURS)
        assert {entry["status"] for entry in ours} == {"in_time"}, ours
        # The next block carries each vote: it was right, not only early.
        carried = [entry["included_slot"] - entry["slot"] for entry in ours]
        assert set(carried) <= {0, 1}, ours
        assert list(devchain.chain.watch.findings) == []
        # The chain refuses what is false, and a refusal would have ended the run.
        assert one.done == due


async def _do_duties(
    client: ScriptedClient, chain: ChainSpec, clock: ManualClock
) -> Counter[DutyType]:
    """All duties of some slots; how many of each kind there were but for blocks and votes."""
    attesters: list[Any] = []
    proposers: dict[int, Any] = {}
    due: Counter[DutyType] = Counter()
    for slot in range(1, SLOTS + 1):
        clock.now_s = chain.slot_start_s(slot) + 0.1
        if slot == 1 or slot % chain.slots_per_epoch == 0:
            attesters, proposers = await client.duties(chain.epoch_of(slot))
        # Who signs in a slot is in the committee of the slot after it.
        members = await client.sync_duties(chain.epoch_of(slot + 1))
        if slot in proposers:
            await client.propose(slot, proposers[slot])
        clock.now_s = chain.slot_start_s(slot) + SLOT_MS / 3000
        mine = [duty for duty in attesters if int(duty["slot"]) == slot]
        if mine:
            await client.attest(slot, mine)
        head = await client.vote_for_head(slot, members)
        clock.now_s = chain.slot_start_s(slot) + 2 * SLOT_MS / 3000
        if mine:
            await client.aggregate(slot, mine)
        await client.contribute(slot, members, head)
        places = [
            len(subcommittees_of(tuple(map(int, positions)), preset="minimal"))
            for positions in (each["validator_sync_committee_indices"] for each in members)
        ]
        due[DutyType.PREPARE_AGGREGATOR] += len(mine)
        due[DutyType.AGGREGATOR] += len(mine)
        due[DutyType.SYNC_MESSAGE] += len(members)
        due[DutyType.PREPARE_SYNC_CONTRIBUTION] += sum(places)
        due[DutyType.SYNC_CONTRIBUTION] += sum(places)
    return due
