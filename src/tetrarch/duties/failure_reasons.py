"""Why a duty failed: one code out of a table, from how far it and what it rests on came. Pure.

``failure_reason`` is the rule, ``REASONS`` what each code means and how to mend it; the docs show
that table. The codes are those that operators of distributed validators know from dashboards.

The order of the questions is the order of a duty's steps, from its end to its beginning: the
furthest step that was reached says what did not come after it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tetrarch.duties.duty import DutyType
from tetrarch.duties.report import Step, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a duty came on this node."""

    steps: frozenset[Step] = frozenset()
    failed_edges: frozenset[str] = frozenset()  # those that gave up
    roots_differ: bool = False  # the shares signed different things
    is_done: bool = False


@dataclass(frozen=True, slots=True)
class Reason:
    """A row of the table."""

    meaning: str
    mend: str


NOT_INCLUDED = "not_included_onchain"
OTHER_HEAD = "voted_for_another_head"
# What a submitted duty failed by, by the chain's answer.
LEFT_OUT = {Verdict.NOT_INCLUDED: NOT_INCLUDED, Verdict.OTHER_HEAD: OTHER_HEAD}
_BUG = "report it, with the log and `tetrarch duty explain --json`"
_SLOW_OR_BUG = (
    "if the steps before came late, the host or its disk is too slow (`event_loop_blocked` in the log): "
    "give it more; else " + _BUG
)
_PEERS = "look who is missing, and whether this node's mesh reaches them: `/peers`, `/readyz`"
_CLIENT = "see that the validator client runs, has this node's key shares and uses its API"

REASONS: Mapping[str, Reason] = {
    "not_scheduled": Reason(
        "this node only heard of the duty from its peers",
        "none is needed; if it goes on, compare the validators that the beacon nodes know",
    ),
    "fetch_bn_error": Reason(
        "the beacon node did not give what is to be signed",
        "read the detail; see that the beacon node is synced and answers in time",
    ),
    "bug_fetch_error": Reason(
        "what is to be signed was not fetched, for no known cause", _SLOW_OR_BUG
    ),
    "proposer_no_external_randaos": Reason(
        "no peer's partial randao reveal came: the block could not be asked for", _PEERS
    ),
    "proposer_insufficient_randaos": Reason(
        "too few partial randao reveals came: the block could not be asked for", _PEERS
    ),
    "proposer_zero_randaos": Reason(
        "not even this node's own partial randao reveal was made",
        _CLIENT + "; where the enclave signs, read the log for what it denied",
    ),
    "failed_proposer_randao": Reason(
        "the randao reveal failed in another way", "explain the randao duty of the same slot"
    ),
    "no_aggregator_selections": Reason(
        "no peer's partial selection proof came: nobody could be drawn to aggregate", _PEERS
    ),
    "insufficient_aggregator_selections": Reason(
        "too few partial selection proofs came: nobody could be drawn to aggregate", _PEERS
    ),
    "zero_aggregator_prepares": Reason(
        "not even this node's own partial selection proof was made",
        "use a validator client that supports distributed validators, with that option on",
    ),
    "failed_aggregator_selection": Reason(
        "the selection proof failed in another way",
        "explain the prepare_aggregator duty of the same slot",
    ),
    "missing_aggregator_attestation": Reason(
        "the cluster agreed on no vote in that slot, so there was nothing to aggregate",
        "explain the attester duty of the same slot",
    ),
    "sync_contribution_no_external_prepares": Reason(
        "no peer's partial selection proof came: nobody could be drawn to contribute", _PEERS
    ),
    "sync_contribution_few_prepares": Reason(
        "too few partial selection proofs came: nobody could be drawn to contribute", _PEERS
    ),
    "sync_contribution_zero_prepares": Reason(
        "not even this node's own partial selection proof was made",
        "use a validator client that supports distributed validators, with that option on",
    ),
    "sync_contribution_failed_prepare": Reason(
        "the selection proof failed in another way",
        "explain the prepare_sync_contribution duty of the same slot",
    ),
    "sync_contribution_no_sync_msg": Reason(
        "the cluster made no sync message in that slot, so there was nothing to contribute to",
        "explain the sync_message duty of the same slot",
    ),
    "no_consensus": Reason(
        "the nodes agreed on nothing in time",
        "look at the rounds: who led those that failed, and what they lacked; compare clocks",
    ),
    "bug_duty_db_error": Reason(
        "the agreed data could not be stored, or the slashing history refused it",
        "read the detail; free disk space if it is full, else report it",
    ),
    "no_local_vc_signature": Reason(
        "agreed, but this node's share signed nothing",
        _CLIENT + "; where the enclave signs, read the log for what it denied",
    ),
    "bug_par_sig_db_internal": Reason(
        "this node's own partials were not stored in time", _SLOW_OR_BUG
    ),
    "no_peer_signatures": Reason("no partial signature of any peer came", _PEERS),
    "bug_par_sig_db_external": Reason("peers' partials could not be stored", _SLOW_OR_BUG),
    "insufficient_peer_signatures": Reason("too few partial signatures came", _PEERS),
    "bug_par_sig_db_inconsistent": Reason(
        "the shares signed different data, although the cluster agrees on it first",
        "find the node that is apart in the cohorts; see what signs with its shares",
    ),
    "par_sig_db_inconsistent_sync": Reason(
        "the shares signed different heads; on those of sync messages nobody agrees first",
        "see that the beacon nodes follow the chain alike; it passes by itself after a late block",
    ),
    "bug_sig_agg": Reason(
        "enough partials came, but no group signature was made of them in time", _SLOW_OR_BUG
    ),
    "bug_aggregation_error": Reason("the group signature could not be stored", _SLOW_OR_BUG),
    "broadcast_bn_error": Reason(
        "the group's signature is made, but the beacon node did not take it",
        "read the detail, which has the beacon node's words; peers may have submitted it",
    ),
    NOT_INCLUDED: Reason(
        "it was submitted, and the chain did not take it up",
        "look at the submission's time; a late one, or a beacon node with few peers, is not seen",
    ),
    OTHER_HEAD: Reason(
        "it was submitted, and the chain did not take it up, for it was for another head",
        "none after a late block or a reorg; if it goes on, see that the beacon node follows in time",
    ),
    "too_few_statements": Reason(
        "too few nodes told their versions and features: nothing could be agreed on", _PEERS
    ),
    "agreement_not_stored": Reason(
        "what the nodes agreed on of themselves was not stored", _SLOW_OR_BUG
    ),
    "unknown": Reason("none of the known ways to fail", _BUG),
}

