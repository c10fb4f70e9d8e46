"""A quorum that saw a key made makes it its session's; sessions follow each other."""

from dataclasses import replace

import pytest
from tests.ledger.fragments.custody_maker import NETWORK, Chain, again, group_key

from tetrarch.ledger.custody import CUSTODY_KEYS, session_key
from tetrarch.ledger.fragments.key_vote import KeyVote
from tetrarch.ledger.fragments.kind import FragmentRefused

VOTE = KeyVote(network=NETWORK, session=0, attempt=0, key=group_key())


def key_of(chain: Chain, session: int = 0) -> object:
    return CUSTODY_KEYS.get(chain.draft, session_key(NETWORK, session))


def test_a_quorum_makes_it_the_key() -> None:
    chain = Chain()
    chain.apply(VOTE, 0)
    chain.apply(VOTE, 1)
    assert key_of(chain) is None
    chain.apply(VOTE, 2)
    assert key_of(chain) == group_key()
    assert chain.network.next_session == 1


def test_votes_for_other_keys_or_attempts_do_not_come_together() -> None:
    chain = Chain()
    chain.apply(VOTE, 0)
    chain.apply(replace(VOTE, key=group_key(1)), 1)
    chain.apply(replace(VOTE, attempt=1), 2)
    chain.apply(VOTE, 3)
    assert key_of(chain) is None, "four voted, and two alike"
    chain.apply(replace(VOTE, attempt=1), 0)
    chain.apply(replace(VOTE, attempt=1), 1)
    assert key_of(chain) == group_key()


@pytest.mark.parametrize("session", [0, 2])
def test_sessions_follow_each_other(session: int) -> None:
    chain = Chain().with_key()
    with pytest.raises(FragmentRefused, match="expected=1"):
        chain.apply(replace(VOTE, session=session), 3)
    chain.with_key(1)
    assert key_of(chain, 1) == group_key(1)
    assert key_of(chain, 0) == group_key(0)


def test_what_is_written_is_read() -> None:
    assert again(VOTE) == VOTE
