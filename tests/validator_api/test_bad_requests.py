"""Goal: whatever is wrong with a request, the specified error comes and no state changes.

Method: one table. Each endpoint brings a request that is right; each fault makes one thing wrong
with it, and says what must come. A test holds the table to the routes: no endpoint is left out,
and none lacks a fault that it can have.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import pytest
from tests.ethereum.beacon_node.fake_node import Reply
from tests.ethereum.beacon_node.support import block
from tests.validator_api.test_aggregates import aggregate_of, message_of, question
from tests.validator_api.test_aggregates import decide as decide_aggregates
from tests.validator_api.test_aggregates import sign as sign_aggregate
from tests.validator_api.test_attestations import attest
from tests.validator_api.test_blocks import sign as sign_block
from tests.validator_api.test_exits import leave, registration
from tests.validator_api.test_selections import beacon, sync
from tests.validator_api.test_sync_committee import contribution_of, vote
from tests.validator_api.test_sync_committee import decide as decide_contributions
from tests.validator_api.test_sync_committee import question as contribution_question
from tests.validator_api.test_sync_committee import sign as sign_contribution
from tests.validator_api.test_validators import validator
from tests.validator_api.world import (
    IDLE_SLOT,
    JSON,
    SLOT,
    Got,
    World,
    hexed,
    root_key,
    run_world,
    share,
)

from tetrarch.duties.types import Duty, DutyType
from tetrarch.ethereum.spec.attestations import submissions_to_json
from tetrarch.ethereum.spec.proposals import sign_proposal
from tetrarch.ethereum.spec.values import Fork
from tetrarch.validator_api.api import Limits
from tetrarch.validator_api.routes import ROUTES

EPOCH = SLOT // 8
THEIRS = 3  # another operator
STATE = "/eth/v1/beacon/states/head/validators"
BAD_SIGNATURE = b"\xc0" + bytes(95)
LATE_SLOT = 2  # its epoch is over, its duties have ended


class Fault(StrEnum):
    """One thing that is wrong."""

    BODY_SIZE = "oversize body"
    BODY_TYPE = "wrong content type"
    BODY = "malformed body"
    ACCEPT = "unacceptable media type"
    VERSION = "unknown fork in the version header"
    OTHER_VERSION = "another fork than the slot's in the version header"
    NO_VERSION = "no version header"
    SLOT = "slot without a duty of the cluster"
    LATE = "slot that is over"
    FAR = "slot far ahead"
    VALIDATOR = "unknown validator"
    SHARE = "another operator's share"
    SIGNATURE = "no signature at all"
    DATA = "other data than agreed"
    PARAMETER = "malformed parameter"


@dataclass(frozen=True)
class Sent:
    """One request. ``value``: None for no body, bytes as they are, else JSON."""

    path: str
    value: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Expected:
    """What a fault must bring; ``reason`` stands in the message or in that of a failure."""

    sent: Callable[[World], Sent]
    status: int
    reason: str = ""


@dataclass(frozen=True)
class Endpoint:
    """``right`` prepares the world and returns a request that is answered 200."""

    right: Callable[[World], Sent]
    faults: Mapping[Fault, Expected]
    partials: int = 0  # that the right request stores
    is_pool: bool = False  # its 400 lists failures
    fork: Fork = Fork.DENEB


ENDPOINTS: dict[tuple[str, str], Endpoint] = {}


def sends(path: str, value: Any = None, **headers: str) -> Callable[[World], Sent]:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return lambda _world: Sent(path, value, named)


def _body_faults(
    right: Callable[[World], Sent], *, size_max: int, kinds: str = JSON
) -> dict[Fault, Expected]:
    def changed(**changes: Any) -> Callable[[World], Sent]:
        return lambda world: replace(right(world), **changes)

    def typed(world: World) -> Sent:
        sent = right(world)
        return replace(sent, headers={**sent.headers, "Content-Type": "text/plain"})

    return {
        Fault.BODY_SIZE: Expected(changed(value=bytes(size_max + 1)), 413, "longer than"),
        Fault.BODY_TYPE: Expected(typed, 415, kinds),
        Fault.BODY: Expected(changed(value="}"), 400),
    }


def _get_faults(right: Callable[[World], Sent]) -> dict[Fault, Expected]:
    def loaded(world: World) -> Sent:
        return replace(right(world), value=b"x")

    def refused(world: World) -> Sent:
        return replace(right(world), headers={"Accept": "text/html"})

    return {
        Fault.BODY_SIZE: Expected(loaded, 413, "longer than 0"),
        Fault.ACCEPT: Expected(refused, 406, "served as"),
    }


# --- attestations ----------------------------------------------------------------------------


def attestation_data(slot: object = SLOT) -> Sent:
    return Sent(f"/eth/v1/validator/attestation_data?slot={slot}&committee_index=1")


def right_data(world: World) -> Sent:
    world.agreed_attestation()
    return attestation_data()


ENDPOINTS["GET", "/eth/v1/validator/attestation_data"] = Endpoint(
    right_data,
    {
        **_get_faults(right_data),
        Fault.PARAMETER: Expected(lambda _: attestation_data("x"), 400, "slot"),
        # Nothing is agreed there, and the fake beacon node has no data.
        Fault.SLOT: Expected(lambda _: attestation_data(IDLE_SLOT), 404),
        Fault.FAR: Expected(lambda _: attestation_data(2**63), 503, "not_resolved"),
    },
)


def attestations(version: int, **changes: Any) -> Callable[[World], Sent]:
    def sent(world: World) -> Sent:
        data = changes.get("data", lambda agreed: agreed)(world.agreed_attestation()[0])
        kept = {name: value for name, value in changes.items() if name != "data"}
        signed = attest(world, 1, data, **kept)
        headers = {"Eth-Consensus-Version": world.fork.value} if version == 2 else {}
        value = submissions_to_json((signed,))
        return Sent(f"/eth/v{version}/beacon/pool/attestations", value, headers)

    return sent


def _attestation_faults(version: int) -> dict[Fault, Expected]:
    def of_slot(slot: int) -> Callable[[World], Sent]:
        return attestations(version, data=lambda agreed: replace(agreed, slot=slot))

    faults = {
        **_body_faults(attestations(version), size_max=16 << 20),
        Fault.SLOT: Expected(of_slot(IDLE_SLOT), 400, "attests in slot 21"),
        Fault.LATE: Expected(of_slot(LATE_SLOT), 400, "ended"),
        Fault.FAR: Expected(of_slot(2**63), 400, "too far ahead"),
        Fault.VALIDATOR: Expected(attestations(version, position=4), 400, "no validator of this"),
        Fault.SHARE: Expected(attestations(version, operator=THEIRS), 400, "not by key share"),
        Fault.SIGNATURE: Expected(
            attestations(version, signature=BAD_SIGNATURE), 400, "not by key share"
        ),
        Fault.DATA: Expected(
            attestations(version, data=lambda agreed: replace(agreed, beacon_block_root=b"o" * 32)),
            400,
            "beacon_block_root differs",
        ),
    }
    return faults | (_version_faults(attestations(version)) if version == 2 else {})


def _version_faults(right: Callable[[World], Sent]) -> dict[Fault, Expected]:
    def named(version: str | None) -> Callable[[World], Sent]:
        headers = {} if version is None else {"Eth-Consensus-Version": version}
        return lambda world: replace(right(world), headers=headers)

    return {
        Fault.VERSION: Expected(named("gloas"), 400, "unknown fork"),
        Fault.OTHER_VERSION: Expected(named("capella"), 400, "deneb"),
        Fault.NO_VERSION: Expected(named(None), 400, "is missing"),
    }


for _version in (1, 2):
    ENDPOINTS["POST", f"/eth/v{_version}/beacon/pool/attestations"] = Endpoint(
        attestations(_version), _attestation_faults(_version), partials=1, is_pool=True
    )


# --- selections ------------------------------------------------------------------------------


def selections(make: Callable[..., dict[str, str]], *numbers: int, **changes: Any) -> Any:
    kind = "beacon" if make is beacon else "sync"
    path = f"/eth/v1/validator/{kind}_committee_selections"

    def sent(world: World) -> Sent:
        world.aggregated.is_complete.set()
        return Sent(path, [make(world, *numbers, **changes)])

    return sent


def _of_another_slot(right: Callable[[World], Sent]) -> Callable[[World], Sent]:
    """A proof that is signed for one slot and named for another."""

    def sent(world: World) -> Sent:
        asked = right(world)
        slot = str(int(asked.value[0]["slot"]) + 1)
        attesters = Duty(SLOT, DutyType.PREPARE_AGGREGATOR)
        for duty_type in (DutyType.PREPARE_AGGREGATOR, DutyType.PREPARE_SYNC_CONTRIBUTION):
            known = world.duties.known[replace(attesters, type=duty_type)]
            world.duties.known[Duty(SLOT + 1, duty_type)] = known
        return replace(asked, value=[{**asked.value[0], "slot": slot}])

    return sent


for _make, _numbers in ((beacon, (1,)), (sync, (1, 3))):
    _right = selections(_make, *_numbers)

    def _unacceptable(world: World, right: Callable[[World], Sent] = _right) -> Sent:
        return replace(right(world), headers={"Accept": "text/html"})

    _wrong = selections(_make, *_numbers, selection_proof=hexed(BAD_SIGNATURE))
    _kind = "beacon" if _make is beacon else "sync"
    ENDPOINTS["POST", f"/eth/v1/validator/{_kind}_committee_selections"] = Endpoint(
        _right,
        {
            **_body_faults(_right, size_max=4 << 20),
            Fault.ACCEPT: Expected(_unacceptable, 406, "served as"),
            Fault.SLOT: Expected(selections(_make, *_numbers, slot=IDLE_SLOT), 400, "no duty"),
            Fault.LATE: Expected(selections(_make, *_numbers, slot=1), 400, "ended"),
            Fault.FAR: Expected(selections(_make, *_numbers, slot=2**63), 400, "too far"),
            Fault.VALIDATOR: Expected(
                selections(_make, *_numbers, validator_index="7"), 400, "validator 7"
            ),
            Fault.SHARE: Expected(selections(_make, *_numbers, operator=THEIRS), 400, "key share"),
            Fault.SIGNATURE: Expected(_wrong, 400, "not by key share"),
            Fault.DATA: Expected(_of_another_slot(_right), 400, "key share"),
        },
        partials=1,
        is_pool=True,
    )


# --- aggregates ------------------------------------------------------------------------------


def aggregate(version: int, *, slot: object = SLOT, root: str = "") -> Callable[[World], Sent]:
    def sent(world: World) -> Sent:
        decide_aggregates(world, 1)
        made = aggregate_of(world.fork, 0)
        query = question(made, 0 if version == 2 else None)
        query = query.replace(f"slot={SLOT}", f"slot={slot}")
        if root:
            query = query.replace(hexed(made.data.hash_tree_root()), root)
        return Sent(f"/eth/v{version}/validator/aggregate_attestation{query}")

    return sent


def signed_aggregate(version: int, **changes: Any) -> Callable[[World], Sent]:
    def sent(world: World) -> Sent:
        decide_aggregates(world, 1)
        message = message_of(world.fork, 1)
        fields = dict(changes)
        operator, signature = fields.pop("operator", None), fields.pop("signature", None)
        if "slot" in fields:
            data = replace(message.aggregate.data, slot=fields.pop("slot"))
            fields["aggregate"] = replace(message.aggregate, data=data)
        message = replace(message, **fields)
        signed = sign_aggregate(world, 1, message, **({"operator": operator} if operator else {}))
        signed = replace(signed, signature=signature or signed.signature)
        headers = {"Eth-Consensus-Version": world.fork.value} if version == 2 else {}
        return Sent(f"/eth/v{version}/validator/aggregate_and_proofs", [signed.to_json()], headers)

    return sent


for _version in (1, 2):
    _right = aggregate(_version)
    ENDPOINTS["GET", f"/eth/v{_version}/validator/aggregate_attestation"] = Endpoint(
        _right,
        {
            **_get_faults(_right),
            Fault.PARAMETER: Expected(aggregate(_version, root="0x11"), 400, "data_root"),
            Fault.SLOT: Expected(
                aggregate(_version, slot=IDLE_SLOT), 404
            ),  # the fake node has none
            Fault.FAR: Expected(aggregate(_version, slot=2**63), 503, "not_resolved"),
            Fault.DATA: Expected(aggregate(_version, root="0x" + "22" * 32), 404, "not_found"),
        },
    )
    _right = signed_aggregate(_version)
    ENDPOINTS["POST", f"/eth/v{_version}/validator/aggregate_and_proofs"] = Endpoint(
        _right,
        {
            **_body_faults(_right, size_max=16 << 20),
            **(_version_faults(_right) if _version == 2 else {}),
            Fault.SLOT: Expected(signed_aggregate(_version, slot=IDLE_SLOT), 400, "has no duty"),
            Fault.LATE: Expected(signed_aggregate(_version, slot=LATE_SLOT), 400, "ended"),
            Fault.FAR: Expected(signed_aggregate(_version, slot=2**63), 400, "too far"),
            Fault.VALIDATOR: Expected(
                signed_aggregate(_version, aggregator_index=7), 400, "validator 7"
            ),
            Fault.SHARE: Expected(signed_aggregate(_version, operator=THEIRS), 400, "key share"),
            Fault.SIGNATURE: Expected(
                signed_aggregate(_version, signature=BAD_SIGNATURE), 400, "key share"
            ),
            Fault.DATA: Expected(
                signed_aggregate(_version, selection_proof=b"o" * 96), 400, "selection_proof"
            ),
        },
        partials=1,
        is_pool=True,
    )


# --- sync committee --------------------------------------------------------------------------


def sync_message(**changes: Any) -> Callable[[World], Sent]:
    path = "/eth/v1/beacon/pool/sync_committees"
    return lambda world: Sent(path, [vote(world, 1, **changes).to_json()])


def contribution(*, subcommittee: object = 3, slot: object = SLOT, head: str = "") -> Any:
    def sent(world: World) -> Sent:
        decide_contributions(world, (1, 3))
        query = contribution_question(3)
        query = query.replace("subcommittee_index=3", f"subcommittee_index={subcommittee}")
        query = query.replace(f"slot={SLOT}", f"slot={slot}")
        return Sent(query.replace("0x" + "11" * 32, head) if head else query)

    return sent


def signed_contribution(**changes: Any) -> Callable[[World], Sent]:
    def sent(world: World) -> Sent:
        decide_contributions(world, (1, 3))
        fields = dict(changes)
        operator, signature = fields.pop("operator", None), fields.pop("signature", None)
        message = contribution_of(1, 3)
        of_message = {k: fields.pop(k) for k in ("aggregator_index",) if k in fields}
        made = replace(message.contribution, **fields)
        message = replace(message, contribution=made, **of_message)
        by = {"operator": operator} if operator else {}
        signed = sign_contribution(world, 1, message, **by)
        signed = replace(signed, signature=signature or signed.signature)
        return Sent("/eth/v1/validator/contribution_and_proofs", [signed.to_json()])

    return sent


ENDPOINTS["POST", "/eth/v1/beacon/pool/sync_committees"] = Endpoint(
    sync_message(),
    {
        **_body_faults(sync_message(), size_max=4 << 20),
        Fault.SLOT: Expected(sync_message(slot=IDLE_SLOT), 400, "has no duty"),
        Fault.LATE: Expected(sync_message(slot=LATE_SLOT), 400, "ended"),
        Fault.FAR: Expected(sync_message(slot=2**63), 400, "too far"),
        Fault.VALIDATOR: Expected(sync_message(validator_index=7), 400, "validator 7"),
        Fault.SHARE: Expected(sync_message(operator=THEIRS), 400, "key share"),
        Fault.SIGNATURE: Expected(sync_message(signature=BAD_SIGNATURE), 400, "key share"),
        Fault.DATA: Expected(sync_message(beacon_block_root=b"o" * 32), 400, "key share"),
    },
    partials=1,
    is_pool=True,
)
ENDPOINTS["GET", "/eth/v1/validator/sync_committee_contribution"] = Endpoint(
    contribution(),
    {
        **_get_faults(contribution()),
        Fault.PARAMETER: Expected(contribution(head="0x11"), 400, "beacon_block_root"),
        Fault.SLOT: Expected(contribution(slot=IDLE_SLOT), 404),  # the fake node has none
        Fault.FAR: Expected(contribution(slot=2**63), 503, "not_resolved"),
        Fault.DATA: Expected(contribution(head="0x" + "22" * 32), 404, "not_found"),
    },
)
ENDPOINTS["POST", "/eth/v1/validator/contribution_and_proofs"] = Endpoint(
    signed_contribution(),
    {
        **_body_faults(signed_contribution(), size_max=4 << 20),
        Fault.SLOT: Expected(signed_contribution(slot=IDLE_SLOT), 400, "has no duty"),
        Fault.LATE: Expected(signed_contribution(slot=LATE_SLOT), 400, "ended"),
        Fault.FAR: Expected(signed_contribution(slot=2**63), 400, "too far"),
        Fault.VALIDATOR: Expected(signed_contribution(aggregator_index=7), 400, "validator 7"),
        Fault.SHARE: Expected(signed_contribution(operator=THEIRS), 400, "key share"),
        Fault.SIGNATURE: Expected(signed_contribution(signature=BAD_SIGNATURE), 400, "key share"),
        Fault.DATA: Expected(
            signed_contribution(beacon_block_root=b"o" * 32), 400, "beacon_block_root differs"
        ),
    },
    partials=1,
    is_pool=True,
)


# --- blocks ----------------------------------------------------------------------------------


def production(
    path: str, *, slot: object = SLOT, operator: int = 2, reveal: str = "", blinded: bool = False
) -> Callable[[World], Sent]:
    def sent(world: World) -> Sent:
        world.decided.decide_block(block(world.fork, SLOT, blinded=blinded))
        shown = reveal or hexed(world.reveal(operator=operator))
        return Sent(f"{path}/{slot}?randao_reveal={shown}")

    return sent


def _production_endpoint(path: str, *, fork: Fork = Fork.DENEB, blinded: bool = False) -> Endpoint:
    def changed(**changes: Any) -> Callable[[World], Sent]:
        return production(path, blinded=blinded, **changes)

    right = changed()
    return Endpoint(
        right,
        {
            **_get_faults(right),
            Fault.PARAMETER: Expected(changed(reveal="0xaa"), 400, "randao_reveal"),
            Fault.SLOT: Expected(changed(slot=IDLE_SLOT), 400, "proposes in slot 21"),
            Fault.FAR: Expected(changed(slot=2**63), 503, "not_resolved"),
            Fault.SHARE: Expected(changed(operator=THEIRS), 400, "key share"),
            Fault.SIGNATURE: Expected(changed(reveal=hexed(BAD_SIGNATURE)), 400, "key share"),
        },
        partials=1,
        fork=fork,
    )


for _path, _fork, _blinded in (
    ("/eth/v3/validator/blocks", Fork.DENEB, False),
    ("/eth/v2/validator/blocks", Fork.DENEB, False),
    ("/eth/v1/validator/blocks", Fork.PHASE0, False),
    ("/eth/v1/validator/blinded_blocks", Fork.DENEB, True),
):
    ENDPOINTS["GET", _path + "/{slot}"] = _production_endpoint(_path, fork=_fork, blinded=_blinded)


def published(
    version: int, *, blinded: bool, operator: int = 2, signature: bytes = b"", **changes: Any
) -> Callable[[World], Sent]:
    def sent(world: World) -> Sent:
        world.decided.decide_block(block(world.fork, SLOT, blinded=blinded))
        proposal = block(world.fork, changes.get("slot", SLOT), blinded=blinded, **_other(changes))
        signed = sign_block(world, proposal, operator=operator)
        if signature:
            signed = sign_proposal(proposal, signature)
        name = "blinded_blocks" if blinded else "blocks"
        headers = {"Eth-Consensus-Version": world.fork.value}
        return Sent(f"/eth/v{version}/beacon/{name}", signed.to_json(), headers)

    return sent


def _other(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in changes.items() if name != "slot"}


def _publish_endpoint(version: int, *, blinded: bool) -> Endpoint:
    def changed(**changes: Any) -> Callable[[World], Sent]:
        return published(version, blinded=blinded, **changes)

    right = changed()
    versions = _version_faults(right)
    # Another fork's block has other fields: it cannot even be read, or is not the agreed one.
    versions[Fault.OTHER_VERSION] = replace(versions[Fault.OTHER_VERSION], reason="")
    if version == 1:
        del versions[Fault.NO_VERSION]
    return Endpoint(
        right,
        {
            **_body_faults(right, size_max=64 << 20),
            **versions,
            Fault.SLOT: Expected(changed(slot=IDLE_SLOT), 400, "proposes in slot 21"),
            Fault.FAR: Expected(changed(slot=2**62), 503, "not_resolved"),
            Fault.SHARE: Expected(changed(operator=THEIRS), 400, "key share"),
            Fault.SIGNATURE: Expected(changed(signature=BAD_SIGNATURE), 400, "key share"),
            Fault.DATA: Expected(changed(proposer_index=4), 400, "differs"),
        },
        partials=1,
    )


for _version in (1, 2):
    for _blinded in (False, True):
        _name = "blinded_blocks" if _blinded else "blocks"
        ENDPOINTS["POST", f"/eth/v{_version}/beacon/{_name}"] = _publish_endpoint(
            _version, blinded=_blinded
        )

# The forks that we know have no version 4: whatever is asked, the answer is the same.
_V4 = "/eth/v4/validator/blocks"
ENDPOINTS["GET", _V4 + "/{slot}"] = Endpoint(
    sends("/eth/v1/node/version"),
    {
        Fault.BODY_SIZE: Expected(sends(f"{_V4}/{SLOT}", b"x"), 413),
        Fault.SLOT: Expected(sends(f"{_V4}/{IDLE_SLOT}"), 404, "v3"),
        Fault.VERSION: Expected(production(_V4), 404, "v3"),
    },
)


for _path in ("/teku_proposer_config", "/proposer_config"):
    ENDPOINTS["GET", _path] = Endpoint(
        sends("/eth/v1/node/version"),
        {
            Fault.BODY_SIZE: Expected(sends(_path, b"x"), 413),
            Fault.ACCEPT: Expected(sends(_path, Accept="text/html"), 404, "the cluster's"),
        },
    )


# --- duties, validators, the rest ------------------------------------------------------------


def listed(kind: str, version: int = 1) -> Callable[[World], Sent]:
    path = f"/eth/v{version}/validator/duties/{kind}/{EPOCH}"
    method = "GET" if kind == "proposer" else "POST"

    def sent(world: World) -> Sent:
        value = {"dependent_root": "0x" + "11" * 32, "execution_optimistic": False, "data": []}
        world.node.answers[f"{method} {path}"] = Reply(value)
        return Sent(path, None if method == "GET" else ["101"])

    return sent


for _kind in ("attester", "sync"):
    _right = listed(_kind)

    def _wants_html(world: World, right: Callable[[World], Sent] = _right) -> Sent:
        return replace(right(world), headers={"Accept": "text/html"})

    ENDPOINTS["POST", f"/eth/v1/validator/duties/{_kind}/{{epoch}}"] = Endpoint(
        _right,
        {
            **_body_faults(_right, size_max=1 << 20),
            Fault.ACCEPT: Expected(_wants_html, 406),
            Fault.PARAMETER: Expected(
                sends(f"/eth/v1/validator/duties/{_kind}/x", ["1"]), 400, "epoch"
            ),
            Fault.VALIDATOR: Expected(
                sends(f"/eth/v1/validator/duties/{_kind}/{EPOCH}", ["-1"]), 400, "validator index"
            ),
        },
    )
for _version in (1, 2):
    _right = listed("proposer", _version)
    ENDPOINTS["GET", f"/eth/v{_version}/validator/duties/proposer/{{epoch}}"] = Endpoint(
        _right,
        {
            **_get_faults(_right),
            Fault.PARAMETER: Expected(
                sends(f"/eth/v{_version}/validator/duties/proposer/-1"), 400, "epoch"
            ),
        },
    )

FOREIGN = hexed(share(1, THEIRS).public_key())
UNKNOWN = "0x" + "ab" * 48


def validators(method: str, *ids: str, one: bool = False) -> Callable[[World], Sent]:
    def sent(world: World) -> Sent:
        found = validator(101, hexed(root_key(1)))
        value = {"execution_optimistic": False, "finalized": False, "data": [found]}
        world.node.answers[f"{method} {STATE}"] = Reply(value)
        single = f"GET {STATE}/{hexed(root_key(1))}"
        world.node.answers[single] = Reply({**value, "data": found})
        asked = ids or (hexed(share(1).public_key()),)
        if one:
            return Sent(f"{STATE}/{asked[0]}")
        if method == "GET":
            return Sent(f"{STATE}?id={','.join(asked)}")
        return Sent(STATE, {"ids": list(asked)})

    return sent


def _validator_faults(method: str, *, one: bool = False) -> dict[Fault, Expected]:
    unknown, foreign = (validators(method, each, one=one) for each in (UNKNOWN, FOREIGN))
    told = f"key share {FOREIGN} is operator {THEIRS}'s, this node is operator 2's"
    return {
        Fault.VALIDATOR: Expected(unknown, 400, "no key share of this cluster"),
        Fault.SHARE: Expected(foreign, 400, told),
    }


_TEMPLATE = "/eth/v1/beacon/states/{state_id}/validators"
ENDPOINTS["GET", _TEMPLATE] = Endpoint(
    validators("GET"), {**_get_faults(validators("GET")), **_validator_faults("GET")}
)
ENDPOINTS["GET", _TEMPLATE + "/{validator_id}"] = Endpoint(
    validators("GET", one=True),
    {**_get_faults(validators("GET", one=True)), **_validator_faults("GET", one=True)},
)
ENDPOINTS["POST", _TEMPLATE] = Endpoint(
    validators("POST"),
    {**_body_faults(validators("POST"), size_max=8 << 20), **_validator_faults("POST")},
)
_right = sends("/eth/v1/node/version")
ENDPOINTS["GET", "/eth/v1/node/version"] = Endpoint(_right, _get_faults(_right))
_PREPARE = "/eth/v1/validator/prepare_beacon_proposer"
_right = sends(_PREPARE, [{"validator_index": "101", "fee_recipient": "0x" + "22" * 20}])
ENDPOINTS["POST", _PREPARE] = Endpoint(
    _right,
    {
        **_body_faults(_right, size_max=16 << 20),
        Fault.DATA: Expected(sends(_PREPARE, [{"validator_index": "101"}]), 400, "item 0"),
    },
)
_REGISTER = "/eth/v1/validator/register_validator"
_right = sends(_REGISTER, [registration(b"\x07" * 48).to_json()])
ENDPOINTS["POST", _REGISTER] = Endpoint(
    _right,
    {
        **_body_faults(_right, size_max=16 << 20),
        Fault.DATA: Expected(sends(_REGISTER, [{"message": {}}]), 400, "item 0"),
    },
)


def exits(**changes: Any) -> Callable[[World], Sent]:
    path = "/eth/v1/beacon/pool/voluntary_exits"
    return lambda world: Sent(path, leave(world, 3, **changes).to_json())


ENDPOINTS["POST", "/eth/v1/beacon/pool/voluntary_exits"] = Endpoint(
    exits(),
    {
        **_body_faults(exits(), size_max=4 << 10),
        Fault.FAR: Expected(exits(epoch=2**60), 400, "too far"),
        Fault.VALIDATOR: Expected(exits(validator_index=7), 400, "not of this cluster"),
        Fault.SHARE: Expected(exits(operator=THEIRS), 400, "key share"),
        Fault.SIGNATURE: Expected(exits(signature=BAD_SIGNATURE), 400, "key share"),
    },
    partials=1,
)

CASES = [
    pytest.param(key, fault, id=f"{key[0]} {key[1]}: {fault}")
    for key, endpoint in ENDPOINTS.items()
    for fault in endpoint.faults
]


async def ask(world: World, method: str, sent: Sent) -> Got:
    headers, body = dict(sent.headers), b""
    headers.setdefault("Accept", JSON)
    if isinstance(sent.value, bytes):
        body = sent.value
        headers.setdefault("Content-Type", JSON)
    elif sent.value == "}":
        headers["Content-Type"], body = JSON, b"}"
    elif sent.value is not None:
        headers.setdefault("Content-Type", JSON)
        body = json.dumps(sent.value).encode()
    return await world.ask(method, sent.path, headers=headers, body=body)


def reasons(got: Got) -> str:
    failures = [each["message"] for each in got.value.get("failures", [])]
    return "; ".join([got.message, *failures])


@pytest.mark.parametrize(("key", "fault"), CASES)
def test_fault_brings_the_specified_error_and_changes_nothing(
    key: tuple[str, str], fault: Fault
) -> None:
    endpoint = ENDPOINTS[key]
    expected = endpoint.faults[fault]

    async def scenario(world: World) -> None:
        world.node.judges = False  # what we send on is not the question
        got = await ask(world, key[0], expected.sent(world))
        assert got.status == expected.status, got.body
        assert got.headers["Content-Type"] == JSON
        assert got.value["code"] == expected.status
        assert expected.reason in reasons(got)
        is_listed = endpoint.is_pool and got.status == 400
        assert ("failures" in got.value) == is_listed
        assert world.submitted == []

    run_world(scenario, fork=endpoint.fork, limits=Limits(request_s=5))


@pytest.mark.parametrize("key", ENDPOINTS, ids=" ".join)
def test_right_request_is_answered_and_its_replay_adds_nothing(key: tuple[str, str]) -> None:
    endpoint = ENDPOINTS[key]

    async def scenario(world: World) -> None:
        for _ in range(2):
            got = await ask(world, key[0], endpoint.right(world))
            assert got.status == 200, got.body
        # Each time the same partial, which ParSigDB knows by then.
        assert len(world.submitted) == 2 * endpoint.partials
        assert len(set(world.submitted)) == endpoint.partials
        assert all(len(each.partials) == 1 for each in world.submitted)

    run_world(scenario, fork=endpoint.fork)


def test_no_endpoint_and_no_fault_is_left_out() -> None:
    assert set(ENDPOINTS) == {(route.method, route.path) for route in ROUTES}
    for (method, path), endpoint in ENDPOINTS.items():
        due = {Fault.BODY_SIZE}
        if method == "POST":
            due |= {Fault.BODY_TYPE, Fault.BODY}
        elif path != _V4 + "/{slot}":
            due |= {Fault.ACCEPT}
        if endpoint.partials:  # it takes a signature
            due |= {Fault.SHARE, Fault.SIGNATURE, Fault.FAR}
            if "exits" not in path:
                due |= {Fault.SLOT}
        if endpoint.is_pool:
            due |= {Fault.LATE, Fault.VALIDATOR, Fault.DATA}
        if method == "POST" and path.startswith("/eth/v2"):
            due |= {Fault.VERSION, Fault.OTHER_VERSION, Fault.NO_VERSION}
        assert due <= set(endpoint.faults), (method, path, due - set(endpoint.faults))
