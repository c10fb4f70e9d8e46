"""What the QBFT machine must do, as functions of the machine's class.

``test_qbft`` runs them on the real one and ``test_mutants`` on broken ones. Names are claims.
"""

from collections import deque
from collections.abc import Callable
from random import Random

from tests.consensus.building import (
    COMMIT,
    DECIDED,
    DUTY,
    PRE_PREPARE,
    PREPARE,
    ROUND_CHANGE,
    A,
    B,
    C,
    changes,
    heard,
    kinds,
    proposal,
    signed,
    votes,
)

from tetrarch.consensus.events import (
    Answer,
    Blame,
    Broadcast,
    CheckValue,
    Decide,
    Effect,
    ExtendTimer,
    InputArrived,
    Received,
    Resend,
    Resumed,
    Started,
    StartTimer,
    TimerFired,
    ValueChecked,
    Verdict,
)
from tetrarch.consensus.messages import (
    NO_VALUE,
    ROUNDS_MAX,
    Envelope,
    Message,
    SignedMessage,
    ValueHash,
    leader,
)
from tetrarch.consensus.qbft import CONSENTED_MAX, DECIDED_ANSWERS_MAX, Qbft
from tetrarch.consensus.tally import PENDING_MAX
from tetrarch.duties.types import Duty, DutyType

Machine = type[Qbft]
Rule = Callable[[Machine], None]
RULES: list[Rule] = []


def rule(function: Rule) -> Rule:
    RULES.append(function)
    return function


def started(machine: Machine, own: int = 1, value: ValueHash | None = B) -> Qbft:
    node = machine(duty=DUTY, node_count=4, own_index=own)
    node.handle(Started(value))
    return node


def accepted(machine: Machine, own: int = 1, value: ValueHash = A) -> Qbft:
    """A node that has sent PREPARE(value) in round 1, but not heard itself."""
    node = started(machine, own)
    node.handle(heard(PRE_PREPARE, 3, 1, value))
    node.handle(ValueChecked(value, Verdict.OK))
    return node


def said(effects: list[Effect]) -> list[tuple[int, int, ValueHash]]:
    """Type, round and value of everything that goes out."""
    found = [effect.message for effect in effects if isinstance(effect, Broadcast)]
    return [(message.type, message.round, message.value_hash) for message in found]


# The good case


@rule
def leader_proposes_its_input_once(machine: Machine) -> None:
    node = machine(duty=DUTY, node_count=4, own_index=3)
    effects = node.handle(Started(A))
    assert effects[0] == StartTimer(1)
    assert said(effects) == [(PRE_PREPARE, 1, A)]
    assert node.handle(InputArrived(B)) == []
    assert node.handle(Started(B)) == []


@rule
def leader_without_input_proposes_when_it_arrives(machine: Machine) -> None:
    node = machine(duty=DUTY, node_count=4, own_index=3)
    assert node.handle(Started()) == [StartTimer(1)]
    assert said(node.handle(InputArrived(A))) == [(PRE_PREPARE, 1, A)]


@rule
def only_the_leader_proposes(machine: Machine) -> None:
    for own in (0, 1, 2):
        node = machine(duty=DUTY, node_count=4, own_index=own)
        assert said(node.handle(Started(A))) == []


@rule
def node_checks_a_value_before_it_prepares(machine: Machine) -> None:
    node = started(machine)
    assert node.handle(heard(PRE_PREPARE, 3, 1, A)) == [ExtendTimer(1), CheckValue(A, 3, 1)]
    assert said(node.handle(ValueChecked(A, Verdict.OK))) == [(PREPARE, 1, A)]
    assert node.handle(ValueChecked(A, Verdict.OK)) == []


@rule
def quorum_of_prepares_commits_and_less_does_not(machine: Machine) -> None:
    node = accepted(machine)
    assert node.handle(heard(PREPARE, 1, 1, A)) == []
    assert node.handle(heard(PREPARE, 2, 1, A)) == []
    effects = node.handle(heard(PREPARE, 3, 1, A))
    assert said(effects) == [(COMMIT, 1, A)]
    assert isinstance(effects[0], Broadcast)
    assert [vote.message.source for vote in effects[0].evidence] == [1, 2, 3]
    assert effects[0].justification == ()
    assert node.handle(heard(PREPARE, 0, 1, A)) == [], "commits once"


