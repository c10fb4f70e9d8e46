"""What must hold of a simulated ledger whose leaders are elected.

led by the elected        each final block is by the leader of the highest term that it and those before it prove
by a quorum               no node waits with a certificate, and no block carries one, that the election did not give
who knows of more stops   no node leads though its own member said long ago that another does
nothing else is needed    the blocks alone, applied anew, give the state
it goes on                soon after the last change of leaders each slot has its block again, and the last one leads
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tetrarch.leadership.electing import LOOK_S
from tetrarch.leadership.reserving import SLOTS as SPAN_SLOTS
from tetrarch.ledger.blocks import Block, decode_block
from tetrarch.ledger.chain import LedgerChain
from tetrarch.ledger.checking import check_store
from tetrarch.ledger.elections import elected_of, is_election
from tetrarch.ledger.genesis import read_genesis
from tetrarch.ledger.headers import BftProof, Header
from tetrarch.ledger.store import LedgerStore
from tetrarch.network.overlay.profile import BLOCKS, FRAGMENTS
from tetrarch.sim.ledger_checkers import Broken
from tetrarch.sim.ledger_election import LedgerElection, Term
from tetrarch.sim.ledger_liars import Liar, Lie
from tetrarch.sim.ledger_profile import LedgerProfile

STOPS_SLOTS: Final = 2 * LOOK_S  # after its member said that another leads
FEW_SLOTS: Final = 4  # between leaders: clocks differ by two


@dataclass(frozen=True, slots=True)
class Led:
    """A final block's slot, and the term that it is of."""

    slot: int
    term: Term


class Elected:
    """The election of a world, its liar, and the rules."""

    def __init__(
        self, profile: LedgerProfile, election: LedgerElection, liar: Liar, block0: Block
    ) -> None:
        self.election = election
        self.liar = liar
        self.lies: Counter[Lie] = Counter()  # that were called so
        self._profile = profile
        self._block0 = block0
        self._leaders = read_genesis(block0).leaders

    def on_block(self, node: int, header: Header, *, begun: float, slot: float) -> None:
        """A node that runs since the slot ``begun`` signed a header."""
        if not isinstance(header.proof, BftProof) or slot - begun < STOPS_SLOTS:
            return
        own = self._leaders.index(header.proof.leader)
        told = self.election.newest(node, slot - STOPS_SLOTS)
        if told is None:
            return
        known = self.election.certified[told]
        later = (term for term in self.election.certified.values() if term.number >= known.number)
        if all(term.leader != own for term in later):
            raise Broken(f"node {node} leads in {header.date}, though it knows of {known}")

    def on_elected(self, chain: LedgerChain) -> None:
        """A certificate waits at a node."""
        waiting = chain.election_for(chain.tree.tip)
        if waiting is not None and waiting.data not in self.election.certified:
            raise Broken(f"no quorum elected {waiting.certificate.leader}")

    async def check(self, chains: Sequence[LedgerChain], store: LedgerStore) -> tuple[Led, ...]:
        """At the end; the final blocks in one node's ``store``, by elected leaders."""
        self._check_lies(chains)
        led = await self._check_final(store)
        if self._profile.passes_at is None:
            for chain in chains:
                self._check_goes_on(chain, led)
        return tuple(led)

    async def _check_final(self, store: LedgerStore) -> list[Led]:
        """By what blocks carry, and nothing else."""
        checked = await check_store(store, self._block0, on_progress=lambda _done, _of: None)
        era, term, led = checked.final.settings.era, None, []
        for identity in (await store.finals()).blocks[1:]:
            block = decode_block(await store.block(identity) or b"")
            term = self._term_of(block, term)
            proof = block.header.proof
            if not isinstance(proof, BftProof):
                continue  # the chain passed to another mode
            if term is None or proof.leader != self._leaders[term.leader]:
                raise Broken(f"the block of {block.header.date} is not of {term}")
            led.append(Led(era.slot(block.header.date), term))
        return led

    def _term_of(self, block: Block, before: Term | None) -> Term | None:
        for data in filter(is_election, block.fragments):
            term = self.election.certified.get(data)
            if term is None or (before is not None and term.number <= before.number):
                raise Broken(f"the block of {block.header.date} proves {term} after {before}")
            before = term
        return before

    def _check_lies(self, chains: Sequence[LedgerChain]) -> None:
        for chain in chains:
            for item in self.liar.false:
                topic = BLOCKS if item.is_block else FRAGMENTS
                if chain.has(topic, chain.item_id(topic, item.content)):
                    raise Broken(f"a lie was taken: {item.content[:60].hex()}")

    def _check_goes_on(self, chain: LedgerChain, led: Sequence[Led]) -> None:
        """Soon after all is well slots have blocks, and the last leader leads at the end.

        It may be later: who is cut off while it is elected hears when it is told again.
        """
        profile = self._profile
        last = profile.terms[-1]
        tip = elected_of(chain.tree.tip.layer)
        if tip is None or (tip.term, tip.member) != (last.number, last.leader):
            raise Broken(f"{tip} leads at the end, not {last}")
        slots = {each.slot for each in led} | {place.slot for place in chain.tree.line()}
        well = profile.slots - profile.settle_slots
        missing = sorted(set(range(well + FEW_SLOTS, profile.slots)) - slots)
        # A copy of its keys may hold what it would sign until the span ends.
        if len(missing) > SPAN_SLOTS * profile.twins:
            raise Broken(f"no blocks in slots {missing}")
