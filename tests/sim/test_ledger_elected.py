"""Goal: where leaders are elected, blocks are those of the latest one that the chain proves, whatever befalls it.

Method: real members' keys sign certificates; nodes hear of them at different times or never, in worlds with all the
faults of ``test_ledger_world`` and a liar who has all leaders' keys.
"""

import os
from random import Random
from typing import Any

import pytest

from tetrarch.leadership.electing import Electing
from tetrarch.ledger.blocks import Fragment
from tetrarch.ledger.parameters import Mode
from tetrarch.sim.ledger_checkers import Broken
from tetrarch.sim.ledger_election import Term
from tetrarch.sim.ledger_liars import TRUE, Lie, Telling
from tetrarch.sim.ledger_profile import Crash, Cut, LedgerProfile
from tetrarch.sim.ledger_world import LedgerOutcome, lived
from tetrarch.sim.seeds import ELECTED_SEEDS_FAST, ELECTED_SEEDS_INTEGRATION, batches, seeds

FAST = seeds(os.environ, default=ELECTED_SEEDS_FAST)
MORE = seeds(os.environ, default=ELECTED_SEEDS_INTEGRATION, first=1_000)
FIRST = Term(1, 0, 0.0, (0.1,) * 4)
SECOND = Term(2, 2, 8.0, (None, None, 0.1, None))  # the new leader's own member alone says so


def live(seed: int) -> None:
    lived(LedgerProfile.drawn_elected(Random(f"{seed}/profile")), seed=seed)


def elected(*terms: Term, **how: Any) -> LedgerOutcome:
    profile = LedgerProfile(mode=Mode.ELECTED, slots=60, terms=terms, **how)
    return lived(profile, seed=1)


def led(outcome: LedgerOutcome) -> dict[int, int]:
    """How many final blocks each term has."""
    terms = [each.term.number for each in outcome.led]
    return {term: terms.count(term) for term in sorted(set(terms))}


@pytest.mark.parametrize("some", batches(FAST, size=5), ids=lambda some: f"{some.start}")
def test_what_must_hold_holds_whatever_happens(some: range) -> None:
    for seed in some:
        live(seed)


@pytest.mark.integration
@pytest.mark.parametrize("some", batches(MORE, size=20), ids=lambda some: f"{some.start}")
def test_what_must_hold_holds_in_more_worlds(some: range) -> None:
    for seed in some:
        live(seed)


FAILED = {
    15: "a fast voter voted a height ahead of the slowest, for ever: each second was justified",
    17: "the only leader was behind, and told the newest certificates, which it could not take",
    27: "the same",
    48: "the same, of two copies",
}


@pytest.mark.parametrize("seed", FAILED)
def test_seeds_that_failed(seed: int) -> None:
    live(seed)


def test_all_blocks_are_the_leader_s_when_nothing_is_wrong() -> None:
    outcome = elected(FIRST, Term(4, 2, 20.0, (1.0, 2.0, 0.2, None)))
    assert set(outcome.finals) == {outcome.tips[0] - 1}
    assert outcome.tips[0] >= 59, "there is no slot between the two"
    assert led(outcome).keys() == {1, 4}


def test_a_leader_that_was_elected_while_cut_off_proves_it_upon_the_other_s_branch() -> None:
    outcome = elected(FIRST, SECOND, cuts=(Cut(5, 15, (0, 1)),))
    assert outcome.rivals > 5, "both led, each a part of the nodes"
    assert led(outcome)[2] > 40


@pytest.mark.parametrize("crashes", [(), (Crash(0, 21.5, 60),)], ids=["", "and-the-old-one-ends"])
def test_a_certificate_is_not_lost_with_the_branch_that_had_it(crashes: tuple[Crash, ...]) -> None:
    """Its leader loses power after it made blocks apart, and its member says nothing new when it is back."""
    outcome = elected(
        FIRST, SECOND, cuts=(Cut(5, 20, (2,)),), crashes=(Crash(2, 10.5, 2), *crashes)
    )
    assert led(outcome)[2] > 35


def test_a_leader_of_before_that_never_hears_and_is_always_first_gives_way() -> None:
    """Its clock is fast, so no other finds a slot without a block to prove its election in."""
    outcome = elected(FIRST, SECOND, cuts=(Cut(8, 10, (2,)),), offsets_s=(0.3, 0.0, 0.0, 0.0))
    assert led(outcome)[2] > 35


def test_who_comes_late_needs_no_election() -> None:
    outcome = elected(FIRST, Term(2, 2, 8.0, (0.1, 0.1, 0.1, None)), late=3)
    assert set(outcome.finals) == {outcome.tips[0] - 1}
    assert led(outcome).keys() == {1, 2}


def test_lies_are_called_so_and_nobody_takes_them() -> None:
    terms = (FIRST, Term(3, 2, 8.0, (0.1,) * 4))
    lies = [Telling(12 + number, lie, number % 4) for number, lie in enumerate(Lie)]
    beside = Telling(9.2, Lie.BLOCK_BESIDE, 1)
    outcome = elected(*terms, lies=(beside, *lies))
    assert set(outcome.lies) == set(Lie) - TRUE
    assert outcome.rivals <= 1, "what others made of the leader of before came to nothing"
    assert led(outcome)[3] > 45


def test_equal_seeds_give_equal_runs() -> None:
    profile = LedgerProfile.drawn_elected(Random("1/profile"))
    assert lived(profile, seed=1).digest == lived(profile, seed=1).digest


MUTANTS = {
    "anybody elects": ("tetrarch.ledger.elections.check_leader", lambda *_: None),
    "any leader's block": ("tetrarch.ledger.applying.verify", lambda *_: None),
    "nobody who waits leads": ("tetrarch.ledger.tidings.Tidings.election_for", lambda *_: None),
    "certificates are not read": ("tetrarch.ledger.applying._apply_elections", lambda *_: None),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_rules_can_fail(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, instead = MUTANTS[name]
    monkeypatch.setattr(where, instead)
    terms = (FIRST, Term(3, 2, 8.0, (0.1, 0.1, 30.0, 0.1)))
    lies = (Telling(5.2, Lie.TOO_FEW, 1), Telling(6.2, Lie.BLOCK_BARE, 2))
    with pytest.raises(ExceptionGroup) as caught:
        elected(*terms, lies=lies)
    assert caught.value.split(Broken)[1] is None


def test_a_leader_that_does_not_listen_to_its_own_member_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    give = Electing.give

    async def give_first_terms(self: Electing, data: Fragment) -> None:
        if b'"term":1,' in bytes(data):
            await give(self, data)

    monkeypatch.setattr(Electing, "give", give_first_terms)
    with pytest.raises(ExceptionGroup) as caught:
        elected(FIRST, Term(2, 2, 8.0, (0.1,) * 4))
    assert "though it knows of" in str(caught.value.exceptions)
