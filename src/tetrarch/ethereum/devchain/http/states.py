"""Endpoints about states: validators, balances, committees, checkpoints."""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.devchain.committees import committees_of_epoch
from tetrarch.ethereum.devchain.duties import sync_committee_places
from tetrarch.ethereum.devchain.http.answers import (
    Face,
    NotFound,
    data_answer,
    hexed,
    query_items,
    query_number,
    read_json,
    versioned_answer,
)
from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.history import randao_mix
from tetrarch.ethereum.spec.domains import FAR_FUTURE_EPOCH
from tetrarch.ethereum.spec.values import parse_hex, parse_uint64

IDS_MAX = 1 << 17
SUBCOMMITTEES = 4
BROAD_STATUSES = ("active", "pending", "exited", "withdrawal")


def _beside(*, final: bool) -> dict[str, Any]:
    return {"execution_optimistic": False, "finalized": final}


def status_of(validator: Any, epoch: int, balance: int) -> str:
    """The beacon API's status of a validator."""
    if epoch < validator.activation_epoch:
        queued = validator.activation_eligibility_epoch != FAR_FUTURE_EPOCH
        return "pending_queued" if queued else "pending_initialized"
    if epoch < validator.exit_epoch:
        if validator.exit_epoch == FAR_FUTURE_EPOCH:
            return "active_ongoing"
        return "active_slashed" if validator.slashed else "active_exiting"
    if epoch < validator.withdrawable_epoch:
        return "exited_slashed" if validator.slashed else "exited_unslashed"
    return "withdrawal_possible" if balance else "withdrawal_done"


def _validator_json(state: State, index: int) -> dict[str, Any]:
    validator, balance = state.validators[index], state.balances[index]
    return {
        "index": str(index),
        "balance": str(balance),
        "status": status_of(validator, state.epoch, balance),
        "validator": validator.to_json(),
    }


def _index_of(state: State, text: object) -> int | None:
    if isinstance(text, str) and text.startswith("0x"):
        return state.index_of(parse_hex(text, size_bytes=48, what="validator id"))
    index = parse_uint64(text, what="validator id")
    return index if index < len(state.validators) else None


def _indices(state: State, ids: Sequence[object]) -> list[int]:
    if len(ids) > IDS_MAX:
        raise InputInvalid("read ids", count_max=IDS_MAX)
    if not ids:
        return list(range(len(state.validators)))
    found = (_index_of(state, each) for each in ids)
    return list(dict.fromkeys(index for index in found if index is not None))