# What is signed without agreement: nothing is decided and stored in between.
UNDECIDED_TYPES = frozenset(
    {
        DutyType.RANDAO,
        DutyType.EXIT,
        DutyType.BUILDER_REGISTRATION,
        DutyType.PREPARE_AGGREGATOR,
        DutyType.SYNC_MESSAGE,
        DutyType.PREPARE_SYNC_CONTRIBUTION,
    }
)
SYNC_TYPES = frozenset(
    {DutyType.SYNC_MESSAGE, DutyType.PREPARE_SYNC_CONTRIBUTION, DutyType.SYNC_CONTRIBUTION}
)
# A randao reveal and its like end in AggSigDB: nothing is submitted, or at another time.
ENDS_AT_AGGREGATED = frozenset(
    {
        DutyType.RANDAO,
        DutyType.EXIT,
        DutyType.BUILDER_REGISTRATION,
        DutyType.PREPARE_AGGREGATOR,
        DutyType.PREPARE_SYNC_CONTRIBUTION,
    }
)
# The duties of the same slot that a duty rests on.
RESTS_ON: Mapping[DutyType, tuple[DutyType, ...]] = {
    DutyType.PROPOSER: (DutyType.RANDAO,),
    DutyType.AGGREGATOR: (DutyType.PREPARE_AGGREGATOR, DutyType.ATTESTER),
    DutyType.SYNC_CONTRIBUTION: (DutyType.PREPARE_SYNC_CONTRIBUTION, DutyType.SYNC_MESSAGE),
}

