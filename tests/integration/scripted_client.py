"""A validator client that makes the calls of real ones, in their wire formats, and signs.

What is asked, in which form and when, follows a recording of Lodestar 1.23 and Vero 1.1.3: the
first asks for SSZ and sends blocks in SSZ (all bodies, when told so), the second speaks JSON only
and puts a Content-Type on GETs. Unlike the recorded Vero, all ask for selections: a client that
holds shares must. Each does all duties: votes, blocks, aggregates, and the sync committee's.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
from tests.validator_api.test_aggregates import in_ssz as aggregates_in_ssz
from tests.validator_api.test_selections import in_ssz as selections_in_ssz

from tetrarch.crypto.bls import SecretKey
from tetrarch.ethereum.spec.aggregates import (
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
from tetrarch.ethereum.spec.proposals import Proposal, SignedProposal, sign_proposal
from tetrarch.ethereum.spec.selection import (
    is_aggregator,
    is_sync_aggregator,
    subcommittees_of,
    sync_selection_root,
)
from tetrarch.ethereum.spec.values import AttestationData, Checkpoint, Fork

JSON, SSZ = "application/json", "application/octet-stream"
SSZ_FIRST = "application/octet-stream;q=1,application/json;q=0.9"
VALIDATORS = "/eth/v1/beacon/states/head/validators"
VALIDATOR = "/eth/v1/validator"


@dataclass(frozen=True, slots=True)
class Form:
    """How one client speaks."""

    name: str
    accept: str
    ssz_bodies: bool = False
    ssz_blocks: bool = False
    json_on_get: bool = False
    old_versions: bool = False  # version 1 of what has it, before Electra
    topics: str = "head"


LODESTAR = Form("lodestar", SSZ_FIRST, ssz_blocks=True, old_versions=True)
LODESTAR_SSZ = Form(
    "lodestar, SSZ requests", SSZ_FIRST, ssz_blocks=True, ssz_bodies=True, old_versions=True
)
VERO = Form(
    "vero",
    JSON,
    json_on_get=True,
    topics="head,chain_reorg,attester_slashing,proposer_slashing",
)


@dataclass(frozen=True, slots=True)
class Got:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_ssz(self) -> bool:
        return self.headers["Content-Type"].partition(";")[0] == SSZ

    @property
    def data(self) -> Any:
        return json.loads(self.body)["data"]


@dataclass(frozen=True, slots=True)
class SyncMember:
    """A validator of ours in one subcommittee of the sync committee."""

    index: int
    pubkey: bytes
    place: int


class NotYet(Exception):
    """An answer other than 200 while the cluster is still finding itself: the duty is let go."""


class ScriptedClient:
    """One client on the validator API at ``url``, with share keys by their public keys."""

    def __init__(
        self,
        form: Form,
        url: str,
        keys: Mapping[bytes, SecretKey],
        chain: ChainSpec,
        session: aiohttp.ClientSession,
    ) -> None:
        self.form = form
        self.calls: Counter[tuple[str, int, bool]] = Counter()  # (call, status, answered in SSZ)
        self.heads = 0
        self._url = url
        self._keys = keys
        self._chain = chain
        self._session = session
        self._indices: dict[int, bytes] = {}
        self._strict_from_slot = 0
        self._members: list[dict[str, Any]] = []  # ours of the epoch's sync committee

    async def run(self, *, strict_from_slot: int, until_slot: int) -> None:
        """Make every call of the table, slot by slot. At first the cluster may be too slow."""
        self._strict_from_slot = strict_from_slot
        await self._start()
        events = asyncio.create_task(self._listen())
        try:
            slot = max(self._chain.slot_at(time.time()), 0) + 1
            duties = await self._epoch(self._chain.epoch_of(slot))
            while slot < until_slot:
                await self._sleep_until(self._chain.slot_start_s(slot))
                await self._get("/eth/v1/node/syncing")
                if slot % self._chain.slots_per_epoch == 0:
                    duties = await self._epoch(self._chain.epoch_of(slot))
                async with asyncio.TaskGroup() as tasks:
                    for work in (
                        self._propose(slot),
                        self._attest(slot, duties),
                        self._serve_in_sync_committee(slot),
                    ):
                        tasks.create_task(self._try(work))
                slot += 1
        finally:
            events.cancel()
            await asyncio.gather(events, return_exceptions=True)

    async def _try(self, work: Coroutine[Any, Any, None]) -> None:
        with suppress(NotYet):
            await work

    async def _start(self) -> None:
        genesis = await self._get("/eth/v1/beacon/genesis")
        root = self._chain.forks.genesis_validators_root
        if genesis.is_ssz:
            assert genesis.body[8:40] == root
        else:
            assert genesis.data["genesis_validators_root"] == "0x" + root.hex()
        spec = await self._get("/eth/v1/config/spec", accept=JSON)
        assert spec.data["PRESET_BASE"] == self._chain.preset
        version = await self._get("/eth/v1/node/version", accept=JSON)
        assert "tetrarch" in version.data["version"]
        ids = ["0x" + key.hex() for key in self._keys]
        found = await self._post(VALIDATORS, {"ids": ids, "statuses": []}, as_json=True)
        for each in found.data:
            pubkey = bytes.fromhex(each["validator"]["pubkey"].removeprefix("0x"))
            assert pubkey in self._keys, "the client must see its shares as validators"
            self._indices[int(each["index"])] = pubkey
        assert len(self._indices) == len(self._keys)

    async def _listen(self) -> None:
        path = f"{self._url}/eth/v1/events?topics={self.form.topics}"
        async with self._session.get(
            path, headers={"Accept": "text/event-stream"}, timeout=aiohttp.ClientTimeout(None)
        ) as response:
            assert response.status == 200
            async for line in response.content:
                self.heads += line.startswith(b"event: head")

    async def _epoch(self, epoch: int) -> list[dict[str, Any]]:
        """The calls of an epoch; returns the attester duties."""
        indices = sorted(self._indices)
        body: object = [str(index) for index in indices]
        if self.form.ssz_bodies:
            body = b"".join(index.to_bytes(8, "little") for index in indices)
        got = await self._post(f"{VALIDATOR}/duties/attester/{epoch}", body)
        duties: list[dict[str, Any]] = got.data
        assert {int(duty["validator_index"]) for duty in duties} == set(indices)
        for duty in duties:
            assert bytes.fromhex(duty["pubkey"][2:]) == self._indices[int(duty["validator_index"])]
        self._members = (await self._post(f"{VALIDATOR}/duties/sync/{epoch}", body)).data
        preparations = [
            {"validator_index": str(index), "fee_recipient": "0x" + "22" * 20} for index in indices
        ]
        await self._post(f"{VALIDATOR}/prepare_beacon_proposer", preparations, as_json=True)
        subscriptions = [
            {
                "validator_index": duty["validator_index"],
                "committee_index": duty["committee_index"],
                "committees_at_slot": duty["committees_at_slot"],
                "slot": duty["slot"],
                "is_aggregator": False,
            }
            for duty in duties
        ]
        await self._post(f"{VALIDATOR}/beacon_committee_subscriptions", subscriptions, as_json=True)
        await self._post(f"{VALIDATOR}/sync_committee_subscriptions", [], as_json=True)
        return duties

    async def _propose(self, slot: int) -> None:
        epoch = self._chain.epoch_of(slot)
        got = await self._get(f"{VALIDATOR}/duties/proposer/{epoch}")
        mine = [
            bytes.fromhex(duty["pubkey"][2:])
            for duty in got.data
            if int(duty["slot"]) == slot and bytes.fromhex(duty["pubkey"][2:]) in self._keys
        ]
        if not mine:
            return
        (pubkey,) = mine
        reveal = self._sign(pubkey, DomainType.RANDAO, epoch, epoch_root(epoch))
        query = f"randao_reveal=0x{reveal.hex()}&fee_recipient=0x{'22' * 20}"
        query += "&builder_selection=maxprofit&builder_boost_factor=90"
        query += "&strict_fee_recipient_check=false&blinded_local=false"
        got = await self._get(f"/eth/v3/validator/blocks/{slot}?{query}")
        fork = Fork(got.headers["Eth-Consensus-Version"])
        blinded = got.headers["Eth-Execution-Payload-Blinded"] == "true"
        assert got.headers["Eth-Execution-Payload-Value"] == "1"
        assert got.headers["Eth-Consensus-Block-Value"] == "1"
        preset = self._chain.preset
        if got.is_ssz:
            proposal = Proposal.from_ssz(fork, blinded, got.body, preset=preset)
        else:
            proposal = Proposal.from_json(fork, blinded, got.data, preset=preset)
        root = proposal.hash_tree_root()
        signature = self._sign(pubkey, DomainType.BEACON_PROPOSER, epoch, root)
        signed: SignedProposal = sign_proposal(proposal, signature)
        path = "/eth/v2/beacon/blinded_blocks" if blinded else "/eth/v2/beacon/blocks"
        body: object = signed.ssz if self.form.ssz_blocks else signed.to_json()
        await self._post(f"{path}?broadcast_validation=gossip", body)

    async def _attest(self, slot: int, duties: list[dict[str, Any]]) -> None:
        mine = [duty for duty in duties if int(duty["slot"]) == slot]
        if not mine:
            return
        proofs = await self._selected(slot, mine)
        third_s = self._chain.slot_duration_ms / 3000
        await self._sleep_until(self._chain.slot_start_s(slot) + third_s)
        committee = mine[0]["committee_index"]
        query = f"committee_index={committee}&slot={slot}"
        got = await self._get(f"{VALIDATOR}/attestation_data?{query}")
        if got.is_ssz:
            data = AttestationData.from_ssz(got.body)
        else:
            assert self.form.accept == JSON
            data = attestation_data(got.data)
        by_index: dict[int, AttestationData] = {}
        attestations: list[SubmittedAttestation] = []
        for duty in mine:
            committee = int(duty["committee_index"])
            # One question for all committees of the slot, as the real ones do.
            own = data if self._is_electra(slot) else replace(data, index=committee)
            by_index[committee] = own
            pubkey = self._indices[int(duty["validator_index"])]
            signature = self._sign(
                pubkey, DomainType.BEACON_ATTESTER, data.target.epoch, own.hash_tree_root()
            )
            attestations.append(self._attestation(duty, own, signature))
        body: object = submissions_to_json(tuple(attestations))
        if self.form.ssz_bodies:
            body = submissions_to_ssz(self._chain.fork_at_slot(slot), tuple(attestations))
        await self._post(f"/eth/{self._version(slot)}/beacon/pool/attestations", body)
        await self._sleep_until(self._chain.slot_start_s(slot) + 2 * third_s)
        await self._aggregate(slot, by_index, mine, proofs)

    def _attestation(
        self, duty: dict[str, Any], data: AttestationData, signature: bytes
    ) -> SubmittedAttestation:
        if self._is_electra(data.slot):
            return SingleAttestation(
                committee_index=int(duty["committee_index"]),
                attester_index=int(duty["validator_index"]),
                data=data,
                signature=signature,
            )
        return build_attestation(
            data,
            committee_length=int(duty["committee_length"]),
            validator_committee_index=int(duty["validator_committee_index"]),
            signature=signature,
        )

    def _is_electra(self, slot: int) -> bool:
        return self._chain.fork_at_slot(slot).at_least(Fork.ELECTRA)

    def _version(self, slot: int) -> str:
        return "v1" if self.form.old_versions and not self._is_electra(slot) else "v2"

    async def _selected(self, slot: int, mine: list[dict[str, Any]]) -> list[bytes]:
        """The group's selection proofs. All clients of the cluster ask at the slot's start."""
        epoch, root = self._chain.epoch_of(slot), epoch_root(slot)
        selections = []
        for duty in mine:
            pubkey = self._indices[int(duty["validator_index"])]
            proof = self._sign(pubkey, DomainType.SELECTION_PROOF, epoch, root)
            selections.append(
                {
                    "validator_index": duty["validator_index"],
                    "slot": str(slot),
                    "selection_proof": "0x" + proof.hex(),
                }
            )
        body: object = selections_in_ssz(selections) if self.form.ssz_bodies else selections
        got = await self._post(f"{VALIDATOR}/beacon_committee_selections", body)
        return [bytes.fromhex(each["selection_proof"][2:]) for each in got.data]

    async def _aggregate(
        self,
        slot: int,
        votes: Mapping[int, AttestationData],
        mine: list[dict[str, Any]],
        proofs: list[bytes],
    ) -> None:
        fork, preset = self._chain.fork_at_slot(slot), self._chain.preset
        version = self._version(slot)
        signed = []
        for duty, proof in zip(mine, proofs, strict=True):
            assert is_aggregator(int(duty["committee_length"]), proof)  # small committees: all are
            committee = int(duty["committee_index"])
            root = votes[committee].hash_tree_root()
            query = f"attestation_data_root=0x{root.hex()}&slot={slot}"
            if version == "v2":
                query += f"&committee_index={committee}"
            got = await self._get(f"/eth/{version}/validator/aggregate_attestation?{query}")
            aggregate = (
                aggregate_from_ssz(fork, got.body, preset=preset)
                if got.is_ssz
                else aggregate_from_json(fork, got.data, preset=preset)
            )
            index = int(duty["validator_index"])
            message = AggregateAndProof(
                fork=fork,
                preset=preset,
                aggregator_index=index,
                aggregate=aggregate,
                selection_proof=proof,
            )
            domain, epoch = DomainType.AGGREGATE_AND_PROOF, self._chain.epoch_of(slot)
            signature = self._sign(self._indices[index], domain, epoch, message.hash_tree_root())
            signed.append(SignedAggregateAndProof(message=message, signature=signature))
        body: object = [each.to_json() for each in signed]
        if self.form.ssz_bodies:
            body = aggregates_in_ssz(signed)
        await self._post(f"/eth/{version}/validator/aggregate_and_proofs", body)

    async def _serve_in_sync_committee(self, slot: int) -> None:
        """Proofs at the slot's start, the head at a third of it, contributions at two thirds."""
        members = [
            SyncMember(int(each["validator_index"]), self._indices[int(each["validator_index"])], p)
            for each in self._members
            for p in self._places(each)
        ]
        proofs = await self._sync_selected(slot, members)
        start_s, third_s = self._chain.slot_start_s(slot), self._chain.slot_duration_ms / 3000
        await self._sleep_until(start_s + third_s)
        got = await self._get("/eth/v1/beacon/blocks/head/root", accept=JSON)
        head, epoch = bytes.fromhex(got.data["root"][2:]), self._chain.epoch_of(slot)
        votes = [
            SyncCommitteeMessage(
                slot=slot,
                beacon_block_root=head,
                validator_index=index,
                signature=self._sign(pubkey, DomainType.SYNC_COMMITTEE, epoch, head),
            )
            for index, pubkey in {each.index: each.pubkey for each in members}.items()
        ]
        await self._post_fixed("/eth/v1/beacon/pool/sync_committees", votes)
        await self._sleep_until(start_s + 2 * third_s)
        places = sorted({each.place for each in members})  # one question for each, as real ones
        found = {place: await self._contribution(slot, place, head) for place in places}
        signed = [
            self._signed_contribution(member, found[member.place], proof)
            for member, proof in zip(members, proofs, strict=True)
        ]
        await self._post_fixed(f"{VALIDATOR}/contribution_and_proofs", signed)

    def _places(self, duty: dict[str, Any]) -> tuple[int, ...]:
        positions = tuple(map(int, duty["validator_sync_committee_indices"]))
        return subcommittees_of(positions, preset=self._chain.preset)

    async def _sync_selected(self, slot: int, members: list[SyncMember]) -> list[bytes]:
        epoch, domain = self._chain.epoch_of(slot), DomainType.SYNC_COMMITTEE_SELECTION_PROOF
        selections = [
            {
                "validator_index": str(each.index),
                "slot": str(slot),
                "subcommittee_index": str(each.place),
                "selection_proof": "0x"
                + self._sign(
                    each.pubkey, domain, epoch, sync_selection_root(slot, each.place)
                ).hex(),
            }
            for each in members
        ]
        body: object = selections_in_ssz(selections) if self.form.ssz_bodies else selections
        got = await self._post(f"{VALIDATOR}/sync_committee_selections", body)
        told = [{**each, "selection_proof": ""} for each in got.data]
        assert told == [{**each, "selection_proof": ""} for each in selections], "their order"
        return [bytes.fromhex(each["selection_proof"][2:]) for each in got.data]

    async def _contribution(self, slot: int, place: int, head: bytes) -> SyncCommitteeContribution:
        query = f"slot={slot}&subcommittee_index={place}&beacon_block_root=0x{head.hex()}"
        got = await self._get(f"{VALIDATOR}/sync_committee_contribution?{query}")
        return SyncCommitteeContribution.from_json(got.data, preset=self._chain.preset)

    def _signed_contribution(
        self, member: SyncMember, contribution: SyncCommitteeContribution, proof: bytes
    ) -> SignedContributionAndProof:
        assert is_sync_aggregator(proof, preset=self._chain.preset)  # small committees: all are
        message = ContributionAndProof(
            aggregator_index=member.index, contribution=contribution, selection_proof=proof
        )
        domain = DomainType.CONTRIBUTION_AND_PROOF
        epoch = self._chain.epoch_of(contribution.slot)
        signature = self._sign(member.pubkey, domain, epoch, message.hash_tree_root())
        return SignedContributionAndProof(message=message, signature=signature)

    async def _post_fixed(
        self,
        path: str,
        items: Sequence[SyncCommitteeMessage] | Sequence[SignedContributionAndProof],
    ) -> None:
        body: object = [each.to_json() for each in items]
        if self.form.ssz_bodies:
            body = b"".join(each.to_ssz() for each in items)
        await self._post(path, body)

    def _sign(self, pubkey: bytes, domain: DomainType, epoch: int, root: bytes) -> bytes:
        return self._keys[pubkey].sign(self._chain.forks.signing_root(domain, epoch, root))

    async def _get(self, path: str, *, accept: str = "") -> Got:
        headers = {"Accept": accept or self.form.accept}
        if self.form.json_on_get:
            headers["Content-Type"] = JSON
        return await self._ask("GET", path, headers)

    async def _post(self, path: str, value: object, *, as_json: bool = False) -> Got:
        headers = {"Accept": JSON if as_json else self.form.accept}
        headers["Eth-Consensus-Version"] = self._chain.fork_at_slot(0).value  # one fork for all
        if isinstance(value, bytes):
            return await self._ask("POST", path, {**headers, "Content-Type": SSZ}, value)
        body = json.dumps(value).encode()
        return await self._ask("POST", path, {**headers, "Content-Type": JSON}, body)

    async def _ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Got:
        async with self._session.request(
            method, self._url + path, headers=headers, data=body
        ) as response:
            got = Got(response.status, response.headers, await response.read())
        parts = path.partition("?")[0].split("/")
        call = "/".join("N" if part.isdigit() else part for part in parts)
        ssz = got.headers.get("Content-Type", "").startswith(SSZ)
        self.calls[f"{method} {call}", got.status, ssz] += 1
        told = f"{self.form.name}: {method} {path}: {got.status} {got.body!r}"
        if got.status != 200 and self._chain.slot_at(time.time()) < self._strict_from_slot:
            raise NotYet(told)
        assert got.status == 200, told
        return got

    @staticmethod
    async def _sleep_until(wall_s: float) -> None:
        await asyncio.sleep(max(wall_s - time.time(), 0))


def epoch_root(epoch: int) -> bytes:
    """``hash_tree_root`` of an epoch."""
    return epoch.to_bytes(8, "little") + bytes(24)


def attestation_data(value: Any) -> AttestationData:
    """From the API's JSON, read by hand: not by the code under test."""

    def checkpoint(name: str) -> Checkpoint:
        root = bytes.fromhex(value[name]["root"][2:])
        return Checkpoint(epoch=int(value[name]["epoch"]), root=root)

    return AttestationData(
        slot=int(value["slot"]),
        index=int(value["index"]),
        beacon_block_root=bytes.fromhex(value["beacon_block_root"][2:]),
        source=checkpoint("source"),
        target=checkpoint("target"),
    )
