"""The history in SQLite against plain lists, and that pruning and importing only ever deny more."""

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.enclave.test_rules import A, B, ListHistory, b, slashable, v, wishes

from tetrarch.enclave import history, interchange
from tetrarch.enclave.errors import WrongChain
from tetrarch.enclave.history import SlashingHistory
from tetrarch.enclave.rules import (
    Block,
    New,
    Reason,
    Refused,
    Repeat,
    Vote,
    Wish,
    judge_block,
    judge_vote,
)
from tetrarch.storage.database import Database
from tetrarch.storage.migrations import migrate

KEY, OTHER = b"\xaa" * 48, b"\xbb" * 48
EVERY_WISH = tuple(
    [v(s, t, root) for s in range(11) for t in range(11) for root in (A, B)]
    + [b(slot, root) for slot in range(11) for root in (A, B)]
)


def fresh() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, (history.SCHEMA,))
    history.bind_chain(connection, bytes(32))
    return connection


def judged(connection, wish, key=KEY):
    return history.check(connection, (Wish(key, wish),))[0]


def denied(connection) -> list[bool]:
    return [isinstance(judged(connection, wish), Refused) for wish in EVERY_WISH]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([KEY, OTHER]), wishes), max_size=25))
def test_it_answers_as_the_rules_do_on_lists(sequence) -> None:
    connection = fresh()
    lists: dict[bytes, ListHistory] = {KEY: ListHistory(), OTHER: ListHistory()}
    verdicts = history.check_and_record(connection, tuple(Wish(*pair) for pair in sequence))
    for (key, wish), verdict in zip(sequence, verdicts, strict=True):
        plain = lists[key]
        judge = judge_vote if isinstance(wish, Vote) else judge_block
        assert verdict == judge(wish, plain)
        if isinstance(verdict, New):
            lists[key] = ListHistory((*plain.approved, wish))
    for key, plain in lists.items():
        for wish in EVERY_WISH:
            judge = judge_vote if isinstance(wish, Vote) else judge_block
            assert judged(connection, wish, key) == judge(wish, plain)


KEYS = tuple(bytes([number]) * 48 for number in range(5))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(KEYS), wishes, min_size=1), max_size=12))
def test_a_batch_of_many_keys_is_judged_as_one_by_one(batches) -> None:
    """A slot's votes are looked up together; that must not change an answer or a record."""
    together, apart = fresh(), fresh()
    for batch in batches:
        asked = tuple(Wish(*pair) for pair in batch.items())
        alone = tuple(history.check_and_record(apart, (wish,))[0] for wish in asked)
        assert history.check(together, asked) == tuple(
            history.check(together, (wish,))[0] for wish in asked
        )
        assert history.check_and_record(together, asked) == alone
    for table in ("slashing_key", "slashing_vote", "slashing_block"):
        rows = [sorted(c.execute(f"SELECT * FROM {table}"), key=repr) for c in (together, apart)]
        assert rows[0] == rows[1]


def test_more_votes_than_one_statement_takes() -> None:
    connection = fresh()
    votes = tuple(Wish(number.to_bytes(48, "big"), v(1, 2)) for number in range(1201))
    assert set(history.check_and_record(connection, votes)) == {New()}
    assert set(history.check(connection, votes)) == {Repeat()}
    others = tuple(Wish(vote.pubkey, v(1, 2, B)) for vote in votes)
    assert set(history.check(connection, others)) == {Refused(Reason.DOUBLE_VOTE)}


@settings(max_examples=150, deadline=None)
@example([v(0, 1), v(3, 4), v(3, 9)], 2)
@given(st.lists(wishes, max_size=25), st.integers(0, 6))
def test_pruning_denies_all_that_was_denied(sequence, keep) -> None:
    connection = fresh()
    history.check_and_record(connection, tuple(Wish(KEY, wish) for wish in sequence))
    before = denied(connection)
    history.prune(connection, slots_per_epoch=1, keep=keep)
    after = denied(connection)
    assert all(now for then, now in zip(before, after, strict=True) if then)


