"""EIP-3076: the official vectors with the complete strategy, and the way out and in again."""

import json
import sqlite3

import pytest
from tests.vectors_path import vectors

from tetrarch.enclave import history, interchange
from tetrarch.enclave.errors import InterchangeInvalid, WrongChain
from tetrarch.enclave.rules import Block, Refused, Vote, Wish
from tetrarch.storage.migrations import migrate

CASES = sorted((vectors("eip3076") / "tests" / "generated").glob("*.json"))
KEY = b"\xaa" * 48
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


def test_nothing_is_exported_before_the_chain_is_known() -> None:
    with pytest.raises(InterchangeInvalid):
        interchange.export(fresh())
