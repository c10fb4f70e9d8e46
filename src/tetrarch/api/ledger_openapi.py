"""What a node of a ledger serves, a line about each path: its OpenAPI document comes of it."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tetrarch.api.openapi import About, document
from tetrarch.observability.controls import Control

PATH: Final = "ledger/openapi.json"
_ID: Final = "64 hexadecimal digits"
_BYTES: Final = "application/octet-stream"

ABOUT: Final = {
    "ledger/status": About(
        "where the chain ends, what is justified and final, the mempool, the members"
    ),
    "ledger/block": About(
        "one block and what it carries; the election that it is the first to prove, if any",
        {"id": _ID},
    ),
    "ledger/blocks": About(
        "the newest blocks of all branches, the newest first", {"count": "at most"}
    ),
    "ledger/chain": About("what the page draws: branches, this epoch's and the next one's slots"),
    "ledger/account": About("what an account holds", {"id": _ID}),
    "ledger/pools": About("stake pools"),
    "ledger/parameters": About("the parameters that hold, and what members vote for"),
    "ledger/networks": About("networks outside: keys, blocks, batches, plans, burns"),
    "ledger/events": About(
        "blocks that count, do so no more, or are final, as it happens", media="text/event-stream"
    ),
    PATH: About("this document"),
    "leadership/leaders": About("the node's leaders, and how far their schedules are known"),
    "leadership/schedule": About("the node's slots to come"),
    "leadership/logs": About("what became of each slot"),
    "api/v0/node/stats": About("counts since the start, and the newest block"),
    "api/v0/leaders": About("the leaders' numbers"),
    "api/v0/leaders/logs": About("what became of each slot"),
    "api/v0/tip": About("the newest block's identity"),
    "api/v0/block/{id}": About("a block's bytes", {"id": _ID}, media=_BYTES),
    "api/v0/block/{id}/next_id": About(
        "the identities of blocks after it, 32 bytes each",
        {"id": _ID, "count": "at most, up to 1,024; 1 unless it is said"},
        media=_BYTES,
    ),
    "api/v0/fragment/logs": About("what became of the latest fragments"),
    "api/v1/fragments/logs": About("what became of the latest fragments"),
    "api/v1/fragments/statuses": About(
        "what became of some fragments", {"fragment_ids": f"{_ID} each, with commas between"}
    ),
    "api/v0/settings": About("the chain's parameters, and when this slot began"),
    "api/v0/stake": About("the pools' stake in this epoch's lottery"),
    "api/v0/stake/{epoch}": About("in another epoch's, of the latest", {"epoch": "its number"}),
    "api/v0/stake_pools": About("the pools' identities"),
    "api/v0/stake_pool/{id}": About("one pool", {"id": _ID}),
    "api/v0/account/{id}": About("what an account holds", {"id": _ID}),
    "POST ledger/fragments": About("give the node a signed fragment, which tells all others"),
    "POST ledger/vote-parameters": About(
        "vote, as this member, for other parameters from an epoch on"
    ),
    "POST ledger/sign-members": About("this member's signature of a change of members"),
    "POST ledger/change-members": About("give the node a change that a quorum signed"),
    "POST leadership/add": About("have the enclave make the keys of one more leader"),
    "POST leadership/remove": About("have it forget a leader's keys, for good"),
    "POST api/v0/message": About("give the node a signed fragment, as bytes"),
    "POST api/v1/fragments": About("give the node signed fragments"),
    "POST api/v0/leaders": About("have the enclave make the keys of one more leader; its number"),
    "DELETE api/v0/leaders/{number}": About("have it forget a leader's keys, for good"),
    "POST api/v0/shutdown": About("end the node"),
}


def ledger_openapi(
    views: Iterable[str], streams: Iterable[str], controls: Mapping[str, Control[Any]]
) -> dict[str, Any]:
    """Of what is served."""
    return document(
        "tetrarch ledger node", views=views, streams=streams, controls=controls, about=ABOUT
    )
