"""Calls around duties: who attests and proposes, what to attest to, and what was signed."""

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.beacon_node.chain_calls import items_of
from tetrarch.ethereum.beacon_node.errors import BeaconNodeRefused
from tetrarch.ethereum.beacon_node.http import (
    GONE,
    SSZ_PREFERRED,
    Call,
    Exchange,
    reading,
)
from tetrarch.ethereum.beacon_node.ports import (
    AttestationSubmission,
    AttesterDuties,
    AttesterDuty,
    CommitteeSubscription,
    ProposerDuties,
    ProposerDuty,
    ProposerPreparation,
)
from tetrarch.ethereum.beacon_node.posts import post, post_in_batches, post_newest
from tetrarch.ethereum.spec.attestations import (
    SingleAttestation,
    SubmittedAttestation,
    build_attestation,
    submissions_to_json,
)
from tetrarch.ethereum.spec.values import AttestationData, Fork, member, parse_hex, parse_uint64

COMMITTEES_PER_SLOT_MAX = 64


async def attester_duties(
    exchange: Exchange, epoch: int, indices: tuple[int, ...]
) -> AttesterDuties:
    """Attester duties of ``indices`` in ``epoch``."""
    path = f"/eth/v1/validator/duties/attester/{epoch}"
    answer = (await post(exchange, path, [str(index) for index in indices])).json()
    wanted = set(indices)
    with reading(path):
        root = member(answer, "dependent_root", what="answer")
        data = member(answer, "data", what="answer")
        duties = []
        for position, item in enumerate(items_of(data, what="data", length_max=len(wanted))):
            duty = _attester_duty(item, what=f"data[{position}]")
            if duty.validator_index not in wanted:
                raise InputInvalid("read JSON", field=f"data[{position}]", reason="not asked for")
            duties.append(duty)
        return AttesterDuties(
            epoch=epoch,
            dependent_root=parse_hex(root, size_bytes=32, what="dependent_root"),
            duties=tuple(duties),
        )


def _attester_duty(item: object, *, what: str) -> AttesterDuty:
    def number(name: str) -> int:
        return parse_uint64(member(item, name, what=what), what=f"{what}.{name}")

    duty = AttesterDuty(
        pubkey=parse_hex(member(item, "pubkey", what=what), size_bytes=48, what=f"{what}.pubkey"),
        slot=number("slot"),
        validator_index=number("validator_index"),
        committee_index=number("committee_index"),
        committee_length=number("committee_length"),
        committees_at_slot=number("committees_at_slot"),
        validator_committee_index=number("validator_committee_index"),
    )
    if not duty.committee_index < duty.committees_at_slot <= COMMITTEES_PER_SLOT_MAX:
        raise InputInvalid("read JSON", field=f"{what}.committee_index", reason="out of range")
    if duty.validator_committee_index >= duty.committee_length:
        raise InputInvalid(
            "read JSON", field=f"{what}.validator_committee_index", reason="out of range"
        )
    return duty


async def proposer_duties(exchange: Exchange, epoch: int) -> ProposerDuties:
    """All proposers of ``epoch``. Version 1 first: it is the one that every node has."""
    path = f"/eth/v1/validator/duties/proposer/{epoch}"
    call = Call(method="GET", path=path, timeout_s=exchange.timeouts.read_s)
    try:
        answer = (await exchange.send(call)).json()
    except BeaconNodeRefused as refusal:
        if refusal.status not in GONE:
            raise
        path = f"/eth/v2/validator/duties/proposer/{epoch}"
        call = Call(method="GET", path=path, timeout_s=exchange.timeouts.read_s)
        answer = (await exchange.send(call)).json()
    with reading(path):
        root = member(answer, "dependent_root", what="answer")
        data = items_of(member(answer, "data", what="answer"), what="data", length_max=4096)
        duties = []
        for position, item in enumerate(data):
            what = f"data[{position}]"
            pubkey = member(item, "pubkey", what=what)
            index = member(item, "validator_index", what=what)
            duty = ProposerDuty(
                pubkey=parse_hex(pubkey, size_bytes=48, what=f"{what}.pubkey"),
                slot=parse_uint64(member(item, "slot", what=what), what=f"{what}.slot"),
                validator_index=parse_uint64(index, what=f"{what}.validator_index"),
            )
            duties.append(duty)
        return ProposerDuties(
            epoch=epoch,
            dependent_root=parse_hex(root, size_bytes=32, what="dependent_root"),
            duties=tuple(duties),
        )


async def attestation_data(exchange: Exchange, slot: int, committee_index: int) -> AttestationData:
    """What the node would attest to in ``slot``."""
    path = "/eth/v1/validator/attestation_data"
    call = Call(
        method="GET",
        path=path,
        timeout_s=exchange.timeouts.read_s,
        query=(("slot", str(slot)), ("committee_index", str(committee_index))),
        headers={"Accept": SSZ_PREFERRED},
    )
    answer = await exchange.send(call)
    with reading(path):
        if answer.is_ssz:
            data = AttestationData.from_ssz(answer.body)
        else:
            data = AttestationData.from_json(member(answer.json(), "data", what="answer"))
        if data.slot != slot:
            raise InputInvalid("read JSON", field="data.slot", expected=slot, got=data.slot)
        if data.index not in (0, committee_index):  # 0 from Electra on
            raise InputInvalid(
                "read JSON", field="data.index", expected=committee_index, got=data.index
            )
        return data


async def submit_attestations(
    exchange: Exchange, fork: Fork, submissions: tuple[AttestationSubmission, ...]
) -> None:
    """Publish attestations of one fork."""

    async def post_batch(batch: tuple[AttestationSubmission, ...]) -> None:
        value = submissions_to_json(tuple(_in_shape_of(fork, each) for each in batch))
        await post_newest(exchange, "beacon/pool/attestations", value, fork=fork)

    await post_in_batches(submissions, post_batch)


def _in_shape_of(fork: Fork, submission: AttestationSubmission) -> SubmittedAttestation:
    if fork.at_least(Fork.ELECTRA):
        return SingleAttestation(
            committee_index=submission.committee_index,
            attester_index=submission.validator_index,
            data=submission.data,
            signature=submission.signature,
        )
    return build_attestation(
        submission.data,
        committee_length=submission.committee_length,
        validator_committee_index=submission.validator_committee_index,
        signature=submission.signature,
    )


async def prepare_beacon_proposer(
    exchange: Exchange, preparations: tuple[ProposerPreparation, ...]
) -> None:
    """Tell the node the fee recipients."""
    value = [
        {
            "validator_index": str(each.validator_index),
            "fee_recipient": "0x" + each.fee_recipient.hex(),
        }
        for each in preparations
    ]
    await post(exchange, "/eth/v1/validator/prepare_beacon_proposer", value)


async def subscribe_committees(
    exchange: Exchange, subscriptions: tuple[CommitteeSubscription, ...]
) -> None:
    """Ask the node to join the committees' subnets."""
    value = [
        {
            "validator_index": str(each.validator_index),
            "committee_index": str(each.committee_index),
            "committees_at_slot": str(each.committees_at_slot),
            "slot": str(each.slot),
            "is_aggregator": each.is_aggregator,
        }
        for each in subscriptions
    ]
    await post(exchange, "/eth/v1/validator/beacon_committee_subscriptions", value)
