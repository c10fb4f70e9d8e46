"""Calls around sync committees: who is in them, what their members signed, and contributions."""

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.beacon_node.chain_calls import items_of
from tetrarch.ethereum.beacon_node.errors import BeaconNodeRefused
from tetrarch.ethereum.beacon_node.http import SSZ_PREFERRED, Answer, Call, Exchange, reading
from tetrarch.ethereum.beacon_node.ports import SyncDuties, SyncDuty, SyncSubscription
from tetrarch.ethereum.beacon_node.posts import post, post_in_batches
from tetrarch.ethereum.spec.aggregates import SignedContributionAndProof, SyncCommitteeContribution
from tetrarch.ethereum.spec.messages import SyncCommitteeMessage
from tetrarch.ethereum.spec.values import member, parse_hex, parse_uint64

SYNC_COMMITTEE_SIZE_MAX = 512
POSITIONS = "validator_sync_committee_indices"


async def sync_duties(exchange: Exchange, epoch: int, indices: tuple[int, ...]) -> SyncDuties:
    """Which of ``indices`` are in the sync committee of ``epoch``."""
    if not indices:
        return SyncDuties(epoch=epoch, duties=())  # the API wants at least one
    path = f"/eth/v1/validator/duties/sync/{epoch}"
    answer = (await post(exchange, path, [str(index) for index in indices])).json()
    wanted = set(indices)
    taken: set[int] = set()
    duties = []
    with reading(path):
        data = member(answer, "data", what="answer")
        for place, item in enumerate(items_of(data, what="data", length_max=len(wanted))):
            what = f"data[{place}]"
            duty = _sync_duty(item, what=what)
            if duty.validator_index not in wanted:
                raise InputInvalid("read JSON", field=what, reason="not asked for, or twice")
            if not taken.isdisjoint(duty.positions):
                raise InputInvalid("read JSON", field=f"{what}.{POSITIONS}", reason="taken")
            wanted.remove(duty.validator_index)
            taken.update(duty.positions)
            duties.append(duty)
        return SyncDuties(epoch=epoch, duties=tuple(duties))


def _sync_duty(item: object, *, what: str) -> SyncDuty:
    index = member(item, "validator_index", what=what)
    field = f"{what}.{POSITIONS}"
    listed = items_of(
        member(item, POSITIONS, what=what), what=field, length_max=SYNC_COMMITTEE_SIZE_MAX
    )
    positions = tuple(parse_uint64(each, what=field) for each in listed)
    if not positions or max(positions) >= SYNC_COMMITTEE_SIZE_MAX:
        raise InputInvalid("read JSON", field=field, reason="none, or out of range")
    if len(set(positions)) < len(positions):
        raise InputInvalid("read JSON", field=field, reason="twice the same")
    return SyncDuty(
        pubkey=parse_hex(member(item, "pubkey", what=what), size_bytes=48, what=f"{what}.pubkey"),
        validator_index=parse_uint64(index, what=f"{what}.validator_index"),
        positions=positions,
    )


async def sync_contribution(
    exchange: Exchange,
    *,
    slot: int,
    subcommittee_index: int,
    beacon_block_root: bytes,
    preset: str,
) -> SyncCommitteeContribution | None:
    """The best contribution of a sync subcommittee; None: the node saw no message."""
    path = "/eth/v1/validator/sync_committee_contribution"
    call = Call(
        method="GET",
        path=path,
        timeout_s=exchange.timeouts.read_s,
        query=(
            ("slot", str(slot)),
            ("subcommittee_index", str(subcommittee_index)),
            ("beacon_block_root", "0x" + beacon_block_root.hex()),
        ),
        headers={"Accept": SSZ_PREFERRED},
    )
    try:
        answer = await exchange.send(call)
    except BeaconNodeRefused as refusal:
        if refusal.status == 404:
            return None
        raise
    with reading(path):
        found = _contribution(answer, preset=preset)
        asked = {
            "slot": slot,
            "subcommittee_index": subcommittee_index,
            "beacon_block_root": beacon_block_root,
        }
        for name, value in asked.items():
            if getattr(found, name) != value:
                raise InputInvalid("read contribution", field=name, reason="not the asked one")
        if found.aggregation_bits.count() == 0:
            raise InputInvalid("read contribution", field="aggregation_bits", reason="nobody voted")
        return found


def _contribution(answer: Answer, *, preset: str) -> SyncCommitteeContribution:
    if answer.is_ssz:
        return SyncCommitteeContribution.from_ssz(answer.body, preset=preset)
    data = member(answer.json(), "data", what="answer")
    return SyncCommitteeContribution.from_json(data, preset=preset)


async def submit_sync_messages(
    exchange: Exchange, messages: tuple[SyncCommitteeMessage, ...]
) -> None:
    """Publish sync committee members' messages."""

    async def post_batch(batch: tuple[SyncCommitteeMessage, ...]) -> None:
        value = [each.to_json() for each in batch]
        await post(exchange, "/eth/v1/beacon/pool/sync_committees", value)

    await post_in_batches(messages, post_batch)


async def submit_contributions(
    exchange: Exchange, contributions: tuple[SignedContributionAndProof, ...]
) -> None:
    """Publish signed contributions."""

    async def post_batch(batch: tuple[SignedContributionAndProof, ...]) -> None:
        value = [each.to_json() for each in batch]
        await post(exchange, "/eth/v1/validator/contribution_and_proofs", value)

    await post_in_batches(contributions, post_batch)


async def subscribe_sync_committees(
    exchange: Exchange, subscriptions: tuple[SyncSubscription, ...]
) -> None:
    """Ask the node to join the sync subcommittees' subnets."""

    async def post_batch(batch: tuple[SyncSubscription, ...]) -> None:
        value = [
            {
                "validator_index": str(each.validator_index),
                "sync_committee_indices": [str(position) for position in each.positions],
                "until_epoch": str(each.until_epoch),
            }
            for each in batch
        ]
        await post(exchange, "/eth/v1/validator/sync_committee_subscriptions", value)

    await post_in_batches(subscriptions, post_batch)
