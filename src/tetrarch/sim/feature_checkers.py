"""What must hold of the cluster's own agreement, judged outside the nodes."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from tetrarch.consensus.messages import quorum
from tetrarch.consensus.ports import Decided
from tetrarch.consensus.priority import BallotInvalid, PriorityCodec, Statement
from tetrarch.duties.features import Agreed, agreed_of, topics_of
from tetrarch.duties.types import Duty, DutyType, UnsignedDataSet
from tetrarch.network.versions import PLURAL_CONTRIBUTIONS
from tetrarch.sim.chain import GENESIS_S, SLOTS_PER_EPOCH
from tetrarch.sim.checkers import require
from tetrarch.sim.workflow_profile import FIRST_SLOT, NEW, OLD, SLOT_S, Profile


@dataclass(slots=True)
class FeatureCheckers:
    """Honest nodes agree on the same, on nothing that one of them does not take, and in time."""

    profile: Profile
    codec: PriorityCodec
    decided: dict[Duty, bytes] = field(default_factory=dict)
    held: dict[Duty, set[int]] = field(default_factory=dict)  # who has it durable; counted only
    results: dict[Duty, Agreed] = field(default_factory=dict)

    def note_decided(self, node: int, decided: Decided) -> None:
        """An honest node has heard the decision."""
        duty, value = decided.duty, decided.value
        known = self.decided.setdefault(duty, value)
        require(known == value, "honest nodes agree on features", node=node, duty=duty)
        if duty in self.results:
            return
        try:
            statements = [s.statement for s in self.codec.decode_ballot(duty, value)]
        except BallotInvalid as error:
            require(False, "what is decided is a right ballot", duty=duty, error=error)
            return
        count = self.profile.node_count
        require(len(statements) >= quorum(count), "a quorum is counted", duty=duty)
        for statement in statements:
            if statement.source in self.profile.honest:
                self._require_truth(statement)
        self.results[duty] = agreed_of(statements, node_count=count)

    def _require_truth(self, statement: Statement) -> None:
        node = statement.source
        wants = self.profile.builders[node]
        truths = [topics_of(versions, builder_api=wants) for versions in (OLD, NEW)]
        said = statement.topics
        require(said in truths, "honest statements are true", node=node, said=said)

    def note_agreed(self, node: int, agreed: Agreed) -> None:
        """An honest node has the agreement on its disk."""
        duty = Duty(agreed.slot, DutyType.INFO_SYNC)
        self.held.setdefault(duty, set()).add(node)
        result = self.results.get(duty)
        same = result is not None and asdict(result) == asdict(agreed)
        require(same, "a node counts what was decided", node=node, duty=duty, got=agreed)
        self._require_taken(agreed.features)
        if agreed.builder_api:
            others = [n for n in self.profile.honest if not self.profile.builders[n]]
            against = [n for n in others if n in agreed.nodes]
            require(not against, "no builder against a node's will", duty=duty, nodes=against)

    def note_stored(self, node: int, data_set: UnsignedDataSet) -> None:
        """An honest node's DutyDB holds a decision: all nodes can read it."""
        pubkeys = [item.pubkey for item in data_set.items]
        if len(set(pubkeys)) < len(pubkeys):
            self._require_taken((PLURAL_CONTRIBUTIONS,))
            require(bool(self.held), "nothing new before an agreement", node=node)

    def _require_taken(self, features: tuple[str, ...]) -> None:
        now_s = asyncio.get_running_loop().time()
        behind = [n for n in self.profile.honest if self.profile.upgrade_s[n] > now_s]
        for feature in features:
            right = not behind or feature in OLD.features
            require(right, "no feature before all take it", feature=feature, behind=behind)

    def check_liveness(self, in_force: Mapping[int, Agreed]) -> None:
        """After the heal every honest node holds each epoch's agreement, with all that it can.

        ``in_force``: what each honest node goes by now.
        """
        profile = self.profile
        for node, agreed in in_force.items():
            newest = max(duty.slot for duty, nodes in self.held.items() if node in nodes)
            require(agreed.slot == newest, "the newest agreement is in force", node=node)
        last = int((profile.end_s - GENESIS_S - SLOT_S * 13 / 12) // SLOT_S)
        for slot in range(FIRST_SLOT, last):
            duty = Duty(slot, DutyType.INFO_SYNC)
            is_last = (slot + 1) % SLOTS_PER_EPOCH == 0
            if not is_last or GENESIS_S + slot * SLOT_S < profile.heal_s + SLOT_S:
                continue
            missing = [n for n in profile.honest if n not in self.held.get(duty, set())]
            require(not missing, "features are agreed once the network heals", duty=duty)
            updated = all(at_s <= profile.heal_s for at_s in profile.upgrade_s)
            if updated and not profile.liars:
                found = self.results[duty].features
                require(found == NEW.features, "what all take is used", duty=duty, found=found)
