"""EIP-3076: the official vectors with the complete strategy, and the way out and in again."""

import json
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.enclave.test_rules import wishes
from tests.vectors_path import vectors

from tetrarch.enclave import history, interchange
from tetrarch.enclave.errors import InterchangeInvalid, WrongChain
from tetrarch.enclave.rules import Block, Refused, Repeat, Vote, Wish
from tetrarch.storage.migrations import migrate

CASES = sorted((vectors("eip3076") / "tests" / "generated").glob("*.json"))
KEY, OTHER = b"\xaa" * 48, b"\xbb" * 48
CHAIN = b"\x01" * 32


def fresh() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, (history.SCHEMA,))
    return connection


def raw(text):
    return None if text is None else bytes.fromhex(text[2:])


def wishes_of(step):
    for block in step["blocks"]:
        what = Block(slot=int(block["slot"]), signing_root=raw(block.get("signing_root")))
        yield block, Wish(raw(block["pubkey"]), what)
    for vote in step["attestations"]:
        yield (
            vote,
            Wish(
                raw(vote["pubkey"]),
                Vote(
                    source=int(vote["source_epoch"]),
                    target=int(vote["target_epoch"]),
                    signing_root=raw(vote.get("signing_root")),
                ),
            ),
        )


@pytest.mark.parametrize("gaps_allowed", [True, False], ids=["complete", "default"])
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_official_vector(path, gaps_allowed) -> None:
    """With gaps allowed, exactly the complete strategy's answers; by default, never more."""
    case = json.loads(path.read_text())
    connection = fresh()
    history.bind_chain(connection, raw(case["genesis_validators_root"]))
    for number, step in enumerate(case["steps"]):
        document = json.dumps(step["interchange"]).encode()
        if step["should_succeed"]:
            interchange.import_(connection, document, gaps_allowed=gaps_allowed)
        else:
            with pytest.raises(WrongChain):
                interchange.import_(connection, document, gaps_allowed=gaps_allowed)
        for expected, wish in wishes_of(step):
            allowed = not denied(connection, wish)
            history.check_and_record(connection, (wish,))
            if gaps_allowed:
                assert allowed == expected["should_succeed_complete"], (number, wish)
            else:
                assert allowed <= expected["should_succeed_complete"], (number, wish)
                assert allowed >= expected["should_succeed"], (number, wish)
    connection.close()


def test_all_official_vectors_are_here() -> None:
    assert len(CASES) == 38


def denied(connection: sqlite3.Connection, wish: Wish) -> bool:
    return isinstance(history.check(connection, (wish,))[0], Refused)


def test_what_is_exported_denies_the_same_elsewhere() -> None:
    here, there = fresh(), fresh()
    history.bind_chain(here, CHAIN)
    votes = tuple(
        Wish(KEY, Vote(source=epoch, target=epoch + 1, signing_root=bytes([epoch]) * 32))
        for epoch in range(3, 20)
    )
    block = Wish(KEY, Block(slot=70, signing_root=b"b" * 32))
    history.check_and_record(here, (*votes, block))
    assert history.prune(here, slots_per_epoch=8, keep=8) == 8 + 1
    interchange.import_(there, interchange.export(here))
    for source in range(22):
        for target in range(22):
            wish = Wish(KEY, Vote(source=source, target=target, signing_root=b"x" * 32))
            assert denied(here, wish) == denied(there, wish), wish
    for slot in range(100):
        wish = Wish(KEY, Block(slot=slot, signing_root=b"x" * 32))
        assert denied(here, wish) == denied(there, wish), wish
    assert interchange.export(there) == interchange.export(here)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{",
        b"[" * 60_000,
        b'{"metadata": "\xff\xfe"}',
        b'{"metadata": {}, "data": [' + b"[" * 60_000 + b"]" * 60_000 + b"]}",
        b'{"metadata": {"interchange_format_version": "4", "genesis_validators_root": "0x00"}}',
        json.dumps(
            {
                "metadata": {
                    "interchange_format_version": "5",
                    "genesis_validators_root": "0x" + "00" * 32,
                },
                "data": [{"pubkey": "0x1234", "signed_blocks": [], "signed_attestations": []}],
            }
        ).encode(),
        json.dumps(
            {
                "metadata": {
                    "interchange_format_version": "5",
                    "genesis_validators_root": "0x" + "00" * 32,
                },
                "data": [
                    {
                        "pubkey": "0x" + "aa" * 48,
                        "signed_blocks": [{"slot": str(2**64 - 1)}],
                        "signed_attestations": [],
                    }
                ],
            }
        ).encode(),
    ],
)
def test_a_file_of_another_form_is_refused(document) -> None:
    with pytest.raises(InterchangeInvalid):
        interchange.import_(fresh(), document)


EVERY_WISH = tuple(
    [
        Wish(KEY, Vote(source=s, target=t, signing_root=root))
        for s in range(11)
        for t in range(11)
        for root in (b"a" * 32, b"b" * 32)
    ]
    + [Wish(KEY, Block(slot=n, signing_root=root)) for n in range(11) for root in (b"a" * 32, None)]
)
# How a history comes to be: votes and blocks signed, pruned, and imported from elsewhere.
steps = st.lists(
    st.one_of(
        st.tuples(st.just("sign"), wishes),
        st.tuples(st.just("prune"), st.integers(0, 6)),
        st.tuples(st.just("import"), st.lists(wishes, max_size=4)),
    ),
    max_size=12,
)


