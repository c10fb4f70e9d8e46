"""Operations for blocks, right ones and nearly right ones, signed with interop keys."""

from hashlib import sha256
from random import Random
from typing import Any

from tetrarch.crypto.bls import aggregate
from tetrarch.ethereum.devchain.committees import committees_of_epoch
from tetrarch.ethereum.devchain.keys import interop_key, interop_public_key
from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.exits import exit_domain
from tetrarch.ethereum.spec.domains import DomainType, compute_domain, compute_signing_root
from tetrarch.ssz.bits import Bits
from tetrarch.ssz.hashing import ZERO_HASHES, hash_pair

KEYS = 64  # validators 0 to 63 have interop keys 0 to 63; more keys belong to nobody yet
INFINITY = b"\xc0" + bytes(95)


def sign(validators: list[int], root: bytes, domain: bytes) -> bytes:
    """The aggregate of the validators' signatures; infinity of nobody."""
    signing_root = compute_signing_root(root, domain)
    known = [interop_key(index % (2 * KEYS)).sign(signing_root) for index in validators]
    return aggregate(known) if known else INFINITY


class OperationMaker:
    """Makes operations that are mostly right for one state."""

    def __init__(self, rng: Random, state: State) -> None:
        self.rng = rng
        self.state = state
        self.types = state.rules.types

    def often(self, share: float = 0.85) -> bool:
        return self.rng.random() < share

    def validator(self) -> int:
        return self.rng.randrange(len(self.state.validators))

    # Attestations

    def past_root(self, slot: int) -> bytes:
        kept = self.state.rules.preset.slots_per_historical_root
        return self.state.block_roots[slot % kept]

    def attestation_data(self) -> Any:
        state, rng = self.state, self.rng
        slots = state.rules.preset.slots_per_epoch
        first = max(0, state.rules.first_slot(state.previous_epoch))
        slot = rng.randrange(first, max(first + 1, state.slot))
        if not self.often(0.95):
            slot = max(0, slot + rng.choice((-slots, slots, 1)))
        epoch = slot // slots
        source = (
            state.current_justified_checkpoint
            if epoch == state.epoch
            else state.previous_justified_checkpoint
        )
        target = self.types.Checkpoint(epoch=epoch, root=self.past_root(epoch * slots))
        data = self.types.AttestationData(
            slot=slot,
            index=0,
            beacon_block_root=self.past_root(slot),
            source=source,
            target=target,
        )
        if self.often():
            return data
        kind = self.types.AttestationData
        name = rng.choice(("beacon_block_root", "source", "target", "index"))
        wrong = {"beacon_block_root": rng.randbytes(32), "index": 1}
        wrong["source"] = wrong["target"] = self.types.Checkpoint(
            epoch=rng.randrange(4), root=rng.randbytes(32)
        )
        return kind.coerce(data.replace(**{name: wrong[name]}))

    def attestation(self) -> Any:
        state, rng, data = self.state, self.rng, self.attestation_data()
        epoch = data.slot // state.rules.preset.slots_per_epoch
        committees = committees_of_epoch(state, min(epoch, state.epoch + 1))
        of_slot = committees[data.slot % state.rules.preset.slots_per_epoch]
        count = len(of_slot) if state.rules.is_electra and self.often(0.5) else 1
        chosen = sorted(rng.sample(range(len(of_slot)), min(count, len(of_slot))))
        if not state.rules.is_electra and data.index == 0:
            data = data.replace(index=chosen[0])
        flags, signers = [], []
        for index in chosen:
            for validator in of_slot[index]:
                flags.append(self.often(0.7))
                if flags[-1]:
                    signers.append(validator)
        domain = state.domain(DomainType.BEACON_ATTESTER, data.target.epoch)
        fields = {
            "aggregation_bits": Bits.of(flags),
            "data": data,
            "signature": sign(signers, data.hash_tree_root(), domain),
        }
        if state.rules.is_electra:
            size = state.rules.preset.max_committees_per_slot
            fields["committee_bits"] = Bits.of(place in chosen for place in range(size))
        return self.types.Attestation(**fields)

    # Slashings

    def proposer_slashing(self) -> Any:
        rng, index = self.rng, self.validator()
        slot = rng.randrange(self.state.slot + 20)
        domain = self.state.domain(
            DomainType.BEACON_PROPOSER, slot // self.state.rules.preset.slots_per_epoch
        )
        signed = []
        for _ in range(2):
            header = self.types.BeaconBlockHeader(
                slot=slot,
                proposer_index=index,
                parent_root=rng.randbytes(32),
                state_root=bytes(32),
                body_root=bytes(32),
            )
            by = sign([index], header.hash_tree_root(), domain)
            signed.append(self.types.SignedBeaconBlockHeader(message=header, signature=by))
        if not self.often(0.9):
            signed[1] = signed[0]
        kind = self.types.ProposerSlashing
        return kind(signed_header_1=signed[0], signed_header_2=signed[1])

    def attester_slashing(self) -> Any:
        rng = self.rng
        source, target = rng.randrange(3), rng.randrange(3, 6)
        spans = [(source, target), (source, target)]
        if self.often(0.4):
            spans = [(source, target + 1), (source + 1, target)]
            if not self.often(0.7):
                spans.reverse()
        first = [self._indexed(*spans[0])]
        shared = list(first[0].attesting_indices) if self.often(0.9) else None
        second = self._indexed(*spans[1], shared)
        return self.types.AttesterSlashing(attestation_1=first[0], attestation_2=second)

    def _indexed(self, source: int, target: int, indices: list[int] | None = None) -> Any:
        rng = self.rng
        if indices is None:
            count = rng.randrange(1, 4)
            indices = sorted(rng.sample(range(len(self.state.validators)), count))
        data = self.types.AttestationData(
            slot=rng.randrange(100),
            index=0,
            beacon_block_root=rng.randbytes(32),
            source=self.types.Checkpoint(epoch=source, root=bytes(32)),
            target=self.types.Checkpoint(epoch=target, root=bytes(32)),
        )
        domain = self.state.domain(DomainType.BEACON_ATTESTER, target)
        signature = sign(indices, data.hash_tree_root(), domain)
        if not self.often(0.95):
            indices = [*indices[::-1], indices[0]]
        kind = self.types.IndexedAttestation
        return kind(attesting_indices=tuple(indices), data=data, signature=signature)

    # Exits and credentials

    def voluntary_exit(self) -> Any:
        index = self.validator()
        message = self.types.VoluntaryExit(
            epoch=self.rng.randrange(self.state.epoch + 2), validator_index=index
        )
        domain = exit_domain(self.state, message.epoch)
        if not self.often(0.9):
            domain = self.state.domain(DomainType.VOLUNTARY_EXIT)
        by = sign([index], message.hash_tree_root(), domain)
        return self.types.SignedVoluntaryExit(message=message, signature=by)

    def bls_to_execution_change(self) -> Any:
        index = self.validator() // 4 * 4 + 3 if self.often() else self.validator()
        message = self.types.BLSToExecutionChange(
            validator_index=index,
            from_bls_pubkey=interop_public_key(index if self.often(0.9) else 0),
            to_execution_address=self.rng.randbytes(20),
        )
        root = self.state.genesis_validators_root
        domain = self.state.rules.bls_change_domain(root if self.often(0.9) else bytes(32))
        by = sign([index], message.hash_tree_root(), domain)
        return self.types.SignedBLSToExecutionChange(message=message, signature=by)

    # Deposits and requests

    def deposit_data(self) -> dict[str, Any]:
        rng = self.rng
        index = rng.randrange(KEYS, 2 * KEYS) if self.often(0.6) else self.validator()
        message = self.types.DepositMessage(
            pubkey=interop_public_key(index),
            withdrawal_credentials=bytes((rng.randrange(4),)) + bytes(11) + rng.randbytes(20),
            amount=rng.choice((0, 1, 10**9, 32 * 10**9, 33 * 10**9 + 5, 64 * 10**9)),
        )
        domain = compute_domain(DomainType.DEPOSIT, bytes((0, 0, 0, 1)))
        by = sign([index if self.often() else index + 1], message.hash_tree_root(), domain)
        return {name: getattr(message, name) for name in message.ssz_type.fields} | {
            "signature": by
        }

    def deposit_request(self) -> Any:
        return self.types.DepositRequest(**self.deposit_data(), index=self.rng.randrange(100))

    def _address(self, index: int) -> bytes:
        if not self.often(0.9):
            return self.rng.randbytes(20)
        credentials: bytes = self.state.validators[index].withdrawal_credentials
        return credentials[12:]

    def withdrawal_request(self) -> Any:
        index = self.validator()
        return self.types.WithdrawalRequest(
            source_address=self._address(index),
            validator_pubkey=interop_public_key(index if self.often(0.95) else 100),
            amount=self.rng.choice((0, 0, 1, 10**9, 2**64 - 1)),
        )

    def consolidation_request(self) -> Any:
        source, target = self.validator(), self.validator() // 4 * 4 + 2
        if self.often(0.4):
            target = source
        return self.types.ConsolidationRequest(
            source_address=self._address(source),
            source_pubkey=interop_public_key(source),
            target_pubkey=interop_public_key(target if self.often(0.95) else 100),
        )

    def sync_aggregate(self) -> Any:
        state, rng = self.state, self.rng
        keys = state.current_sync_committee.pubkeys
        share = rng.choice((0.0, 0.3, 0.8, 1.0))
        flags = [rng.random() < share for _ in keys]
        members = [
            state.index_of(key) or 0 for key, present in zip(keys, flags, strict=True) if present
        ]
        previous = state.slot - 1
        domain = state.domain(
            DomainType.SYNC_COMMITTEE, previous // state.rules.preset.slots_per_epoch
        )
        root = self.past_root(previous) if self.often(0.9) else rng.randbytes(32)
        return self.types.SyncAggregate(
            sync_committee_bits=Bits.of(flags),
            sync_committee_signature=sign(members, root, domain),
        )


def with_due_deposits(rng: Random, state: State, count: int) -> list[Any]:
    """Make ``state`` owe ``count`` deposits (in place), and return them with their proofs."""
    maker, types = OperationMaker(rng, state), state.rules.types
    first = state.eth1_deposit_index
    data = [types.DepositData(**maker.deposit_data()) for _ in range(count)]
    level = {first + place: each.hash_tree_root() for place, each in enumerate(data)}
    proofs: list[list[bytes]] = [[] for _ in data]
    for depth in range(32):
        zero = ZERO_HASHES[depth]
        for place, proof in enumerate(proofs):
            proof.append(level.get((first + place) >> depth ^ 1, zero))
        parents = {index >> 1 for index in level}
        level = {
            each: hash_pair(level.get(2 * each, zero), level.get(2 * each + 1, zero))
            for each in parents
        }
    length = (first + count).to_bytes(32, "little")
    state.eth1_data = types.Eth1Data(
        deposit_root=sha256(level[0] + length).digest(),
        deposit_count=first + count,
        block_hash=bytes(32),
    )
    return [
        types.Deposit(proof=(*proof, length), data=each)
        for proof, each in zip(proofs, data, strict=True)
    ]