FETCH_EDGE = "scheduler>fetcher.fetch"
STORE_AGGREGATED_EDGE = "sigagg>aggsigdb.store"
STORE_EXTERNAL_EDGE = "parsigex>parsigdb.store_external"
SIGN_EDGES = frozenset(
    {
        "consensus>signer.sign",
        "scheduler>signer.sign_scheduled",
        "requested>signer.sign_scheduled",
        "fetcher>signer.sign_head",
        "validator_api>parsigdb.store_internal",
        "resume>signer.sign",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Codes:
    """What a failed selection proof or reveal is called by the duty that rests on it."""

    none: str
    no_peers: str
    too_few: str
    otherwise: str


_PREPARED: Mapping[DutyType, _Codes] = {
    DutyType.PROPOSER: _Codes(
        none="proposer_zero_randaos",
        no_peers="proposer_no_external_randaos",
        too_few="proposer_insufficient_randaos",
        otherwise="failed_proposer_randao",
    ),
    DutyType.AGGREGATOR: _Codes(
        none="zero_aggregator_prepares",
        no_peers="no_aggregator_selections",
        too_few="insufficient_aggregator_selections",
        otherwise="failed_aggregator_selection",
    ),
    DutyType.SYNC_CONTRIBUTION: _Codes(
        none="sync_contribution_zero_prepares",
        no_peers="sync_contribution_no_external_prepares",
        too_few="sync_contribution_few_prepares",
        otherwise="sync_contribution_failed_prepare",
    ),
}


# What fails for good where a client never prepares, by the duty with which it would.
PREPARES: Mapping[DutyType, str] = {
    DutyType.PREPARE_AGGREGATOR: _PREPARED[DutyType.AGGREGATOR].none,
    DutyType.PREPARE_SYNC_CONTRIBUTION: _PREPARED[DutyType.SYNC_CONTRIBUTION].none,
}
NO_SELECTIONS = frozenset(PREPARES.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """The progress of the duties that a duty rests on; nothing is known of one that is absent."""

    by_type: Mapping[DutyType, Progress] = field(default_factory=dict)

    def of(self, duty_type: DutyType) -> Progress:
        """Its progress: none where nothing is known."""
        return self.by_type.get(duty_type, Progress())


# From the end of a duty to its beginning; what did not come after the step, where it alone says so.
_FURTHEST: Mapping[Step, str] = {
    Step.SUBMITTED: NOT_INCLUDED,
    Step.AGGREGATED: "broadcast_bn_error",
    Step.THRESHOLD: "bug_sig_agg",
    Step.SIGNED: "unknown",
    Step.STORED: "no_local_vc_signature",
    Step.DECIDED: "bug_duty_db_error",
    Step.FETCHED: "unknown",
    Step.SCHEDULED: "unknown",
}


# Nothing is fetched for the cluster's own agreement: the nodes tell each other of themselves.
_OF_INFO_SYNC: Mapping[Step | None, str] = {
    Step.DECIDED: "agreement_not_stored",
    Step.FETCHED: "no_consensus",
    Step.SCHEDULED: "too_few_statements",
}


def failure_reason(duty_type: DutyType, own: Progress, related: Related) -> str:
    """The code of a duty that was not done; one of ``REASONS``."""
    furthest = next((step for step in _FURTHEST if step in own.steps), None)
    if duty_type is DutyType.INFO_SYNC and furthest in _OF_INFO_SYNC:
        return _OF_INFO_SYNC[furthest]
    match furthest:
        case Step.AGGREGATED if duty_type in ENDS_AT_AGGREGATED:
            reason = "bug_aggregation_error"
        case Step.SIGNED:
            reason = _after_signing(duty_type, own)
        case Step.SCHEDULED | Step.FETCHED:
            reason = _before_decision(duty_type, own, related)
        case None:
            reason = "not_scheduled"
        case _:
            reason = _FURTHEST[furthest]
    return reason


def _after_signing(duty_type: DutyType, own: Progress) -> str:
    if Step.EXCHANGED not in own.steps:
        gave_up = own.failed_edges & SIGN_EDGES
        return "bug_par_sig_db_internal" if gave_up else "no_peer_signatures"
    if STORE_EXTERNAL_EDGE in own.failed_edges:
        return "bug_par_sig_db_external"
    if not own.roots_differ:
        return "insufficient_peer_signatures"
    in_sync = duty_type in SYNC_TYPES
    return "par_sig_db_inconsistent_sync" if in_sync else "bug_par_sig_db_inconsistent"


def _before_decision(duty_type: DutyType, own: Progress, related: Related) -> str:
    if Step.FETCHED in own.steps:
        return "no_local_vc_signature" if duty_type in UNDECIDED_TYPES else "no_consensus"
    if duty_type in _PREPARED:
        reason = _preparation_reason(duty_type, related)
        if reason is not None:
            return reason
    if FETCH_EDGE in own.failed_edges:
        return "fetch_bn_error"
    if duty_type in UNDECIDED_TYPES:
        return "no_local_vc_signature"
    # Without an own proposal a node still takes part: then it is the cluster that did not agree.
    return "no_consensus" if "consensus" in own.failed_edges else "bug_fetch_error"


def _preparation_reason(duty_type: DutyType, related: Related) -> str | None:
    """What of the duties that it rests on was lacking; None where nothing was."""
    prepare_type, *others = RESTS_ON[duty_type]
    prepared, codes = related.of(prepare_type), _PREPARED[duty_type]
    if not prepared.is_done:
        if not prepared.steps & {Step.SIGNED, Step.EXCHANGED}:
            return codes.none
        if Step.THRESHOLD in prepared.steps:
            return codes.otherwise
        return codes.too_few if Step.EXCHANGED in prepared.steps else codes.no_peers
    for other in others:
        progress = related.of(other)
        if (
            other is DutyType.ATTESTER
            and not progress.is_done
            and Step.STORED not in progress.steps
        ):
            return "missing_aggregator_attestation"
        if other is DutyType.SYNC_MESSAGE and not progress.is_done:
            return "sync_contribution_no_sync_msg"
    return None
