"""What may be done to a running node of a ledger: give it a fragment, add and remove leaders."""

from typing import Annotated, Any, TypeAlias

import msgspec

from tetrarch.api.ledger_views import LedgerView, leader_view
from tetrarch.errors import InputInvalid, PeerFault
from tetrarch.leadership.ports import Network
from tetrarch.ledger.blocks import Fragment, fragment_id
from tetrarch.ledger.headers import PoolId
from tetrarch.ledger.keyring import LEADERS_MAX
from tetrarch.network.overlay.chain import Verdict
from tetrarch.observability.controls import Control

Hex: TypeAlias = Annotated[str, msgspec.Meta(max_length=3_800, pattern="^([0-9a-fA-F]{2})*$")]
Id: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{64}$")]


class Propose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``fragment``: signed, its bytes."""

    fragment: Hex


class AddLeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One more leader, in turn or of ``pool``; its keys are made in the enclave."""

    pool: Id | None = None


class RemoveLeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``number``: as ``leadership/leaders`` lists it."""

    number: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


def ledger_controls(view: LedgerView, network: Network) -> dict[str, Control[Any]]:
    """By the paths at which the monitoring listener serves them."""

    async def propose(asked: Propose) -> object:
        data = Fragment(bytes.fromhex(asked.fragment))
        try:
            view.chain.check_fragment(data)
        except PeerFault as fault:
            raise InputInvalid("propose fragment", reason=fault) from None
        verdict = await network.propose_fragment(data)
        if verdict not in {Verdict.NEW, Verdict.KNOWN}:
            raise InputInvalid("propose fragment", reason=f"it was called {verdict.value}")
        return {"fragment": fragment_id(data).hex(), "new": verdict is Verdict.NEW}

    async def add(asked: AddLeader) -> object:
        if len(view.leadership.leaders) >= LEADERS_MAX:
            raise InputInvalid("add leader", maximum=LEADERS_MAX)
        pool = None if asked.pool is None else PoolId(bytes.fromhex(asked.pool))
        return leader_view(await view.leadership.add_leader(pool))

    async def remove(asked: RemoveLeader) -> object:
        await view.leadership.drop_leader(asked.number)
        return {"number": asked.number, "removed": True}

    return {
        "ledger/fragments": Control(Propose, propose),
        "leadership/add": Control(AddLeader, add),
        "leadership/remove": Control(RemoveLeader, remove),
    }