@rule
def quorum_of_commits_decides_and_less_does_not(machine: Machine) -> None:
    node = started(machine)
    assert node.handle(heard(COMMIT, 0, 1, A)) == []
    assert node.handle(heard(COMMIT, 2, 1, A)) == []
    assert node.handle(heard(COMMIT, 3, 1, A)) == [Decide(A, 1)]
    assert node.handle(heard(COMMIT, 1, 1, A)) == [], "decides once"


@rule
def quorum_grows_with_the_cluster(machine: Machine) -> None:
    for node_count, quorum in ((1, 1), (3, 2), (4, 3), (5, 4), (6, 4), (7, 5), (10, 7)):
        node = machine(duty=DUTY, node_count=node_count, own_index=0)
        node.handle(Started(B))
        for source in range(quorum - 1):
            assert Decide(A, 1) not in node.handle(heard(COMMIT, source, 1, A))
        assert Decide(A, 1) in node.handle(heard(COMMIT, quorum - 1, 1, A))


@rule
def commits_of_an_earlier_round_still_decide(machine: Machine) -> None:
    node = started(machine)
    node.handle(heard(COMMIT, 0, 1, A))
    node.handle(TimerFired(1))
    node.handle(heard(COMMIT, 2, 1, A))
    assert node.handle(heard(COMMIT, 3, 1, A)) == [Decide(A, 1)]


@rule
def votes_for_different_values_or_rounds_do_not_add_up(machine: Machine) -> None:
    for kind in (PREPARE, COMMIT):
        node = accepted(machine)
        node.handle(heard(kind, 1, 1, A))
        node.handle(heard(kind, 2, 1, B))
        assert said(node.handle(heard(kind, 3, 1, A))) == []
        assert said(node.handle(heard(kind, 0, 2, A))) == []
        assert node.decided is None


@rule
def evidence_holds_votes_for_the_value_alone(machine: Machine) -> None:
    node = accepted(machine)
    node.handle(heard(PREPARE, 0, 1, B))
    for source in (1, 2):
        node.handle(heard(PREPARE, source, 1, A))
    (commit,) = [e for e in node.handle(heard(PREPARE, 3, 1, A)) if isinstance(e, Broadcast)]
    assert {vote.message.value_hash for vote in commit.evidence} == {A}
    assert len(commit.evidence) == 3


@rule
def a_source_counts_once(machine: Machine) -> None:
    for kind in (PREPARE, COMMIT):
        node = accepted(machine)
        for _ in range(4):
            assert node.handle(heard(kind, 2, 1, A)) == []


@rule
def two_votes_of_a_source_are_blamed_and_the_first_counts(machine: Machine) -> None:
    for kind, code in ((PREPARE, "two_prepares"), (COMMIT, "two_commits")):
        node = accepted(machine)
        node.handle(heard(kind, 2, 1, B))
        assert node.handle(heard(kind, 2, 1, A)) == [Blame(2, code)]
        node.handle(heard(kind, 0, 1, A))
        assert said(node.handle(heard(kind, 3, 1, A))) == []
        assert node.decided is None


@rule
def prepares_of_a_later_round_count_when_it_is_entered(machine: Machine) -> None:
    node = started(machine)
    for source in (0, 2, 3):
        assert node.handle(heard(PREPARE, source, 2, A)) == []
    assert (COMMIT, 2, A) in said(node.handle(TimerFired(1)))


@rule
def commit_follows_a_quorum_even_if_this_node_refused(machine: Machine) -> None:
    node = started(machine)
    node.handle(heard(PRE_PREPARE, 3, 1, A))
    node.handle(ValueChecked(A, Verdict.REFUSED))
    node.handle(heard(PREPARE, 0, 1, A))
    node.handle(heard(PREPARE, 2, 1, A))
    assert said(node.handle(heard(PREPARE, 3, 1, A))) == [(COMMIT, 1, A)]


# Proposals


@rule
def equivocating_leader_gets_one_prepare(machine: Machine) -> None:
    node = started(machine)
    node.handle(heard(PRE_PREPARE, 3, 1, A))
    assert node.handle(heard(PRE_PREPARE, 3, 1, B)) == [Blame(3, "two_proposals")]
    sent = said(node.handle(ValueChecked(B, Verdict.OK)))
    sent += said(node.handle(ValueChecked(A, Verdict.OK)))
    node.handle(heard(PRE_PREPARE, 3, 1, C))
    sent += said(node.handle(ValueChecked(C, Verdict.OK)))
    assert sent == [(PREPARE, 1, A)]


