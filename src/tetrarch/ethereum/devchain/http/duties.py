"""Endpoints that hand out duties, and what clients announce before them."""

from aiohttp import web

from tetrarch.errors import InputInvalid
from tetrarch.ethereum.devchain.committees import active_indices
from tetrarch.ethereum.devchain.duties import (
    attester_assignments,
    proposer_assignments,
    sync_committee_places,
)
from tetrarch.ethereum.devchain.http.answers import (
    SSZ,
    Face,
    NotFound,
    data_answer,
    hexed,
    path_number,
    read_list,
)
from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.tree import StateForgotten
from tetrarch.ethereum.spec.values import member, parse_hex, parse_uint64
from tetrarch.ssz.basic import uint64
from tetrarch.ssz.sequence import List

INDICES_MAX = 1 << 17


def _state_for(face: Face, epoch: int) -> State:
    """A state on the head's chain that knows the committees of ``epoch``."""
    chain = face.chain
    now = chain.rules.epoch_of(max(chain.slot, 0))
    if epoch > now + 1:
        raise InputInvalid("look up duties", epoch=epoch, reason="more than one epoch ahead")
    last = chain.rules.first_slot(min(epoch, now) + 1) - 1
    node = chain.tree.ancestor(chain.head.root, last)
    try:
        return chain.tree.state_at(node.root, max(chain.rules.first_slot(min(epoch, now)), 0))
    except StateForgotten:
        raise NotFound("look up duties", epoch=epoch, reason="no longer kept") from None


async def _indices(request: web.Request) -> list[int]:
    if request.content_type == SSZ:
        return list(List(uint64, INDICES_MAX).decode(await request.read()))
    items = await read_list(request, length_max=INDICES_MAX)
    return [parse_uint64(each, what="validator index") for each in items]


async def attester(face: Face, request: web.Request) -> web.Response:
    """POST /eth/v1/validator/duties/attester/{epoch}."""
    epoch, indices = path_number(request, "epoch"), await _indices(request)
    state = _state_for(face, epoch)
    duties = [
        {
            "pubkey": hexed(state.validators[each.validator_index].pubkey),
            "validator_index": str(each.validator_index),
            "committee_index": str(each.committee_index),
            "committee_length": str(each.committee_length),
            "committees_at_slot": str(each.committees_at_slot),
            "validator_committee_index": str(each.place),
            "slot": str(each.slot),
        }
        for each in attester_assignments(state, epoch, indices)
    ]
    root = hexed(face.chain.dependent_root(epoch - 1))
    return data_answer(duties, dependent_root=root, execution_optimistic=False)


async def proposer(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v1/validator/duties/proposer/{epoch}."""
    epoch = path_number(request, "epoch")
    return _proposer_answer(face, epoch, face.chain.dependent_root(epoch))


async def proposer_v2(face: Face, request: web.Request) -> web.Response:
    """GET /eth/v2/validator/duties/proposer/{epoch}: Fulu's dependent root is an epoch older."""
    epoch = path_number(request, "epoch")
    decided = epoch - 1 if face.chain.rules.is_fulu else epoch
    return _proposer_answer(face, epoch, face.chain.dependent_root(decided))


def _proposer_answer(face: Face, epoch: int, dependent_root: bytes) -> web.Response:
    chain = face.chain
    state = _state_for(face, epoch)
    if state.epoch < epoch and not chain.rules.is_fulu:
        # Balances at the epoch's start decide, so the state is taken there.
        state = chain.head_state(chain.rules.first_slot(epoch))
    duties = [
        {
            "pubkey": hexed(state.validators[index].pubkey),
            "validator_index": str(index),
            "slot": str(slot),
        }
        for slot, index in proposer_assignments(state, epoch)
    ]
    return data_answer(duties, dependent_root=hexed(dependent_root), execution_optimistic=False)


async def sync(face: Face, request: web.Request) -> web.Response:
    """POST /eth/v1/validator/duties/sync/{epoch}."""
    epoch, indices = path_number(request, "epoch"), set(await _indices(request))
    chain = face.chain
    state = chain.head_state(max(chain.slot, 0))
    period = chain.rules.preset.epochs_per_sync_committee_period
    if not 0 <= epoch // period - state.epoch // period <= 1:
        raise InputInvalid("look up duties", epoch=epoch, reason="not this or the next period")
    duties = [
        {
            "pubkey": hexed(state.validators[index].pubkey),
            "validator_index": str(index),
            "validator_sync_committee_indices": [str(place) for place in places],
        }
        for index, places in sorted(sync_committee_places(state, epoch).items())
        if index in indices
    ]
    return data_answer(duties, execution_optimistic=False)


async def liveness(face: Face, request: web.Request) -> web.Response:
    """POST /eth/v1/validator/liveness/{epoch}: who voted in the epoch."""
    epoch, indices = path_number(request, "epoch"), await _indices(request)
    state = face.chain.head_state(max(face.chain.slot, 0))
    if epoch not in (state.epoch, state.previous_epoch):
        raise InputInvalid("look up liveness", epoch=epoch, reason="not this epoch or the last")
    current = epoch == state.epoch
    flags = state.current_epoch_participation if current else state.previous_epoch_participation
    active = set(active_indices(state, epoch))
    return data_answer(
        [
            {"index": str(index), "is_live": bool(index in active and flags[index])}
            for index in indices
        ]
    )


async def prepare_proposer(face: Face, request: web.Request) -> web.Response:
    """POST /eth/v1/validator/prepare_beacon_proposer: where rewards go."""
    for item in await read_list(request):
        index = parse_uint64(
            member(item, "validator_index", what="preparation"), what="validator_index"
        )
        recipient = member(item, "fee_recipient", what="preparation")
        if index < len(face.chain.head_state(0).validators):
            face.chain.fee_recipients[index] = parse_hex(
                recipient, size_bytes=20, what="fee_recipient"
            )
    return web.Response(status=200)


async def accept_list(_face: Face, request: web.Request) -> web.Response:
    """Subscriptions and registrations: there is no network to tell, but the form is checked."""
    if request.content_type == SSZ:
        await request.read()
    else:
        await read_list(request)
    return web.Response(status=200)