async def root(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v1/beacon/states/{state_id}/root."""
    state, final = face.state_of(request.match_info["state_id"])
    return data_answer({"root": hexed(state.root())}, **_beside(final=final))


async def fork(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v1/beacon/states/{state_id}/fork."""
    state, final = face.state_of(request.match_info["state_id"])
    return data_answer(state.fork.to_json(), **_beside(final=final))


async def finality_checkpoints(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v1/beacon/states/{state_id}/finality_checkpoints."""
    state, final = face.state_of(request.match_info["state_id"])
    data = {
        "previous_justified": state.previous_justified_checkpoint.to_json(),
        "current_justified": state.current_justified_checkpoint.to_json(),
        "finalized": state.finalized_checkpoint.to_json(),
    }
    return data_answer(data, **_beside(final=final))


async def validators(face: Face, request: web.Request) -> web.Response:
    """GET and POST /eth/v1/beacon/states/{state_id}/validators."""
    ids: Sequence[object] = query_items(request, "id")
    statuses: Sequence[object] = query_items(request, "status")
    if request.method == "POST":
        wish = await read_json(request)
        if not isinstance(wish, dict):
            raise InputInvalid("read body", reason="expected an object")
        ids, statuses = wish.get("ids") or [], wish.get("statuses") or []
        if not isinstance(ids, list) or not isinstance(statuses, list):
            raise InputInvalid("read body", reason="expected arrays")
    state, final = face.state_of(request.match_info["state_id"])
    listed = [_validator_json(state, index) for index in _indices(state, ids)]
    if statuses:
        wanted = {str(each) for each in statuses}
        listed = [
            each
            for each in listed
            if each["status"] in wanted or each["status"].partition("_")[0] in wanted
        ]
    return data_answer(listed, **_beside(final=final))


async def validator(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v1/beacon/states/{state_id}/validators/{validator_id}."""
    state, final = face.state_of(request.match_info["state_id"])
    index = _index_of(state, request.match_info["validator_id"])
    if index is None:
        raise NotFound("find validator", id=request.match_info["validator_id"])
    return data_answer(_validator_json(state, index), **_beside(final=final))


async def _listed_ids(request: web.Request) -> Sequence[object]:
    if request.method == "GET":
        return query_items(request, "id")
    ids = await read_json(request)
    if not isinstance(ids, list):
        raise InputInvalid("read body", reason="expected an array")
    return ids


async def balances(face: Face, request: web.Request) -> web.Response:
    """GET and POST /eth/v1/beacon/states/{state_id}/validator_balances."""
    ids = await _listed_ids(request)
    state, final = face.state_of(request.match_info["state_id"])
    listed = [
        {"index": str(index), "balance": str(state.balances[index])}
        for index in _indices(state, ids)
    ]
    return data_answer(listed, **_beside(final=final))


async def identities(face: Face, request: web.Request) -> web.Response:
    """POST /eth/v1/beacon/states/{state_id}/validator_identities."""
    ids = await _listed_ids(request)
    state, final = face.state_of(request.match_info["state_id"])
    listed = [
        {
            "index": str(index),
            "pubkey": hexed(state.validators[index].pubkey),
            "activation_epoch": str(state.validators[index].activation_epoch),
        }
        for index in _indices(state, ids)
    ]
    return data_answer(listed, **_beside(final=final))


async def committees(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v1/beacon/states/{state_id}/committees."""
    state, final = face.state_of(request.match_info["state_id"])
    rules = state.rules
    epoch = query_number(request, "epoch", state.epoch)
    if not state.previous_epoch <= epoch <= state.epoch + 1:
        raise InputInvalid("list committees", epoch=epoch, reason="not near the state's epoch")
    first = rules.first_slot(epoch)
    slot = query_number(request, "slot", first)
    if rules.epoch_of(slot) != epoch:
        raise InputInvalid("list committees", slot=slot, reason="not in the epoch")
    index = query_number(request, "index", 0)
    listed = [
        {
            "index": str(place),
            "slot": str(first + offset),
            "validators": [str(each) for each in members],
        }
        for offset, of_slot in enumerate(committees_of_epoch(state, epoch))
        for place, members in enumerate(of_slot)
        if ("slot" not in request.query or first + offset == slot)
        and ("index" not in request.query or place == index)
    ]
    return data_answer(listed, **_beside(final=final))


async def sync_committees(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v1/beacon/states/{state_id}/sync_committees."""
    state, final = face.state_of(request.match_info["state_id"])
    epoch = query_number(request, "epoch", state.epoch)
    size = state.rules.preset.sync_committee_size
    by_place: dict[int, str] = {}
    for index, places in sync_committee_places(state, epoch).items():
        by_place.update(dict.fromkeys(places, str(index)))
    members = [by_place[place] for place in range(size)]
    step = size // SUBCOMMITTEES
    groups = [members[start : start + step] for start in range(0, size, step)]
    return data_answer(
        {"validators": members, "validator_aggregates": groups}, **_beside(final=final)
    )


async def randao(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v1/beacon/states/{state_id}/randao."""
    state, final = face.state_of(request.match_info["state_id"])
    epoch = query_number(request, "epoch", state.epoch)
    vector = state.rules.preset.epochs_per_historical_vector
    if not state.epoch - vector < epoch <= state.epoch:
        raise InputInvalid("look up randao", epoch=epoch, reason="not kept")
    return data_answer({"randao": hexed(randao_mix(state, epoch))}, **_beside(final=final))


async def electra_field(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v1/beacon/states/{state_id}/pending_... and proposer_lookahead."""
    state, final = face.state_of(request.match_info["state_id"])
    name = request.path.rpartition("/")[2]
    kind = state.rules.types.BeaconState.fields.get(name)
    if kind is None:
        raise InputInvalid("read state", field=name, reason="the fork does not have it")
    value = getattr(state, name)
    return versioned_answer(face, request, kind, value, **_beside(final=final))