def history_of(content) -> sqlite3.Connection:
    connection = fresh()
    history.bind_chain(connection, CHAIN)
    for what, value in content:
        if what == "sign":
            history.check_and_record(connection, (Wish(KEY, value),))
        elif what == "prune":
            history.prune(connection, slots_per_epoch=1, keep=value)
        else:
            elsewhere = fresh()
            history.bind_chain(elsewhere, CHAIN)
            history.record(
                elsewhere, [Wish(KEY, v) for v in {key_of(v): v for v in value}.values()]
            )
            interchange.import_(connection, interchange.export(elsewhere))
            elsewhere.close()
    return connection


def key_of(wish):
    return wish.target if isinstance(wish, Vote) else -1 - wish.slot


@settings(max_examples=200, deadline=None)
@given(steps, steps)
def test_the_union_of_two_histories_denies_what_either_denied(one, other) -> None:
    """Whatever was signed, pruned and imported before: floors must not be lost on the way."""
    histories = (history_of(one), history_of(other))
    parts: list[bytes] = []
    interchange.export_union(histories, parts.append, genesis_validators_root=CHAIN)
    target = fresh()
    interchange.import_(target, b"".join(parts))
    for wish in EVERY_WISH:
        if any(denied(each, wish) for each in histories):
            verdict = history.check(target, (wish,))[0]
            repeated = any(
                isinstance(history.check(each, (wish,))[0], Repeat) for each in histories
            )
            # What one of the two has signed itself may be signed again: the same bytes.
            assert isinstance(verdict, Refused) or (isinstance(verdict, Repeat) and repeated), wish
    for each in (*histories, target):
        each.close()


@settings(max_examples=100, deadline=None)
@given(steps, st.integers(0, 6))
def test_pruning_what_was_signed_and_imported_denies_all_that_was_denied(content, keep) -> None:
    connection = history_of(content)
    before = [denied(connection, wish) for wish in EVERY_WISH]
    history.prune(connection, slots_per_epoch=1, keep=keep)
    after = [denied(connection, wish) for wish in EVERY_WISH]
    assert all(now for then, now in zip(before, after, strict=True) if then)
    connection.close()


@settings(max_examples=100, deadline=None)
@given(steps)
def test_an_import_is_idempotent_and_exports_the_same_again(content) -> None:
    source, target = history_of(content), fresh()
    document = interchange.export(source)
    interchange.import_(target, document)
    assert interchange.export(target) == document
    interchange.import_(target, document)
    assert interchange.export(target) == document
    for each in (source, target):
        each.close()


def test_a_floor_above_older_records_is_not_lost_on_export() -> None:
    """Found by the property above: an importer takes the lowest record for its floor."""
    source, target = fresh(), fresh()
    old = [Vote(source=1, target=2, signing_root=None), Vote(source=3, target=4, signing_root=None)]
    history.bind_chain(source, CHAIN)
    history.record(source, [Wish(KEY, vote) for vote in old])
    history.raise_floors(source, KEY, Vote(source=5, target=6, signing_root=None))
    interchange.import_(target, interchange.export(source))
    gap = Wish(KEY, Vote(source=2, target=3, signing_root=b"x" * 32))
    assert denied(source, gap)
    assert denied(target, gap)


def test_union_of_different_keys_and_names() -> None:
    one, other = fresh(), fresh()
    for connection, key in ((one, KEY), (other, OTHER), (other, KEY)):
        history.check_and_record(
            connection, (Wish(key, Vote(source=1, target=2, signing_root=None)),)
        )
    parts: list[bytes] = []
    exported = interchange.export_union(
        (one, other),
        parts.append,
        genesis_validators_root=CHAIN,
        name_of=lambda key: b"\x01" * 48 if key == KEY else None,
    )
    assert exported == interchange.Exported(keys=1, blocks=0, votes=1)
    (entry,) = json.loads(b"".join(parts))["data"]
    assert entry == {
        "pubkey": "0x" + "01" * 48,
        "signed_blocks": [],
        "signed_attestations": [{"source_epoch": "1", "target_epoch": "2"}],
    }


def test_records_of_several_keys_may_belong_to_one_owner() -> None:
    connection = fresh()
    document = {
        "metadata": {
            "interchange_format_version": "5",
            "genesis_validators_root": "0x" + CHAIN.hex(),
        },
        "data": [
            {
                "pubkey": "0x" + key.hex(),
                "signed_blocks": [{"slot": slot}],
                "signed_attestations": [],
            }
            for key, slot in ((KEY, "5"), (OTHER, "9"), (KEY, "7"))
        ],
    }
    file = interchange.Interchange.parse(json.dumps(document).encode())
    assert file.keys == (KEY, OTHER)
    imported = interchange.import_file(connection, file, {KEY: (KEY, OTHER)})
    assert imported == interchange.Imported(keys=1, blocks=3, votes=0, made_floors=0)
    rows = connection.execute("SELECT pubkey, slot FROM slashing_block ORDER BY slot").fetchall()
    assert rows == [(KEY, 5), (KEY, 7), (KEY, 9)]


def test_nothing_is_exported_before_the_chain_is_known() -> None:
    with pytest.raises(InterchangeInvalid):
        interchange.export(fresh())
