"""What may be done to a running node of a ledger: give it a fragment, add and remove leaders."""

from dataclasses import replace
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from tetrarch.api.ledger_views import LedgerView, leader_view
from tetrarch.errors import InputInvalid, PeerFault
from tetrarch.leadership.ports import Keys, Network
from tetrarch.ledger.accounts import AccountId, account_of
from tetrarch.ledger.blocks import Fragment, fragment_id
from tetrarch.ledger.fragments.kind import Body
from tetrarch.ledger.fragments.parameter_vote import ParameterVote
from tetrarch.ledger.fragments.signed import SignedFragment, encode_fragment
from tetrarch.ledger.genesis_text import changed_parameters
from tetrarch.ledger.headers import PoolId
from tetrarch.ledger.keyring import LEADERS_MAX, LeaderIs
from tetrarch.ledger.membership import Change, encode_change, membership_of
from tetrarch.ledger.parameter_votes import parameters_for
from tetrarch.network.overlay.chain import Verdict
from tetrarch.observability.controls import Control

Hex: TypeAlias = Annotated[str, msgspec.Meta(max_length=3_800, pattern="^([0-9a-fA-F]{2})*$")]
Id: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{64}$")]


Signature: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{128}$")]
ParameterName: TypeAlias = Annotated[str, msgspec.Meta(max_length=60)]
ParameterValue: TypeAlias = Annotated[str, msgspec.Meta(max_length=60)]
MEMBERS_MAX: Final = 16  # that a request has room for


class Propose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``fragment``: signed, its bytes."""

    fragment: Hex


class AddLeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One more leader, in turn or of ``pool``; its keys are made in the enclave."""

    pool: Id | None = None


class RemoveLeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``number``: as ``leadership/leaders`` lists it."""

    number: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]


class SignMembers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``members``: who shall make blocks final from now on."""

    members: Annotated[tuple[Id, ...], msgspec.Meta(min_length=1, max_length=MEMBERS_MAX)]


class ChangeMembers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``signatures``: of a quorum of the present members, by their keys, as ``ledger/sign-members`` gave them."""

    members: Annotated[tuple[Id, ...], msgspec.Meta(min_length=1, max_length=MEMBERS_MAX)]
    signatures: Annotated[dict[Id, Signature], msgspec.Meta(max_length=MEMBERS_MAX)]


class VoteParameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``changes``: by name, or GROUP.NAME, as text; from ``epoch`` on."""

    epoch: Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
    changes: Annotated[dict[ParameterName, ParameterValue], msgspec.Meta(min_length=1)]


def ledger_controls(view: LedgerView, network: Network, keys: Keys) -> dict[str, Control[Any]]:
    """By the paths at which the monitoring listener serves them."""

    async def propose(asked: Propose) -> object:
        return await give(view, network, Fragment(bytes.fromhex(asked.fragment)))

    async def add(asked: AddLeader) -> object:
        return leader_view(await add_leader(view, asked))

    async def remove(asked: RemoveLeader) -> object:
        await view.leadership.drop_leader(asked.number)
        return {"number": asked.number, "removed": True}

    def change_to(members: tuple[str, ...], signatures: dict[bytes, bytes]) -> Change:
        """The next one, as this node knows the chain."""
        sequence = membership_of(view.chain.tree.tip.layer).sequence + 1
        return Change(sequence, tuple(map(bytes.fromhex, members)), signatures)

    async def sign_members(asked: SignMembers) -> object:
        change = change_to(asked.members, {})
        signature = await keys.sign_change(change)
        return {
            "sequence": change.sequence,
            "voter": keys.voter.hex(),
            "signature": signature.hex(),
        }

    async def change_members(asked: ChangeMembers) -> object:
        pairs = asked.signatures.items()
        signatures = {bytes.fromhex(voter): bytes.fromhex(each) for voter, each in pairs}
        return await give(view, network, encode_change(change_to(asked.members, signatures)))

    async def vote_parameters(asked: VoteParameters) -> object:
        now = parameters_for(view.chain.tree.tip.layer, asked.epoch)
        vote = ParameterVote(asked.epoch, changed_parameters(now, asked.changes))
        return await _say(view, network, keys, vote)

    return {
        "ledger/vote-parameters": Control(VoteParameters, vote_parameters),
        "ledger/sign-members": Control(SignMembers, sign_members),
        "ledger/change-members": Control(ChangeMembers, change_members),
        "ledger/fragments": Control(Propose, propose),
        "leadership/add": Control(AddLeader, add),
        "leadership/remove": Control(RemoveLeader, remove),
    }


async def _say(view: LedgerView, network: Network, keys: Keys, body: Body) -> object:
    """As the voter that this node is: after all that it said before, in the chain or waiting for it."""
    tip, voter = view.chain.tree.tip, AccountId(keys.voter)
    waiting = view.chain.mempool.waiting_of(voter)
    counter = account_of(tip.layer, voter).counter
    while counter in waiting:
        counter += 1
    fragment = SignedFragment(
        payer=voter,
        counter=counter,
        last_epoch=tip.header.date.epoch + tip.settings.parameters.expiry_epochs_max,
        fee=0,
        body=body,
    )
    signed = replace(fragment, signature=await keys.sign_fragment(fragment))
    return await give(view, network, encode_fragment(signed))


async def add_leader(view: LedgerView, asked: AddLeader) -> LeaderIs:
    """The enclave makes its keys.

    Raises:
        InputInvalid: there are as many as there can be.
    """
    if len(view.leadership.leaders) >= LEADERS_MAX:
        raise InputInvalid("add leader", maximum=LEADERS_MAX)
    pool = None if asked.pool is None else PoolId(bytes.fromhex(asked.pool))
    return await view.leadership.add_leader(pool)


async def give(view: LedgerView, network: Network, data: Fragment) -> object:
    """A fragment, from the operator: all others hear of it.

    Raises:
        InputInvalid: it cannot hold, and why.
    """
    identity, log, now_s = fragment_id(data), view.chain.fragment_log, view.clock.wall_s()
    log.given(identity, now_s=now_s)
    try:
        view.chain.check_fragment(data)
    except PeerFault as fault:
        log.rejected(identity, str(fault), now_s=now_s)
        raise InputInvalid("propose fragment", reason=fault) from None
    verdict = await network.propose_fragment(data)
    if verdict not in {Verdict.NEW, Verdict.KNOWN}:
        raise InputInvalid("propose fragment", reason=f"it was called {verdict.value}")
    return {"fragment": identity.hex(), "new": verdict is Verdict.NEW}
