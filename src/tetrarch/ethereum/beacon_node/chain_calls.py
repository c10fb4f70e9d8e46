"""Calls about the chain and the node: genesis, constants, version, sync, states, headers."""

from typing import Any

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.beacon_node.errors import BeaconNodeRefused
from tetrarch.ethereum.beacon_node.http import JSON, Call, Exchange, encode_json, reading
from tetrarch.ethereum.beacon_node.ports import (
    BlockSummary,
    FinalityCheckpoints,
    Genesis,
    SyncStatus,
    ValidatorRecord,
    ValidatorStatus,
)
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.domains import FAR_FUTURE_EPOCH, ForkActivation, ForkSchedule
from tetrarch.ethereum.spec.values import Checkpoint, Fork, member, parse_hex, parse_uint64

VERSION_LENGTH_MAX = 256
VALIDATORS_PER_POST = 512
VALIDATORS_PER_GET = 64  # the API's own limit, for the URL's length
PRESETS = ("mainnet", "minimal")
SLOT_DURATION_MS_MAX = 600_000
SLOTS_PER_EPOCH_MAX = 4096


def parse_bool(value: object, *, what: str) -> bool:
    """A JSON boolean.

    Raises:
        InputInvalid: anything else.
    """
    if not isinstance(value, bool):
        raise InputInvalid("parse boolean", field=what, got=type(value).__name__)
    return value


def items_of(value: object, *, what: str, length_max: int = 2**20) -> list[Any]:
    """A JSON array.

    Raises:
        InputInvalid: anything else, or too many items.
    """
    if not isinstance(value, list):
        raise InputInvalid("parse array", field=what, got=type(value).__name__)
    if len(value) > length_max:
        raise InputInvalid("parse array", field=what, limit=length_max, got=len(value))
    return value


async def get_data(exchange: Exchange, path: str) -> Any:
    """The member ``data`` of the JSON answer to ``GET path``."""
    answer = await exchange.send(Call(method="GET", path=path, timeout_s=exchange.timeouts.read_s))
    with reading(path):
        return member(answer.json(), "data", what="answer")


async def genesis(exchange: Exchange) -> Genesis:
    """The chain's genesis."""
    path = "/eth/v1/beacon/genesis"
    data = await get_data(exchange, path)
    with reading(path):
        root = member(data, "genesis_validators_root", what="data")
        version = member(data, "genesis_fork_version", what="data")
        time_text = member(data, "genesis_time", what="data")
        return Genesis(
            time_s=parse_uint64(time_text, what="data.genesis_time"),
            validators_root=parse_hex(root, size_bytes=32, what="data.genesis_validators_root"),
            fork_version=parse_hex(version, size_bytes=4, what="data.genesis_fork_version"),
        )


async def chain_spec(exchange: Exchange) -> ChainSpec:
    """The chain's constants, from ``config/spec`` and genesis."""
    path = "/eth/v1/config/spec"
    start = await genesis(exchange)
    data = await get_data(exchange, path)
    with reading(path):
        preset = member(data, "PRESET_BASE", what="data")
        if preset not in PRESETS:
            raise InputInvalid("read JSON", field="data.PRESET_BASE", got=str(preset)[:32])
        slots_per_epoch = _config_integer(data, "SLOTS_PER_EPOCH")
        slot_duration_ms = _slot_duration_ms(data)
        if not 1 <= slots_per_epoch <= SLOTS_PER_EPOCH_MAX:
            raise InputInvalid("read JSON", field="data.SLOTS_PER_EPOCH", got=slots_per_epoch)
        if not 1 <= slot_duration_ms <= SLOT_DURATION_MS_MAX:
            raise InputInvalid("read JSON", field="slot duration", got_ms=slot_duration_ms)
        forks = ForkSchedule(
            genesis_fork_version=start.fork_version,
            genesis_validators_root=start.validators_root,
            activations=_activations(data, start.fork_version),
        )
        return ChainSpec(
            preset=preset,
            genesis_time_s=start.time_s,
            slot_duration_ms=slot_duration_ms,
            slots_per_epoch=slots_per_epoch,
            forks=forks,
        )