@rule
def equivocating_leader_gets_one_prepare_after_a_jump(machine: Machine) -> None:
    """The move to a later round that a proposal causes must not open the round twice."""
    node = started(machine)
    proof = changes("023", 2)
    node.handle(heard(PRE_PREPARE, 0, 2, A, proof=proof))
    sent = said(node.handle(ValueChecked(A, Verdict.OK)))
    node.handle(heard(PRE_PREPARE, 0, 2, B, proof=proof))
    sent += said(node.handle(ValueChecked(B, Verdict.OK)))
    assert sent == [(PREPARE, 2, A)]


@rule
def zero_value_is_refused(machine: Machine) -> None:
    for kind, proof in (
        (PRE_PREPARE, ()),
        (PREPARE, ()),
        (COMMIT, ()),
        (DECIDED, votes(COMMIT, "012", 1, NO_VALUE)),
    ):
        node = started(machine)
        effects = node.handle(heard(kind, 3, 1, NO_VALUE, proof=proof))
        assert kinds(effects) == ["Blame"]


@rule
def proposal_of_another_node_than_the_leader_is_refused(machine: Machine) -> None:
    node = started(machine)
    assert kinds(node.handle(heard(PRE_PREPARE, 2, 1, A))) == ["Blame"]


@rule
def later_proposal_needs_a_quorum_of_round_changes(machine: Machine) -> None:
    good = changes("023", 2)
    refused = (
        (),
        changes("02", 2),
        changes("022", 2),
        (*changes("02", 2), *changes("3", 3)),
        (*changes("02", 2), signed(PREPARE, 3, 2, A)),
        (*changes("02", 2), signed(ROUND_CHANGE, 3, 2, duty=Duty(4, DutyType.ATTESTER))),
    )
    for proof in refused:
        node = started(machine)
        assert kinds(node.handle(heard(PRE_PREPARE, 0, 2, A, proof=proof))) == ["Blame"], proof
        assert node.round == 1
    node = started(machine)
    effects = node.handle(heard(PRE_PREPARE, 0, 2, A, proof=good))
    assert effects == [StartTimer(2), ExtendTimer(2), CheckValue(A, 0, 2)]


@rule
def later_proposal_must_repeat_what_was_prepared_last(machine: Machine) -> None:
    """Nodes 0 and 2 prepared A in round 1, node 3 prepared B in round 2; round 3 is led by 1."""
    bound = (
        signed(ROUND_CHANGE, 0, 3, prepared=(1, A)),
        signed(ROUND_CHANGE, 2, 3),
        signed(ROUND_CHANGE, 3, 3, prepared=(2, B)),
    )
    proof_a, proof_b = votes(PREPARE, "023", 1, A), votes(PREPARE, "023", 2, B)
    for value, proof in (
        (C, bound),  # ignores what was prepared
        (A, bound + proof_a),  # an older value
        (A, (*bound[:2], signed(ROUND_CHANGE, 1, 3))),  # without the PREPAREs
        (B, bound + votes(PREPARE, "03", 2, B)),  # not a quorum of them
        (B, bound + votes(PREPARE, "033", 2, B)),
        (B, bound + votes(PREPARE, "023", 1, B)),  # of another round
        (B, bound + proof_a),
        (B, bound + votes(COMMIT, "023", 2, B)),
        (C, changes("023", 3) + proof_a),  # nothing prepared, and yet PREPAREs
    ):
        node = started(machine, own=2)
        assert kinds(node.handle(heard(PRE_PREPARE, 1, 3, value, proof=proof))) == ["Blame"]
    node = started(machine, own=2)
    effects = node.handle(heard(PRE_PREPARE, 1, 3, B, proof=bound + proof_b))
    assert CheckValue(B, 1, 3) in effects


@rule
def prepared_round_must_be_below_the_round(machine: Machine) -> None:
    late = (
        *changes("02", 2),
        signed(ROUND_CHANGE, 3, 2, prepared=(2, A)),
        *votes(PREPARE, "023", 2, A),
    )
    node = started(machine)
    assert kinds(node.handle(heard(PRE_PREPARE, 0, 2, A, proof=late))) == ["Blame"]


@rule
def proposal_of_a_past_round_is_ignored(machine: Machine) -> None:
    node = started(machine)
    node.handle(TimerFired(1))
    assert node.handle(heard(PRE_PREPARE, 3, 1, A)) == []
    assert node.handle(ValueChecked(A, Verdict.OK)) == []


