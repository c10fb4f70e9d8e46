"""From a request to a signature: root computed, rules asked, record durable, then signed.

The three steps are functions so that the process and the simulator run the very same ones
around their own databases: ``plan`` (pure), ``history.check_and_record`` (in a transaction that
is committed before the result leaves), ``settle`` or ``begin`` (signs).
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from tetrarch.enclave.keys import KeyRing
from tetrarch.enclave.ports import (
    Denied,
    Failed,
    SignAggregate,
    SignAttestation,
    SignBlock,
    SignContribution,
    SignExit,
    SignRandao,
    SignRegistration,
    SignRequest,
    SignResult,
    SignSelection,
    SignSyncMessage,
    SignSyncSelection,
    Slashable,
)
from tetrarch.enclave.rules import Block, Reason, Refused, Verdict, Vote, Wish, too_far_ahead
from tetrarch.errors import TetrarchError, invariant
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.domains import DomainType
from tetrarch.ethereum.spec.selection import sync_selection_root
from tetrarch.ethereum.spec.values import (
    UINT64_MAX,
    AttestationData,
    BeaconBlockHeader,
    uint64_root,
)

REQUESTS_MAX = 4096

Rooted: TypeAlias = AttestationData | BeaconBlockHeader
Unslashable: TypeAlias = (  # bound in time and to their validator, and else free
    SignRandao
    | SignSelection
    | SignAggregate
    | SignSyncMessage
    | SignSyncSelection
    | SignContribution
    | SignExit
    | SignRegistration
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One request, ready to be judged. ``wish`` is None where nothing can be slashed."""

    pubkey: bytes
    signing_root: bytes = b""
    wish: Wish | None = None
    denied: Reason | None = None


class Planner:
    """Computes signing roots for one chain, each distinct object of a batch once."""

    def __init__(self, chain: ChainSpec, *, wall_s: float) -> None:
        self._chain = chain
        self._now_epoch = chain.epoch_of(chain.slot_at(wall_s))
        self._roots: dict[object, bytes] = {}

    def plan(self, request: SignRequest) -> Plan:
        """What it takes to grant ``request``."""
        match request:
            case SignAttestation(pubkey=pubkey, data=data):
                return self._judged(data.target.epoch, pubkey, self.wish(request))
            case SignBlock(pubkey=pubkey, header=header):
                epoch = self._chain.epoch_of(header.slot)
                return self._judged(epoch, pubkey, self.wish(request))
            case SignRegistration(pubkey=pubkey, message=registration) if (
                registration.pubkey != pubkey
            ):
                return Plan(pubkey=pubkey, denied=Reason.ANOTHER_VALIDATOR)
            case _:
                epoch, domain = signed_for(request, self._chain)
                if not 0 <= epoch <= UINT64_MAX:
                    return Plan(pubkey=request.pubkey, denied=Reason.TOO_FAR_AHEAD)
                root = self._chain.forks.signing_root(domain, epoch, _object_root(request))
                return self._judged(epoch, request.pubkey, root)

    def wish(self, request: Slashable) -> Wish:
        """What the history records of ``request``."""
        match request:
            case SignAttestation(pubkey=pubkey, data=data):
                epoch = data.target.epoch
                root = self._root(DomainType.BEACON_ATTESTER, epoch, data)
                vote = Vote(source=data.source.epoch, target=epoch, signing_root=root)
                return Wish(pubkey, vote)
            case SignBlock(pubkey=pubkey, header=header):
                epoch = self._chain.epoch_of(header.slot)
                root = self._root(DomainType.BEACON_PROPOSER, epoch, header)
                return Wish(pubkey, Block(slot=header.slot, signing_root=root))

    def _judged(self, epoch: int, pubkey: bytes, what: Wish | bytes) -> Plan:
        """``what`` is a wish, or the signing root of what cannot be slashed."""
        if too_far_ahead(epoch, now_epoch=self._now_epoch):
            return Plan(pubkey=pubkey, denied=Reason.TOO_FAR_AHEAD)
        if isinstance(what, Wish):
            return Plan(pubkey=pubkey, signing_root=what.what.signing_root or b"", wish=what)
        return Plan(pubkey=pubkey, signing_root=what)

    def _root(self, domain: DomainType, epoch: int, value: Rooted) -> bytes:
        root = self._roots.get(value)
        if root is None:
            root = self._chain.forks.signing_root(domain, epoch, value.hash_tree_root())
            self._roots[value] = root
        return root