@settings(max_examples=150, deadline=None)
@given(st.lists(wishes, max_size=20), st.lists(wishes, max_size=20), st.integers(0, 6))
def test_an_interchange_carries_all_that_is_denied(here, there, keep) -> None:
    """Both the file's denials and the receiver's own hold after the import."""
    source, target = fresh(), fresh()
    history.check_and_record(source, tuple(Wish(KEY, wish) for wish in here))
    history.prune(source, slots_per_epoch=1, keep=keep)
    history.check_and_record(target, tuple(Wish(KEY, wish) for wish in there))
    signed = history.check(source, tuple(Wish(KEY, wish) for wish in EVERY_WISH))
    before = [isinstance(verdict, Refused) for verdict in signed]
    own = denied(target)
    interchange.import_(target, interchange.export(source))
    for wish, far, near in zip(EVERY_WISH, before, own, strict=True):
        verdict = judged(target, wish)
        # What one of the two has signed itself may be signed again: the same bytes.
        assert isinstance(verdict, Refused | Repeat) or not (far or near), wish


records = st.one_of(
    st.builds(v, st.integers(0, 9), st.integers(0, 9), st.sampled_from([A, B, None])),
    st.builds(b, st.integers(0, 9), st.sampled_from([A, B, None])),
)


def document_of(content) -> bytes:
    document = {
        "metadata": {
            "interchange_format_version": "5",
            "genesis_validators_root": "0x" + "00" * 32,
        },
        "data": [
            {
                "pubkey": "0x" + KEY.hex(),
                "signed_blocks": [
                    {"slot": str(r.slot), **root_of(r)} for r in content if isinstance(r, Block)
                ],
                "signed_attestations": [
                    {"source_epoch": str(r.source), "target_epoch": str(r.target), **root_of(r)}
                    for r in content
                    if isinstance(r, Vote)
                ],
            }
        ],
    }
    return json.dumps(document).encode()


def test_floors_that_no_record_shows_are_exported() -> None:
    first, second = fresh(), fresh()
    interchange.import_(first, document_of([v(5, 2)]))
    interchange.import_(second, interchange.export(first))
    for connection in (first, second):
        assert judged(connection, v(4, 7)) == Refused(Reason.SOURCE_BELOW_FLOOR)
        assert judged(connection, v(5, 7)) == New()


@settings(max_examples=150, deadline=None)
@given(st.lists(records, max_size=12))
def test_any_file_denies_what_clashes_with_any_of_its_records(content) -> None:
    """Also a file that contradicts itself, or has sources after targets."""
    connection = fresh()
    imported = interchange.import_(connection, document_of(content))
    assert imported.votes + imported.blocks == len(content)
    for wish in EVERY_WISH:
        if any(slashable(wish, record) for record in content):
            verdict = judged(connection, wish)
            assert isinstance(verdict, Refused) or (
                isinstance(verdict, Repeat) and wish in content
            ), wish


def root_of(record):
    root = record.signing_root
    return {} if root is None else {"signing_root": "0x" + root.hex()}


def test_the_first_vote_of_a_key_sets_the_floors() -> None:
    connection = fresh()
    history.check_and_record(connection, (Wish(KEY, v(5, 6)),))
    assert judged(connection, v(4, 7)) == Refused(Reason.SOURCE_BELOW_FLOOR)
    assert judged(connection, v(5, 5)) == Refused(Reason.TARGET_BELOW_FLOOR)
    assert judged(connection, v(4, 7), OTHER) == New()
    assert history.counts(connection) == history.Counts(keys=1, blocks=0, votes=1)


def test_a_node_uses_it_over_its_own_database(tmp_path: Path) -> None:
    async def main() -> None:
        database = Database.open(tmp_path / "node.db", (history.SCHEMA,))
        slashing = SlashingHistory(database)
        await slashing.bind_chain(b"\1" * 32)
        with pytest.raises(WrongChain):
            await slashing.bind_chain(b"\2" * 32)
        wish = Wish(KEY, v(1, 2))
        assert await slashing.check((wish,)) == (New(),)
        assert await slashing.check_and_record((wish, wish)) == (New(), Repeat())
        assert await slashing.check((Wish(KEY, v(1, 2, B)),)) == (Refused(Reason.DOUBLE_VOTE),)
        assert await slashing.prune(slots_per_epoch=8) == 0
        await database.close()

    asyncio.run(main())