@rule
def consent_of_an_earlier_round_does_not_prepare(machine: Machine) -> None:
    node = started(machine)
    node.handle(heard(PRE_PREPARE, 3, 1, A))
    node.handle(TimerFired(1))
    assert node.handle(ValueChecked(A, Verdict.OK)) == []


@rule
def refused_value_is_never_prepared_and_the_own_one_is_kept(machine: Machine) -> None:
    node = started(machine, own=0, value=B)
    node.handle(heard(PRE_PREPARE, 3, 1, A))
    assert node.handle(ValueChecked(A, Verdict.REFUSED)) == []
    node.handle(TimerFired(1))
    node.handle(heard(ROUND_CHANGE, 0, 2))
    node.handle(heard(ROUND_CHANGE, 1, 2))
    assert said(node.handle(heard(ROUND_CHANGE, 2, 2))) == [(PRE_PREPARE, 2, B)]
    node.handle(TimerFired(2))
    effects = node.handle(heard(PRE_PREPARE, 1, 3, A, proof=changes("123", 3)))
    assert effects == [ExtendTimer(3)], "no second check of a refused value"


@rule
def unknown_value_is_checked_again_in_the_next_round(machine: Machine) -> None:
    node = started(machine)
    node.handle(heard(PRE_PREPARE, 3, 1, A))
    assert node.handle(ValueChecked(A, Verdict.UNKNOWN)) == []
    node.handle(TimerFired(1))
    effects = node.handle(heard(PRE_PREPARE, 0, 2, A, proof=changes("023", 2)))
    assert CheckValue(A, 0, 2) in effects
    assert said(node.handle(ValueChecked(A, Verdict.OK))) == [(PREPARE, 2, A)]


# Round changes


@rule
def timer_changes_the_round_and_a_stale_one_does_not(machine: Machine) -> None:
    node = started(machine)
    effects = node.handle(TimerFired(1))
    assert effects[0] == StartTimer(2)
    assert said(effects) == [(ROUND_CHANGE, 2, NO_VALUE)]
    assert node.handle(TimerFired(1)) == []
    assert node.round == 2


@rule
def rounds_are_bounded(machine: Machine) -> None:
    node = started(machine)
    for round_ in range(1, ROUNDS_MAX + 10):
        node.handle(TimerFired(round_))
    assert node.round == ROUNDS_MAX


@rule
def round_change_names_and_proves_what_was_prepared(machine: Machine) -> None:
    node = accepted(machine)
    for source in (1, 2, 3):
        node.handle(heard(PREPARE, source, 1, A))
    node.handle(TimerFired(1))
    (change,) = [e for e in node.handle(TimerFired(2)) if isinstance(e, Broadcast)]
    assert (change.message.prepared_round, change.message.prepared_hash) == (1, A)
    assert [part.message.type for part in change.justification] == [PREPARE] * 3


@rule
def round_change_without_proof_is_refused(machine: Machine) -> None:
    proof = votes(PREPARE, "023", 1, A)
    for prepared, parts in (
        ((1, A), ()),
        ((1, A), proof[:2]),
        ((1, A), votes(PREPARE, "022", 1, A)),
        ((1, A), votes(PREPARE, "023", 1, B)),
        ((1, B), proof),
        ((2, A), proof),
        ((1, A), votes(COMMIT, "023", 1, A)),
        ((3, A), votes(PREPARE, "023", 3, A)),  # not below the round it changes to
        ((0, A), ()),
        ((0, NO_VALUE), proof),
        ((1, NO_VALUE), votes(PREPARE, "023", 1, NO_VALUE)),
    ):
        node = started(machine)
        effects = node.handle(heard(ROUND_CHANGE, 2, 3, prepared=prepared, proof=parts))
        assert kinds(effects) == ["Blame"], (prepared, parts)
    node = started(machine)
    assert node.handle(heard(ROUND_CHANGE, 2, 3, prepared=(1, A), proof=proof)) == []


@rule
def more_than_f_in_higher_rounds_are_followed_to_the_lowest(machine: Machine) -> None:
    node = started(machine)
    assert node.handle(heard(ROUND_CHANGE, 0, 9)) == [], "one may be a liar"
    effects = node.handle(heard(ROUND_CHANGE, 2, 5))
    assert effects[0] == StartTimer(5)
    assert said(effects) == [(ROUND_CHANGE, 5, NO_VALUE)]


