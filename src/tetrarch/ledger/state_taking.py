"""Takes a state from others, part by part, believing none of them: what to ask for, and what came of it. Pure.

    contents  the highest of those that came, one of each giver; what proves nothing is put aside, and another's looked at
    proofs    with the block that left the state: they must hold, from the first block on
    chunks    those of the digest that is proven, by their hashes
    state     read from its chunks; it must have the voters that its proof says

Each part is what its hash says, so it may come from anybody.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tetrarch.errors import invariant
from tetrarch.ledger.blocks import Block
from tetrarch.ledger.finality import Voters
from tetrarch.ledger.membership import MEMBERSHIP, Membership
from tetrarch.ledger.state_chunks import StateRefused, hash_of, read_state
from tetrarch.ledger.state_parts import (
    CONTENTS,
    Contents,
    decode_block_part,
    decode_contents,
    is_contents,
)
from tetrarch.ledger.state_proofs import StateProof, check_proofs, decode_proof
from tetrarch.ledger.state_store import Proven, StateKept
from tetrarch.ledger.tables import Cell

CANDIDATES_MAX: Final = 64
_MEMBERSHIP: Final = (MEMBERSHIP.name, b"")


@dataclass(frozen=True, slots=True)
class TakenState:
    """All that a chain can go on with: the block that left the state, the state, and what proves it."""

    block: Block
    cells: Mapping[Cell, object] = field(repr=False)
    proven: Proven = field(repr=False)


class StateTaking:
    """Of the chain that begins with ``block0`` and the voters ``first``."""

    def __init__(self, block0: Block, first: Voters) -> None:
        self._block0 = block0
        self._first = first
        self._candidates: dict[bytes, Contents] = {}  # by who gave them
        self._giver = b""  # of what was chosen
        self._failures: Counter[bytes] = Counter()  # of what each gave
        self._parts: dict[bytes, bytes] = {}
        self._wanted: dict[bytes, None] = {}  # parts of what was chosen
        self._is_proven = False
        self.chosen: Contents | None = None

    def take(self, part: bytes, giver: bytes = b"") -> bool:
        """Something that ``giver`` sent. Whether it is of use; what is not may be an answer that came late.

        Raises:
            BytesInvalid: it is none.
        """
        identity = hash_of(part)
        if identity in self._wanted:
            del self._wanted[identity]
            self._parts[identity] = part
            return True
        if self.chosen is not None or not is_contents(part):
            return False
        contents = decode_contents(part)
        if giver in self._candidates or len(self._candidates) < CANDIDATES_MAX:
            self._candidates[giver] = contents
        return True

    @property
    def candidates(self) -> int:
        """How many gave contents."""
        return len(self._candidates)

    def choose(self) -> Contents | None:
        """The highest of the contents that came, of those whose givers failed least; None: there are none.

        So one liar costs one choice, however many contents he tells, and an honest one that was slow has another.
        """
        invariant(self.chosen is None, "one at a time")
        if not self._candidates:
            return None
        self._giver, chosen = max(
            self._candidates.items(),
            key=lambda each: (-self._failures[each[0]], each[1].height),
        )
        self.chosen = chosen
        self._want(chosen.block_part, *chosen.proofs)
        return chosen

    def wanted(self) -> tuple[bytes, ...]:
        """What to ask for: contents until some are chosen, then parts."""
        return (CONTENTS,) if self.chosen is None else tuple(self._wanted)

    @property
    def is_proven(self) -> bool:
        """Whether the proofs of what was chosen hold, so that its chunks are worth asking for."""
        return self._is_proven

    def progress(self) -> tuple[int, int]:
        """How many of how many chunks are here."""
        chunks = () if self.chosen is None else self.chosen.chunks
        return sum(each in self._parts for each in chunks), len(chunks)

    def prove(self) -> None:
        """All proofs of what was chosen are here. Cost: 0.15 ms a signature.

        Raises:
            PeerFault: they do not hold, and why: put it ``aside``.
        """
        contents = self._chosen()
        proofs, block = self._proofs(contents), self._block(contents)
        digest = check_proofs(proofs, self._first, self._block0.header.id)
        last = proofs[-1]
        if last.block.header.parent != block.header.id or last.state_height != contents.height:
            raise StateRefused("take state", reason="its proof is of another block")
        if digest.state != contents.state:
            raise StateRefused("take state", reason="its chunks are not those of its proof")
        self._is_proven = True
        self._want(*contents.chunks)

    def taken(self) -> TakenState:
        """All chunks are here. Cost: 5 us a cell.

        Raises:
            StateRefused, BytesInvalid: they are no state of this program.
        """
        contents = self._chosen()
        chunks = tuple(self._parts[each] for each in contents.chunks)
        cells = read_state(chunks)
        membership = cells.get(_MEMBERSHIP)
        proofs = self._proofs(contents)
        if not isinstance(membership, Membership) or membership.members != proofs[-1].voters:
            raise StateRefused("take state", reason="its voters are not those of its proof")
        encoded = tuple(
            (proof.state_height, self._parts[part])
            for proof, part in zip(proofs, contents.proofs, strict=True)
        )
        block = self._block(contents)
        kept = StateKept(contents.height, block.header.id, chunks)
        return TakenState(block, cells, Proven(encoded, kept))

    def aside(self) -> None:
        """What was chosen is of no use. What else came may be old by now: it comes anew."""
        self._failures[self._giver] += 1
        self._candidates.clear()
        self._parts.clear()
        self._wanted.clear()
        self._is_proven, self.chosen = False, None

    def _want(self, *parts: bytes) -> None:
        self._wanted = dict.fromkeys(each for each in parts if each not in self._parts)

    def _chosen(self) -> Contents:
        assert self.chosen is not None, "contents are chosen first"
        return self.chosen

    def _proofs(self, contents: Contents) -> list[StateProof]:
        return [decode_proof(self._parts[each]) for each in contents.proofs]

    def _block(self, contents: Contents) -> Block:
        block = decode_block_part(self._parts[contents.block_part])
        if block.header.id != contents.block:
            raise StateRefused("take state", reason="its block is another")
        return block