def _config_integer(data: object, name: str) -> int:
    return parse_uint64(member(data, name, what="data"), what=f"data.{name}")


def _slot_duration_ms(data: dict[str, object]) -> int:
    """Newer nodes name milliseconds; where both stand, the newer name rules."""
    if "SLOT_DURATION_MS" in data:
        return _config_integer(data, "SLOT_DURATION_MS")
    return _config_integer(data, "SECONDS_PER_SLOT") * 1000


def _activations(data: dict[str, object], genesis_version: bytes) -> tuple[ForkActivation, ...]:
    """Forks in order of activation; one that the chain never activates is left out."""
    activations = [ForkActivation(fork=Fork.PHASE0, version=genesis_version, epoch=0)]
    for fork in list(Fork)[1:]:
        prefix = fork.value.upper()
        if f"{prefix}_FORK_EPOCH" not in data:
            continue
        epoch = _config_integer(data, f"{prefix}_FORK_EPOCH")
        if epoch == FAR_FUTURE_EPOCH:
            continue
        name = f"{prefix}_FORK_VERSION"
        version = parse_hex(member(data, name, what="data"), size_bytes=4, what=f"data.{name}")
        if epoch < activations[-1].epoch:
            raise InputInvalid("read JSON", field=f"data.{prefix}_FORK_EPOCH", reason="order")
        activations.append(ForkActivation(fork=fork, version=version, epoch=epoch))
    return tuple(activations)


async def node_version(exchange: Exchange) -> str:
    """The node's version string."""
    path = "/eth/v1/node/version"
    data = await get_data(exchange, path)
    with reading(path):
        version = member(data, "version", what="data")
        if not isinstance(version, str):
            raise InputInvalid("read JSON", field="data.version", got=type(version).__name__)
        return "".join(c for c in version if c.isprintable())[:VERSION_LENGTH_MAX]


async def syncing(exchange: Exchange) -> SyncStatus:
    """Whether the node follows the head."""
    path = "/eth/v1/node/syncing"
    data = await get_data(exchange, path)
    with reading(path):
        head_slot = member(data, "head_slot", what="data")
        distance = member(data, "sync_distance", what="data")
        return SyncStatus(
            head_slot=parse_uint64(head_slot, what="data.head_slot"),
            sync_distance=parse_uint64(distance, what="data.sync_distance"),
            is_syncing=parse_bool(member(data, "is_syncing", what="data"), what="data.is_syncing"),
            # Nodes before the merge, and old ones after it, leave these out.
            is_optimistic=parse_bool(data.get("is_optimistic", False), what="data.is_optimistic"),
            el_offline=parse_bool(data.get("el_offline", False), what="data.el_offline"),
        )


async def validators(
    exchange: Exchange, pubkeys: tuple[bytes, ...], state_id: str
) -> tuple[ValidatorRecord, ...]:
    """The known ones of ``pubkeys``: by POST in large batches, by GET on nodes without it."""
    path = f"/eth/v1/beacon/states/{state_id}/validators"
    wanted = set(pubkeys)
    ids = tuple("0x" + pubkey.hex() for pubkey in dict.fromkeys(pubkeys))
    found: list[ValidatorRecord] = []
    for start in range(0, len(ids), VALIDATORS_PER_POST):
        batch = ids[start : start + VALIDATORS_PER_POST]
        try:
            answers = [await _post_validators(exchange, path, batch)]
        except BeaconNodeRefused as refusal:
            if refusal.status not in (404, 405, 415, 501):
                raise
            answers = await _get_validators(exchange, path, batch)
        with reading(path):
            for answer in answers:
                found += _parse_validators(answer, wanted)
    return tuple(found)