@rule
def own_and_equal_round_changes_move_nobody(machine: Machine) -> None:
    node = started(machine)
    node.handle(heard(ROUND_CHANGE, 1, 5))
    assert node.handle(heard(ROUND_CHANGE, 0, 5)) == []
    assert node.handle(heard(ROUND_CHANGE, 0, 6)) == []
    assert node.round == 1


@rule
def new_leader_proposes_its_own_value_when_nothing_was_prepared(machine: Machine) -> None:
    node = started(machine, own=0, value=B)
    node.handle(TimerFired(1))
    assert node.handle(heard(ROUND_CHANGE, 0, 2)) == []
    assert node.handle(heard(ROUND_CHANGE, 1, 2)) == []
    effects = node.handle(heard(ROUND_CHANGE, 2, 2))
    assert said(effects) == [(PRE_PREPARE, 2, B)]
    assert isinstance(effects[0], Broadcast)
    assert len(effects[0].justification) == 3
    assert node.handle(heard(ROUND_CHANGE, 3, 2)) == [], "proposes once"
    follower = started(machine, own=2)
    sent = Envelope(SignedMessage(effects[0].message, b""), effects[0].justification)
    assert CheckValue(B, 0, 2) in follower.handle(Received(sent)), "its proof is accepted"


@rule
def new_leader_without_a_value_waits_for_it(machine: Machine) -> None:
    node = started(machine, own=0, value=None)
    node.handle(TimerFired(1))
    for source in (0, 1, 2):
        assert node.handle(heard(ROUND_CHANGE, source, 2)) == []
    assert said(node.handle(InputArrived(C))) == [(PRE_PREPARE, 2, C)]


@rule
def new_leader_proposes_what_was_prepared_last(machine: Machine) -> None:
    node = started(machine, own=1, value=C)
    node.handle(TimerFired(1))
    node.handle(TimerFired(2))
    one, two = votes(PREPARE, "023", 1, A), votes(PREPARE, "023", 2, B)
    node.handle(heard(ROUND_CHANGE, 0, 3, prepared=(1, A), proof=one))
    node.handle(heard(ROUND_CHANGE, 2, 3, prepared=(2, B), proof=two))
    effects = node.handle(heard(ROUND_CHANGE, 3, 3))
    assert said(effects) == [(PRE_PREPARE, 3, B)]
    assert isinstance(effects[0], Broadcast)
    follower = started(machine, own=2)
    sent = Envelope(SignedMessage(effects[0].message, b""), effects[0].justification)
    assert CheckValue(B, 1, 3) in follower.handle(Received(sent)), "its proof is accepted"


# Decided


@rule
def decided_message_is_a_proof(machine: Machine) -> None:
    node = started(machine)
    effects = node.handle(heard(DECIDED, 2, 7, A, proof=votes(COMMIT, "023", 7, A)))
    assert effects == [Decide(A, 7)]


@rule
def decided_message_with_a_false_proof_is_refused(machine: Machine) -> None:
    for proof in (
        (),
        votes(COMMIT, "02", 7, A),
        votes(COMMIT, "022", 7, A),
        votes(COMMIT, "0", 7, A) + votes(COMMIT, "23", 7, B),  # the first alone proves nothing
        votes(COMMIT, "023", 7, B),
        votes(COMMIT, "023", 6, A),
        votes(PREPARE, "023", 7, A),
    ):
        node = started(machine)
        assert kinds(node.handle(heard(DECIDED, 2, 7, A, proof=proof))) == ["Blame"], proof


def decided(machine: Machine) -> Qbft:
    node = started(machine)
    node.handle(heard(DECIDED, 2, 1, A, proof=votes(COMMIT, "023", 1, A)))
    return node


@rule
def decided_node_answers_each_higher_round_once(machine: Machine) -> None:
    node = decided(machine)
    (answer,) = node.handle(heard(ROUND_CHANGE, 2, 3))
    assert isinstance(answer, Answer)
    assert (answer.peer, answer.message.type, answer.message.value_hash) == (2, DECIDED, A)
    other = started(machine, own=0)
    sent = Envelope(SignedMessage(answer.message, b""), answer.justification)
    assert other.handle(Received(sent)) == [Decide(A, 1)], "its proof is accepted"
    assert node.handle(heard(ROUND_CHANGE, 2, 3)) == []
    assert node.handle(heard(ROUND_CHANGE, 2, 2)) == []
    assert kinds(node.handle(heard(ROUND_CHANGE, 0, 2))) == ["Answer"]
    assert kinds(node.handle(heard(ROUND_CHANGE, 2, 4))) == ["Answer"]