def signed_for(  # noqa: PLR0911 - one line for each kind
    request: SignRequest, chain: ChainSpec
) -> tuple[int, DomainType]:
    """The epoch and the domain that a request is signed for."""
    match request:
        case SignAttestation(data=data):
            return data.target.epoch, DomainType.BEACON_ATTESTER
        case SignBlock(header=header):
            return chain.epoch_of(header.slot), DomainType.BEACON_PROPOSER
        case SignRandao(epoch=epoch):
            return epoch, DomainType.RANDAO
        case SignSelection(slot=slot):
            return chain.epoch_of(slot), DomainType.SELECTION_PROOF
        case SignAggregate(message=aggregate):
            return chain.epoch_of(aggregate.slot), DomainType.AGGREGATE_AND_PROOF
        case SignSyncMessage(slot=slot):
            return chain.epoch_of(slot), DomainType.SYNC_COMMITTEE
        case SignSyncSelection(slot=slot):
            return chain.epoch_of(slot), DomainType.SYNC_COMMITTEE_SELECTION_PROOF
        case SignContribution(message=contribution):
            return chain.epoch_of(contribution.slot), DomainType.CONTRIBUTION_AND_PROOF
        case SignExit(message=exit_):
            return exit_.epoch, DomainType.VOLUNTARY_EXIT
        case SignRegistration(message=registration):
            slot = max(chain.slot_at(registration.timestamp), 0)
            return chain.epoch_of(slot), DomainType.APPLICATION_BUILDER


def signing_root_of(request: SignRequest, chain: ChainSpec) -> bytes:
    """The 32 bytes that are signed if ``request`` is granted."""
    epoch, domain = signed_for(request, chain)
    return chain.forks.signing_root(domain, epoch, _object_root(request))


def _object_root(request: SignRequest) -> bytes:  # noqa: PLR0911 - one line for each kind
    match request:
        case SignAttestation(data=data):
            return data.hash_tree_root()
        case SignBlock(header=header):
            return header.hash_tree_root()
        case SignRandao(epoch=epoch):
            return uint64_root(epoch)
        case SignSelection(slot=slot):
            return uint64_root(slot)
        case SignSyncMessage(beacon_block_root=root):
            return root
        case SignSyncSelection(slot=slot, subcommittee_index=index):
            return sync_selection_root(slot, index)
        case _:
            return request.message.hash_tree_root()


def plan(
    requests: Sequence[SignRequest],
    *,
    chain: ChainSpec | None,
    held: Container[bytes],
    wall_s: float,
) -> tuple[Plan, ...]:
    """Judge all that needs no history: is the chain known, the key held, the time near?"""
    if chain is None:
        return tuple(Plan(pubkey=r.pubkey, denied=Reason.NOT_CONFIGURED) for r in requests)
    planner = Planner(chain, wall_s=wall_s)
    return tuple(
        planner.plan(request)
        if request.pubkey in held
        else Plan(pubkey=request.pubkey, denied=Reason.KEY_UNKNOWN)
        for request in requests
    )


def wishes_for(signed: Sequence[Slashable], *, chain: ChainSpec) -> tuple[Wish, ...]:
    """What the history would have recorded of things that were signed, whatever the clock says."""
    planner = Planner(chain, wall_s=chain.genesis_time_s)
    return tuple(planner.wish(each) for each in signed)


def wishes_of(plans: Sequence[Plan]) -> tuple[Wish, ...]:
    """What the history must judge and record, in order."""
    return tuple(plan.wish for plan in plans if plan.wish is not None and plan.denied is None)


def settle(
    plans: Sequence[Plan], verdicts: tuple[Verdict, ...] | TetrarchError, keys: KeyRing
) -> tuple[SignResult, ...]:
    """Sign what is approved. Call it only after the record of ``verdicts`` is durable.

    Args:
        plans: what ``plan`` gave.
        verdicts: the history's answers to ``wishes_of(plans)``, or why it gave none: then
            nothing that could be slashed is signed.
        keys: hold every key of a plan that is not denied.
    """
    return begin(plans, verdicts, keys)()


def begin(
    plans: Sequence[Plan], verdicts: tuple[Verdict, ...] | TetrarchError, keys: KeyRing
) -> Callable[[], tuple[SignResult, ...]]:
    """Begin ``settle`` while the record of ``verdicts`` is on its way to the disk.

    The result may be asked for only when it is there: until then no signature exists outside
    of this process's memory, and what a failed commit leaves is forgotten.
    """
    decisions = decide(plans, verdicts)
    signatures = keys.begin(
        [
            (item.pubkey, item.signing_root)
            for item, decision in zip(plans, decisions, strict=True)
            if decision is None
        ]
    )

    def finish() -> tuple[SignResult, ...]:
        signed = iter(signatures())
        return tuple(next(signed) if decision is None else decision for decision in decisions)

    return finish


def decide(
    plans: Sequence[Plan], verdicts: tuple[Verdict, ...] | TetrarchError
) -> list[Denied | Failed | None]:
    """For each plan what it ends with, or None where it is granted; arguments as ``settle``."""
    decisions: list[Denied | Failed | None] = []
    answers = iter(()) if isinstance(verdicts, TetrarchError) else iter(verdicts)
    for item in plans:
        if item.denied is not None:
            decisions.append(Denied(item.denied))
        elif item.wish is None:
            decisions.append(None)
        elif isinstance(verdicts, TetrarchError):
            decisions.append(Failed(verdicts.code))
        else:
            verdict = next(answers)
            decisions.append(Denied(verdict.reason) if isinstance(verdict, Refused) else None)
    invariant(next(answers, None) is None, "each verdict belongs to one request")
    return decisions