async def _post_validators(exchange: Exchange, path: str, ids: tuple[str, ...]) -> object:
    call = Call(
        method="POST",
        path=path,
        timeout_s=exchange.timeouts.read_s,
        headers={"Content-Type": JSON},
        body=encode_json({"ids": ids}),
    )
    return (await exchange.send(call)).json()


async def _get_validators(exchange: Exchange, path: str, ids: tuple[str, ...]) -> list[object]:
    answers: list[object] = []
    for start in range(0, len(ids), VALIDATORS_PER_GET):
        # Repeated, as the API has it: old nodes take a list with commas for one odd key.
        query = tuple(("id", each) for each in ids[start : start + VALIDATORS_PER_GET])
        call = Call(method="GET", path=path, timeout_s=exchange.timeouts.read_s, query=query)
        answers.append((await exchange.send(call)).json())
    return answers


def _parse_validators(answer: object, wanted: set[bytes]) -> list[ValidatorRecord]:
    records = []
    data = member(answer, "data", what="answer")
    for index, item in enumerate(items_of(data, what="data", length_max=len(wanted))):
        record = parse_validator(item, what=f"data[{index}]")
        if record.pubkey not in wanted:
            raise InputInvalid("read JSON", field=f"data[{index}].pubkey", reason="not asked for")
        records.append(record)
    return records


def parse_validator(item: object, *, what: str) -> ValidatorRecord:
    """One entry of the validators' answer.

    Raises:
        InputInvalid: names the field.
    """
    inner = member(item, "validator", what=what)
    pubkey = member(inner, "pubkey", what=f"{what}.validator")
    status = member(item, "status", what=what)
    try:
        known_status = ValidatorStatus(status)
    except ValueError:
        raise InputInvalid("read JSON", field=f"{what}.status", got=str(status)[:32]) from None
    epochs = {
        name: parse_uint64(member(inner, name, what=f"{what}.validator"), what=f"{what}.{name}")
        for name in ("activation_epoch", "exit_epoch")
    }
    return ValidatorRecord(
        index=parse_uint64(member(item, "index", what=what), what=f"{what}.index"),
        pubkey=parse_hex(pubkey, size_bytes=48, what=f"{what}.validator.pubkey"),
        status=known_status,
        balance_gwei=parse_uint64(member(item, "balance", what=what), what=f"{what}.balance"),
        **epochs,
    )


async def block(exchange: Exchange, block_id: str) -> BlockSummary | None:
    """The canonical block ``block_id``; None where the node knows none."""
    path = f"/eth/v1/beacon/headers/{block_id}"
    try:
        data = await get_data(exchange, path)
    except BeaconNodeRefused as refusal:
        if refusal.status == 404:
            return None
        raise
    with reading(path):
        root = member(data, "root", what="data")
        header = member(data, "header", what="data")
        message = member(header, "message", what="data.header")
        what = "data.header.message"
        proposer = member(message, "proposer_index", what=what)
        parent = member(message, "parent_root", what=what)
        return BlockSummary(
            slot=parse_uint64(member(message, "slot", what=what), what=f"{what}.slot"),
            root=parse_hex(root, size_bytes=32, what="data.root"),
            parent_root=parse_hex(parent, size_bytes=32, what=f"{what}.parent_root"),
            proposer_index=parse_uint64(proposer, what=f"{what}.proposer_index"),
        )


async def finality_checkpoints(exchange: Exchange, state_id: str) -> FinalityCheckpoints:
    """What the state ``state_id`` holds for justified and final."""
    path = f"/eth/v1/beacon/states/{state_id}/finality_checkpoints"
    data = await get_data(exchange, path)
    with reading(path):
        names = ("previous_justified", "current_justified", "finalized")
        previous, current, finalized = (
            Checkpoint.from_json(member(data, name, what="data"), what=f"data.{name}")
            for name in names
        )
        return FinalityCheckpoints(
            previous_justified=previous, current_justified=current, finalized=finalized
        )