@rule
def decided_node_answers_a_peer_a_bounded_number_of_times(machine: Machine) -> None:
    node = decided(machine)
    answers = [node.handle(heard(ROUND_CHANGE, 2, round_)) for round_ in range(2, 200)]
    assert sum(map(len, answers)) == DECIDED_ANSWERS_MAX
    assert kinds(node.handle(heard(ROUND_CHANGE, 3, 5))) == ["Answer"], "counted per peer"


@rule
def decided_node_says_nothing_else(machine: Machine) -> None:
    node = decided(machine)
    for event in (
        heard(ROUND_CHANGE, 1, 9),
        heard(PRE_PREPARE, 3, 1, A),
        heard(PREPARE, 2, 1, A),
        heard(COMMIT, 2, 1, A),
        heard(DECIDED, 2, 1, A, proof=votes(COMMIT, "023", 1, A)),
        TimerFired(1),
        ValueChecked(A, Verdict.OK),
        InputArrived(C),
    ):
        assert node.handle(event) == [], event


# Restart


def kept(effects: list[Effect]) -> list[Envelope]:
    """What the driver writes to the vote log."""
    return [
        Envelope(SignedMessage(effect.message, b""), effect.justification or effect.evidence)
        for effect in effects
        if isinstance(effect, Broadcast)
    ]


def prepared_log(machine: Machine) -> list[Envelope]:
    """The log of a node that sent PREPARE(A) and COMMIT(A) in round 1."""
    node = started(machine)
    node.handle(heard(PRE_PREPARE, 3, 1, A))
    log = kept(node.handle(ValueChecked(A, Verdict.OK)))
    for source in (1, 2, 3):
        log += kept(node.handle(heard(PREPARE, source, 1, A)))
    return log


@rule
def restarted_node_says_nothing_else_in_a_round(machine: Machine) -> None:
    log = prepared_log(machine)
    node = machine(duty=DUTY, node_count=4, own_index=1)
    effects = node.handle(Resumed(tuple(log)))
    assert effects[:3] == [StartTimer(1), Resend(log[0]), Resend(Envelope(log[1].signed))]
    assert log[1].justification, "the log knows more than travels"
    assert kinds(node.handle(heard(PRE_PREPARE, 3, 1, B))) == ["Blame"]
    assert said(node.handle(ValueChecked(B, Verdict.OK))) == []


@rule
def restarted_leader_does_not_propose_another_value(machine: Machine) -> None:
    log = kept(started_leader(machine))
    node = machine(duty=DUTY, node_count=4, own_index=3)
    assert node.handle(Resumed(tuple(log))) == [StartTimer(1), Resend(log[0])]
    assert node.handle(InputArrived(B)) == []


def started_leader(machine: Machine) -> list[Effect]:
    return machine(duty=DUTY, node_count=4, own_index=3).handle(Started(A))


@rule
def restarted_node_remembers_what_it_prepared(machine: Machine) -> None:
    node = machine(duty=DUTY, node_count=4, own_index=1)
    node.handle(Resumed(tuple(prepared_log(machine))))
    (change,) = [e for e in node.handle(TimerFired(1)) if isinstance(e, Broadcast)]
    assert (change.message.prepared_round, change.message.prepared_hash) == (1, A)
    assert len(change.justification) == 3


@rule
def restarted_node_stays_in_its_round(machine: Machine) -> None:
    node = started(machine)
    log = kept(node.handle(TimerFired(1))) + kept(node.handle(TimerFired(2)))
    again = machine(duty=DUTY, node_count=4, own_index=1)
    assert again.handle(Resumed(tuple(log)))[:1] == [StartTimer(3)]
    assert again.round == 3


# Liars are named


@rule
def vote_for_what_the_leader_did_not_say_is_refused(machine: Machine) -> None:
    right, other = proposal(1, A), proposal(1, B)
    by_another = (signed(PRE_PREPARE, 2, 1, A),)
    no_proposal = (signed(COMMIT, 3, 1, A),)
    for proof in ((), other, by_another, no_proposal, proposal(2, A), right + right):
        node = accepted(machine)
        effects = node.handle(Received(Envelope(signed(PREPARE, 2, 1, A), proof)))
        assert effects == [Blame(2, "unjustified_prepare")]
        assert node.votes_count == 0


