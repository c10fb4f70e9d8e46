"""A 130 kB Electra block: decode and hash it with ours, with remerkleable, and hash alone.

The block has 8 attestations of full committees, 200 transactions and 16 withdrawals. ``bare``
does as many 64-byte hashes as the block's root needs, in one loop (with hashlib, and with the
function that ``tetrarch.ssz.hashing`` chose): code that hashes pair by pair cannot be faster.
"""

from collections.abc import Callable
from hashlib import sha256
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

from tetrarch.ethereum.spec.forks import spec_types
from tetrarch.ethereum.spec.proposals import Proposal
from tetrarch.ethereum.spec.values import Fork
from tetrarch.ssz import basic, container, hashing
from tetrarch.ssz.bits import Bits
from tetrarch.ssz.container import Record

REPEATS = 21
COMMITTEES = 64
COMMITTEE_SIZE = 480


def make_block(seed: int = 1) -> Record:
    """An unsigned Electra block of about 130 kB."""
    rng = Random(seed)
    types = spec_types(Fork.ELECTRA, "mainnet")

    def attestation() -> Record:
        checkpoint = types.Checkpoint(epoch=2, root=rng.randbytes(32))
        data = types.AttestationData(
            slot=9,
            index=0,
            beacon_block_root=rng.randbytes(32),
            source=checkpoint,
            target=checkpoint,
        )
        bits = (rng.random() < 0.98 for _ in range(COMMITTEES * COMMITTEE_SIZE))
        return types.Attestation(
            aggregation_bits=Bits.of(bits),
            data=data,
            signature=rng.randbytes(96),
            committee_bits=Bits.of([True] * COMMITTEES),
        )

    payload = types.ExecutionPayload.default().replace(
        transactions=tuple(rng.randbytes(int(rng.expovariate(1 / 397)) + 100) for _ in range(200)),
        withdrawals=tuple(
            types.Withdrawal(index=i, validator_index=i, address=rng.randbytes(20), amount=i)
            for i in range(16)
        ),
    )
    body = types.BeaconBlockBody.default().replace(
        attestations=tuple(attestation() for _ in range(8)),
        sync_aggregate=types.SyncAggregate(
            sync_committee_bits=Bits.of([True] * 512), sync_committee_signature=rng.randbytes(96)
        ),
        execution_payload=payload,
        blob_kzg_commitments=tuple(rng.randbytes(48) for _ in range(6)),
    )
    return types.BeaconBlock.default().replace(slot=9, body=body)


def median_ms(work: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Median milliseconds of one call, after one that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return round(median(times) * 1000, 3)


def count_hashes(work: Callable[[], Any]) -> int:
    """How many SHA-256 calls ``work`` makes through our modules."""
    count = 0

    def counted(data: bytes) -> Any:
        nonlocal count
        count += 1
        return sha256(data)

    modules: list[Any] = [hashing, basic]
    chosen = hashing.sha256
    for module in modules:
        module.sha256 = counted
    try:
        work()
    finally:
        for module in modules:
            module.sha256 = chosen
    return count


def _bare(hash_function: Callable[[bytes], Any], count: int) -> Callable[[], None]:
    pairs = [i.to_bytes(64, "little") for i in range(count)]

    def work() -> None:
        for pair in pairs:
            hash_function(pair).digest()

    return work


def run() -> dict[str, Any]:
    """Measure, print a table, and return its figures."""
    from eth_consensus_specs.electra import mainnet as oracle  # noqa: PLC0415 - 1 s to import

    block = make_block()
    data = block.encode()
    kind = spec_types(Fork.ELECTRA, "mainnet").BeaconBlock
    contents = spec_types(Fork.ELECTRA, "mainnet").BlockContents(
        block=block, kzg_proofs=(), blobs=()
    )
    contents_data = contents.encode()
    assert kind.decode(data).hash_tree_root() == bytes(
        oracle.BeaconBlock.decode_bytes(data).hash_tree_root()
    )
    hashes = count_hashes(lambda: kind.decode(data).hash_tree_root())

    result: dict[str, Any] = {"size_bytes": len(data), "hashes": hashes}
    result["ours_decode_ms"] = median_ms(lambda: kind.decode(data))
    result["ours_root_ms"] = _root_only_ms(kind, data)
    result["ours_decode_root_ms"] = median_ms(lambda: kind.decode(data).hash_tree_root())
    result["ours_proposal_ms"] = median_ms(
        lambda: Proposal.from_ssz(Fork.ELECTRA, False, contents_data, preset="mainnet")
    )
    result["ours_encode_ms"] = median_ms(block.encode)
    value = block.to_json()
    result["ours_to_json_ms"] = median_ms(block.to_json)
    result["ours_from_json_ms"] = median_ms(lambda: kind.from_json(value))
    result["remerkleable_decode_root_ms"] = median_ms(
        lambda: oracle.BeaconBlock.decode_bytes(data).hash_tree_root(), repeats=5
    )
    result["bare_hashlib_ms"] = median_ms(_bare(sha256, hashes))
    result["bare_chosen_ms"] = median_ms(_bare(hashing.sha256, hashes))
    result["goal_decode_root_ms"] = 20
    _print(result)
    return result


def _root_only_ms(kind: container.Container, data: bytes) -> float:
    times = []
    for _ in range(REPEATS):
        fresh = kind.decode(data)  # a record keeps its root, so each is hashed once
        start = perf_counter()
        fresh.hash_tree_root()
        times.append(perf_counter() - start)
    return round(median(times) * 1000, 3)


def _print(result: dict[str, Any]) -> None:
    print(f"Electra block, {result['size_bytes']} bytes, {result['hashes']} hashes; medians")
    for name, value in result.items():
        if name.endswith("_ms"):
            print(f"  {name.removesuffix('_ms'):28} {value:10.3f} ms")


if __name__ == "__main__":
    run()
