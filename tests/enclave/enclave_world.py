"""Share files and a chain for the enclave's tests: real keystores, cheap to open."""

import itertools
import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tetrarch.crypto.bls import SecretKey
from tetrarch.crypto.keystore import KeystoreCost, encrypt_keystore
from tetrarch.enclave.client import EnclaveClient
from tetrarch.enclave.messages import ShareFile
from tetrarch.enclave.ports import SignAttestation, SignBlock
from tetrarch.entropy import Entropy
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.domains import ForkActivation, ForkSchedule
from tetrarch.ethereum.spec.values import (
    AttestationData,
    BeaconBlockHeader,
    Checkpoint,
    Fork,
)

NOW_S = 1_000_000.0
NOW_EPOCH = 1000


class FixedClock:
    def __init__(self, wall_s: float = NOW_S) -> None:
        self.now_s = wall_s

    def wall_s(self) -> float:
        return self.now_s


def counting_entropy(label: str) -> Entropy:
    numbers = itertools.count()

    def entropy(size_bytes: int, /) -> bytes:
        block = sha256(f"{label}/{next(numbers)}".encode()).digest()
        return block[:size_bytes].ljust(size_bytes, b"\0")

    return entropy


def secret(label: str) -> SecretKey:
    return SecretKey.generate(counting_entropy(label))


@dataclass(frozen=True)
class Validator:
    pubkey: bytes
    share: SecretKey


def validators(count: int) -> tuple[Validator, ...]:
    return tuple(
        Validator(secret(f"root {number}").public_key(), secret(f"share {number}"))
        for number in range(count)
    )


def chain(*, genesis_time_s: int, genesis_validators_root: bytes = b"\x07" * 32) -> ChainSpec:
    """Slots of 125 ms, 8 to an epoch: at ``NOW_S`` after genesis 0 it is epoch 1000000."""
    return ChainSpec(
        preset="minimal",
        genesis_time_s=genesis_time_s,
        slot_duration_ms=125,
        slots_per_epoch=8,
        forks=ForkSchedule(
            genesis_fork_version=b"\0\0\0\1",
            genesis_validators_root=genesis_validators_root,
            activations=(
                ForkActivation(fork=Fork.DENEB, version=b"\4\0\0\1", epoch=0),
                ForkActivation(fork=Fork.ELECTRA, version=b"\5\0\0\1", epoch=10),
            ),
        ),
    )


NOW_CHAIN = chain(genesis_time_s=int(NOW_S) - NOW_EPOCH)
OLD_CHAIN = chain(genesis_time_s=0)  # for real clocks: every small epoch lies in the past


def write_share(
    folder: Path, validator: Validator, *, name: str, password: str = "pw"
) -> ShareFile:
    keystore, password_file = folder / f"{name}.json", folder / f"{name}.txt"
    content = encrypt_keystore(
        validator.share, password, entropy=counting_entropy(name), cost=KeystoreCost.INSECURE
    )
    keystore.write_text(json.dumps(content))
    password_file.write_text(password + "\n")
    return ShareFile(
        validator.pubkey, validator.share.public_key(), str(keystore), str(password_file)
    )


def vote(
    pubkey: bytes, source: int, target: int, *, head: bytes = b"h" * 32, slot: int | None = None
) -> SignAttestation:
    return SignAttestation(
        pubkey,
        AttestationData(
            slot=target * 8 if slot is None else slot,
            index=0,
            beacon_block_root=head,
            source=Checkpoint(epoch=source, root=b"s" * 32),
            target=Checkpoint(epoch=target, root=b"t" * 32),
        ),
    )


def block(pubkey: bytes, slot: int, *, body: bytes = b"b" * 32) -> SignBlock:
    return SignBlock(
        pubkey,
        BeaconBlockHeader(
            slot=slot,
            proposer_index=1,
            parent_root=b"p" * 32,
            state_root=b"s" * 32,
            body_root=body,
        ),
    )


def shares(folder: Path, count: int) -> tuple[tuple[Validator, ...], list[ShareFile]]:
    keys = validators(count)
    return keys, [write_share(folder, key, name=f"share-{n}") for n, key in enumerate(keys)]


async def started(folder: Path, files, **options) -> EnclaveClient:
    """A real enclave process that serves ``OLD_CHAIN``."""
    client = await EnclaveClient.start(
        database=folder / "slashing.db", shares=files, answer_timeout_s=60, **options
    )
    try:
        await client.configure(OLD_CHAIN)
    except BaseException:
        await client.close()
        raise
    return client