@rule
def leader_that_tells_others_another_value_is_named(machine: Machine) -> None:
    node = accepted(machine)
    assert node.handle(heard(PREPARE, 2, 1, B)) == [Blame(3, "two_proposals")]
    early = started(machine)
    early.handle(heard(PREPARE, 2, 1, B))
    effects = early.handle(heard(PRE_PREPARE, 3, 1, A))
    assert effects == [Blame(3, "two_proposals"), ExtendTimer(1), CheckValue(A, 3, 1)]


@rule
def prepare_carries_what_was_accepted(machine: Machine) -> None:
    node = started(machine)
    node.handle(heard(PREPARE, 2, 1, B))
    node.handle(heard(PRE_PREPARE, 3, 1, A))
    (prepare,) = kept(node.handle(ValueChecked(A, Verdict.OK)))
    assert prepare.justification == proposal(1, A)


@rule
def dissent_from_a_prepared_value_is_named(machine: Machine) -> None:
    late, early = accepted(machine), accepted(machine)
    early.handle(heard(COMMIT, 0, 1, B))
    named = []
    for source in (1, 2, 3):
        late.handle(heard(PREPARE, source, 1, A))
        named += [e for e in early.handle(heard(PREPARE, source, 1, A)) if isinstance(e, Blame)]
    assert named == [Blame(0, "commit_of_another_value")]
    assert late.handle(heard(COMMIT, 0, 1, B)) == named
    assert late.handle(heard(COMMIT, 2, 1, A)) == named  # said again with each vote


@rule
def dissent_from_the_decision_is_named_even_after_it(machine: Machine) -> None:
    node = accepted(machine)
    for source in (1, 2, 3):
        node.handle(heard(COMMIT, source, 1, A))
    assert node.decided == Decide(A, 1)
    same, other = heard(COMMIT, 0, 1, A), heard(COMMIT, 1, 1, B)
    assert not node.needs(same.envelope.message)
    assert node.handle(same) == []
    assert node.needs(other.envelope.message)
    assert node.handle(other) == [Blame(1, "commit_of_another_value")]
    for kind, round_ in ((COMMIT, 2), (PREPARE, 1)):  # may be said by an honest node, or is late
        harmless = heard(kind, 1, round_, B)
        assert not node.needs(harmless.envelope.message)
        assert node.handle(harmless) == []


# Bounds


@rule
def flooding_source_is_bounded_and_harms_only_itself(machine: Machine) -> None:
    node = accepted(machine)
    node.handle(heard(PREPARE, 1, 1, A))
    node.handle(heard(PREPARE, 2, 1, A))
    for step in range(5_000):
        round_ = 1 + step % ROUNDS_MAX
        node.handle(heard(PREPARE if step % 2 else COMMIT, 0, round_, B))
        node.handle(heard(ROUND_CHANGE, 0, round_))
    assert node.votes_count <= 4 * PENDING_MAX
    assert said(node.handle(heard(PREPARE, 3, 1, A))) == [(COMMIT, 1, A)]


@rule
def values_to_keep_are_bounded_and_cover_every_consent(machine: Machine) -> None:
    node = started(machine)
    sent = []
    for round_ in range(1, 40):
        value = ValueHash(bytes([round_]) * 32)
        source = leader(DUTY, round_, 4)
        proof = changes("023", round_) if round_ > 1 else ()
        node.handle(heard(PRE_PREPARE, source, round_, value, proof=proof))
        node.handle(ValueChecked(value, Verdict.OK))
        sent.append(value)
        named = node.named_values()
        assert len(named) <= CONSENTED_MAX + 4
        assert set(sent[-CONSENTED_MAX:]) <= set(named)


