"""A state goes into chunks and comes out of them the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger.chain_maker import praos_genesis
from tests.ledger.state_world import ROOT
from tests.ledger.test_elections import ROOT as ELECTED_ROOT

from tetrarch.ledger.accounts import ACCOUNTS, Account
from tetrarch.ledger.applying import Place, first_place
from tetrarch.ledger.cells import TABLES
from tetrarch.ledger.checkpoints import ANCESTORS
from tetrarch.ledger.finality import Voters
from tetrarch.ledger.genesis import genesis_block
from tetrarch.ledger.state_chunks import (
    CHUNK_SIZE_BYTES,
    StateRefused,
    chunk_id,
    chunks_of,
    decode_voters,
    digest_of,
    encode_voters,
    hash_of,
    read_state,
    state_hash,
)
from tetrarch.ledger.tables import Base, Layer, first_layer
from tetrarch.ledger.wire import BytesInvalid

FROZEN = "b65b58149d12d2eef1c070d64b21f8cf17e6436c5d3111439ef96e761e7a2604"


def layer_of(accounts: dict[bytes, Account], ancestors: dict[bytes, bytes]) -> Layer:
    base = Base()
    draft = first_layer(base).draft()
    for key, account in accounts.items():
        ACCOUNTS.put(draft, key, account)
    for key, block in ancestors.items():
        ANCESTORS.put(draft, key, block)
    base.take(draft.changes)
    return first_layer(base)


@given(
    accounts=st.dictionaries(
        st.binary(min_size=1, max_size=40),
        st.builds(Account, value=st.integers(0, 2**64 - 1), counter=st.integers(0, 2**32)),
    ),
    ancestors=st.dictionaries(st.binary(max_size=4), st.binary(max_size=64)),
)
def test_what_is_read_is_what_was_written(
    accounts: dict[bytes, Account], ancestors: dict[bytes, bytes]
) -> None:
    layer = layer_of(accounts, ancestors)
    cells = read_state(chunks_of(layer))
    assert cells == {
        (table.name, key): value for table in TABLES for key, value in table.items(layer)
    }


def test_all_chunks_but_the_last_have_one_size_however_large_a_value_is() -> None:
    large = {b"a": bytes(3 * CHUNK_SIZE_BYTES + 5), b"b": b"x", b"c": bytes(CHUNK_SIZE_BYTES)}
    layer = layer_of({b"k": Account(7)}, large)
    chunks = list(chunks_of(layer))
    assert [len(chunk) for chunk in chunks[:-1]] == [CHUNK_SIZE_BYTES] * 4
    assert 0 < len(chunks[-1]) < CHUNK_SIZE_BYTES
    assert read_state(chunks)[ANCESTORS.name, b"a"] == large[b"a"]


def test_a_state_has_the_same_digest_whatever_lies_in_layers() -> None:
    bottom = layer_of({b"a": Account(1), b"b": Account(2)}, {})
    draft = bottom.draft()
    ACCOUNTS.put(draft, b"c", Account(3))
    ACCOUNTS.remove(draft, b"b")
    above = bottom.above(draft.changes)
    flat = layer_of({b"c": Account(3), b"a": Account(1)}, {})
    assert list(chunks_of(above)) == list(chunks_of(flat))


def test_a_digest_is_that_of_its_chunks_and_voters() -> None:
    digest = digest_of(ROOT.layer)
    assert digest.state == state_hash(map(chunk_id, chunks_of(ROOT.layer)))
    assert digest is digest_of(ROOT.layer), "it is reckoned once"


def test_the_form_of_a_state_is_frozen() -> None:
    """Nodes of different versions must agree on it: who changes it forks the chain."""
    layer = layer_of({b"a": Account(1, 2)}, {b"\1": b"block"})
    assert b"".join(chunks_of(layer)).hex() == (
        "000000086163636f756e7473000000016100000017"
        "83a576616c756501a7636f756e74657202a4706f6f6cc0"
        "00000009616e636573746f7273000000010100000007c405626c6f636b"
    )
    assert digest_of(ROOT.layer).state.hex() == FROZEN


@pytest.mark.parametrize(
    "data",
    [b"\0", b"\0\0\0\1x\0\0\0\0\0\0\0\1\xc0", b"\0\0\0\1\xff\0\0\0\0\0\0\0\1\xc0"],
    ids=["cut", "no such table", "no text"],
)
def test_what_is_no_state_is_refused(data: bytes) -> None:
    with pytest.raises((StateRefused, BytesInvalid)):
        read_state([data])


def test_a_value_of_another_kind_is_refused() -> None:
    data = b"".join(chunks_of(layer_of({b"a": Account(1)}, {})))
    with pytest.raises((StateRefused, BytesInvalid)):
        read_state([data.replace(b"accounts", b"standing")])


def test_voters_have_one_form() -> None:
    voters = Voters({bytes([2]) * 32: 5, bytes([1]) * 32: 2**64 - 1}, by_stake=True)
    data = encode_voters(voters)
    assert decode_voters(data) == voters
    assert encode_voters(decode_voters(data)) == data
    assert hash_of(data) != hash_of(encode_voters(Voters(voters.weights)))
    backwards = data[:5] + data[45:] + data[5:45]
    with pytest.raises(StateRefused, match="not in order"):
        decode_voters(backwards)
    for wrong in (data[:-1], data + b"\0", b"\2" + data[1:]):
        with pytest.raises(BytesInvalid):
            decode_voters(wrong)


@pytest.mark.parametrize(
    "root",
    [ROOT, ELECTED_ROOT, first_place(genesis_block(praos_genesis(1000, 500)), Base())],
    ids=["bft", "elected", "praos"],
)
def test_a_state_that_was_never_written_has_the_digest_of_one_that_was(root: Place) -> None:
    """Else a node that was restarted would be on another chain."""
    base = Base()
    base.take(read_state(chunks_of(root.layer)))
    assert list(chunks_of(first_layer(base))) == list(chunks_of(root.layer))
