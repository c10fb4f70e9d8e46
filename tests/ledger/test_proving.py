"""Once blocks are final, what they prove is kept: each state digest among them, and the newest epoch's state."""

from typing import Any, cast

import pytest
from tests.ledger.state_world import ROOT, change, linked
from tests.ledger.test_chain import Here, run
from tests.ledger.test_state_proofs import (
    ELEVEN,
    FIRST,
    NINE,
    TEN,
    TEN_BLOCK,
    TWELVE,
    grown,
)
from tests.network.mesh_world import RecordingLog

from tetrarch.ledger import proving
from tetrarch.ledger.applying import Place
from tetrarch.ledger.blocks import Block, encode_block
from tetrarch.ledger.checkpoints import encode_certificate
from tetrarch.ledger.finality import Certificate
from tetrarch.ledger.headers import BlockId
from tetrarch.ledger.membership import encode_change
from tetrarch.ledger.ports import LedgerPorts
from tetrarch.ledger.proving import Proving
from tetrarch.ledger.state_chunks import chunks_of
from tetrarch.ledger.state_proofs import check_proofs, decode_proof
from tetrarch.ledger.state_store import Proven


class Blocks:
    """A store that has these."""

    def __init__(self, *blocks: Block) -> None:
        self._blocks = {block.header.id: encode_block(block) for block in blocks}

    async def block(self, block: BlockId) -> bytes | None:
        return self._blocks.get(block)


def proven(
    line: list[Place], certificate: Certificate, *blocks: Block, log: RecordingLog | None = None
) -> Proven:
    ports = LedgerPorts(
        store=cast("Any", Blocks(*blocks)),
        compute=Here(),
        clock=cast("Any", None),
        log=cast("Any", log or RecordingLog()),
    )
    found: list[Proven] = []

    async def main() -> None:
        found.append(await Proving(ports).proven(line, certificate))

    run(main())
    return found[0]


def test_an_epochs_first_block_proves_the_state_before_it() -> None:
    got = proven([NINE, TEN], linked(NINE, TEN, 0, 1, 2), TEN_BLOCK)
    ((height, data),) = got.proofs
    assert height == NINE.header.chain_length
    check_proofs([decode_proof(data)], FIRST, ROOT.id)
    assert got.state is not None
    assert (got.state.height, got.state.block) == (height, NINE.id)
    assert got.state.chunks == tuple(chunks_of(NINE.layer))


def test_when_later_blocks_make_it_final_their_headers_are_in_it() -> None:
    got = proven([NINE, TEN, ELEVEN, TWELVE], linked(ELEVEN, TWELVE, 0, 1, 2), TEN_BLOCK)
    ((_, data),) = got.proofs
    proof = decode_proof(data)
    assert proof.headers == (ELEVEN.header, TWELVE.header)
    check_proofs([proof], FIRST, ROOT.id)


def test_blocks_without_a_digest_prove_nothing() -> None:
    assert proven([TEN, ELEVEN, TWELVE], linked(ELEVEN, TWELVE, 0, 1, 2)) == Proven()


def test_where_voters_change_within_an_epoch_there_is_a_proof_and_no_state() -> None:
    one, _ = grown(ROOT, 1, encode_change(change()))
    two, _ = grown(one, 2, encode_certificate(linked(ROOT, one, 0, 1, 2)))
    three, _ = grown(two, 3, encode_certificate(linked(one, two, 0, 1, 2)))
    four, block = grown(three, 4)
    got = proven([three, four], linked(three, four, 0, 1, 2, 3, 4, 5), block)
    assert [height for height, _ in got.proofs] == [3]
    assert got.state is None


def test_a_proof_that_nobody_could_send_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "PART_SIZE_BYTES_MAX", 100)
    log = RecordingLog()
    got = proven([NINE, TEN], linked(NINE, TEN, 0, 1, 2), TEN_BLOCK, log=log)
    assert got == Proven()
    assert log.find("state_not_proven")


def test_a_block_that_is_gone_proves_nothing() -> None:
    assert proven([NINE, TEN], linked(NINE, TEN, 0, 1, 2)) == Proven()