@rule
def unneeded_messages_are_known_before_their_signatures(machine: Machine) -> None:
    node = accepted(machine)
    for event, needed in (
        (heard(PRE_PREPARE, 3, 1, A), False),  # heard
        (heard(PRE_PREPARE, 3, 1, B), True),  # evidence
        (heard(PRE_PREPARE, 2, 1, A), False),  # not the leader
        (heard(PREPARE, 2, 1, A), True),
        (heard(PREPARE, 2, 2, A), True),
        (heard(COMMIT, 2, 1, A), True),
        (heard(ROUND_CHANGE, 2, 2), True),
        (heard(PREPARE, 2, 1, A, duty=Duty(1, DutyType.ATTESTER)), False),
        (heard(PREPARE, 7, 1, A), False),  # no such node
    ):
        assert node.needs(event.envelope.message) is needed, event
    for source in (1, 2, 3):
        node.handle(heard(PREPARE, source, 1, A))
    assert not node.needs(heard(PREPARE, 0, 1, A).envelope.message), "already committed"
    node.handle(heard(ROUND_CHANGE, 2, 2))
    assert not node.needs(heard(ROUND_CHANGE, 2, 2).envelope.message)
    node.handle(TimerFired(1))
    assert not node.needs(heard(PREPARE, 0, 1, A).envelope.message), "past round"
    assert node.needs(heard(COMMIT, 0, 1, A).envelope.message), "any round decides"


# Whole runs on a random schedule, one node silent or two-faced


class Run:
    """Pure machines and a bag of messages; the schedule is drawn."""

    def __init__(self, machine: Machine, seed: int) -> None:
        self.rng = Random(seed)
        self.duty = Duty(self.rng.randint(0, 9), DutyType.ATTESTER)
        self.twofaced = self.rng.choice([None, 0, 1, 2, 3])
        # A two-faced node is two machines; each other node hears the one or the other.
        faces = [(node, 0) for node in range(4)]
        if self.twofaced is not None:
            faces.append((self.twofaced, 1))
        self.nodes = {
            face: machine(duty=self.duty, node_count=4, own_index=face[0]) for face in faces
        }
        self.side = {node: self.rng.randint(0, 1) for node in range(4)}
        self.bag: list[tuple[tuple[int, int], Envelope]] = []
        self.decisions: dict[int, ValueHash] = {}
        for face in faces:
            self.step(face, Started(ValueHash(bytes([1 + face[0], face[1]]) * 16)))

    def honest(self, face: tuple[int, int]) -> bool:
        return face[0] != self.twofaced

    def step(self, face: tuple[int, int], event: object) -> None:
        events = deque([event])
        while events:
            for effect in self.nodes[face].handle(events.popleft()):  # type: ignore[arg-type]
                if isinstance(effect, Broadcast):
                    envelope = Envelope(SignedMessage(effect.message, b""), effect.justification)
                    events.append(Received(envelope))
                    self.send(face, envelope)
                elif isinstance(effect, CheckValue):
                    events.append(ValueChecked(effect.value_hash, Verdict.OK))
                elif isinstance(effect, Answer):
                    envelope = Envelope(SignedMessage(effect.message, b""), effect.justification)
                    self.bag.append(((effect.peer, 0), envelope))
                elif isinstance(effect, Decide) and self.honest(face):
                    assert face[0] not in self.decisions, "decides once"
                    self.decisions[face[0]] = effect.value_hash

    def send(self, source: tuple[int, int], envelope: Envelope) -> None:
        for target in self.nodes:
            heard_by = self.honest(source) or self.side[target[0]] == source[1]
            if target[0] != source[0] and heard_by:
                self.bag.append((target, envelope))

    def deliver(self, *, lossy: bool) -> None:
        target, envelope = self.bag.pop(self.rng.randrange(len(self.bag)))
        if lossy and self.rng.random() < 0.3:
            return
        message: Message = envelope.message
        if self.nodes[target].needs(message):
            self.step(target, Received(envelope))

    def chaos(self, steps: int) -> None:
        for _ in range(steps):
            if self.bag and self.rng.random() < 0.9:
                self.deliver(lossy=True)
            else:
                face = self.rng.choice(list(self.nodes))
                self.step(face, TimerFired(self.nodes[face].round))

    def calm(self) -> None:
        """Deliver all, then let time pass for all, until everybody honest has decided."""
        for _ in range(40):
            turns = 0
            while self.bag:
                turns += 1
                assert turns < 5_000, "the cluster talks without end"
                self.deliver(lossy=False)
            if len(self.decisions) == sum(self.honest(face) for face in self.nodes):
                return
            for face in list(self.nodes):
                self.step(face, TimerFired(self.nodes[face].round))
        raise AssertionError("not everybody decides")


@rule
def random_runs_agree_and_end(machine: Machine) -> None:
    for seed in range(60):
        run = Run(machine, seed)
        run.chaos(Random(seed).choice([0, 50, 300]))
        run.calm()
        assert len(set(run.decisions.values())) == 1, seed
