"""What must hold in every run of the whole workflow, judged outside the nodes.

Safety is judged at each signature, decision and message; liveness and memory at the end.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from sqlite3 import Connection
from typing import TypeVar

from tetrarch.consensus.messages import faulty_max
from tetrarch.duties.agreement import DECIDED_TYPES
from tetrarch.duties.codec import decode_unsigned
from tetrarch.duties.group_crypto import GroupCrypto
from tetrarch.duties.partials_codec import decode_partials
from tetrarch.duties.payload_codec import PartialsInvalid
from tetrarch.duties.plausible import signing_root
from tetrarch.duties.signer import payload_of
from tetrarch.duties.timing import PREPARED_TYPES
from tetrarch.duties.types import (
    AttestationPayload,
    Duty,
    DutyType,
    ExitPayload,
    PartialSet,
    Payload,
    ProposalPayload,
    PubKey,
    RandaoPayload,
    RegistrationPayload,
    SelectionPayload,
    ShareIndex,
    SignedDataSet,
    SyncSelectionPayload,
    UnsignedAggregate,
    UnsignedAttestation,
    UnsignedContribution,
    UnsignedData,
    UnsignedDataSet,
    UnsignedProposal,
)
from tetrarch.ethereum.spec.selection import (
    is_aggregator,
    is_sync_aggregator,
    subcommittees_of,
)
from tetrarch.ethereum.spec.values import AttestationData
from tetrarch.sim.chain import FIRST_INDEX, GENESIS_S, MAIN, SLOTS_PER_EPOCH, SimChain, Submission
from tetrarch.sim.checkers import require
from tetrarch.sim.sync_chain import COMMITTEE_LENGTH
from tetrarch.sim.workflow_operator import was_asked
from tetrarch.sim.workflow_profile import FIRST_SLOT, SLOT_S, Profile
from tetrarch.sim.workflow_restored import Restored, Starts, read_now
from tetrarch.storage.inline import InlineDatabase

R = TypeVar("R")
SCHEMA_PRESET = "minimal"
STARTING_S = 2.0  # a node that could not open its databases before the heal starts after it
RESUMED_SLOTS = 2
# After the heal, counted from the slot's start.
IN_TIME_S = {
    DutyType.PROPOSER: 5.0,  # a third of a slot and the margin
    DutyType.ATTESTER: SLOT_S,
    DutyType.SYNC_MESSAGE: SLOT_S,
    DutyType.AGGREGATOR: 2 * SLOT_S,  # worth something for an epoch
    DutyType.SYNC_CONTRIBUTION: SLOT_S * 13 / 12,  # its deadline
}


class NoSlashing:
    """All that one signer ever signed: no two of them may be slashable."""

    def __init__(self, signer: str) -> None:
        self._signer = signer
        self._blocks: dict[tuple[PubKey, int], ProposalPayload] = {}
        self._votes: dict[PubKey, dict[int, AttestationData]] = {}

    def note(self, pubkey: PubKey, payload: Payload) -> None:
        """One more signature, or decision to sign."""
        match payload:
            case ProposalPayload(header=header):
                known = self._blocks.setdefault((pubkey, header.slot), payload)
                same = known.header == header
                require(same, "no double proposal", signer=self._signer, slot=header.slot)
            case AttestationPayload(data=data):
                self._note_vote(pubkey, data)
            case _:
                pass  # nobody is slashed for any other

    def _note_vote(self, pubkey: PubKey, data: AttestationData) -> None:
        votes = self._votes.setdefault(pubkey, {})
        known = votes.setdefault(data.target.epoch, data)
        require(known == data, "no double vote", signer=self._signer, votes=(known, data))
        for other in votes.values():
            for outer, inner in ((data, other), (other, data)):
                surrounds = (
                    outer.source.epoch < inner.source.epoch
                    and inner.target.epoch < outer.target.epoch
                )
                require(
                    not surrounds, "no surround vote", signer=self._signer, votes=(outer, inner)
                )


@dataclass(slots=True)
class WorkflowCheckers:
    """The properties. Signers' histories outlive the nodes' crashes."""

    profile: Profile
    chain: SimChain
    crypto: GroupCrypto
    group: NoSlashing = field(default_factory=lambda: NoSlashing("group"))
    by_share: dict[int, NoSlashing] = field(default_factory=dict)
    by_dutydb: dict[int, NoSlashing] = field(default_factory=dict)
    decided: dict[Duty, UnsignedDataSet] = field(default_factory=dict)
    right: set[tuple[PubKey, bytes, bytes]] = field(default_factory=set)  # looked up only
    half_done: dict[int, tuple[Duty, ...]] = field(default_factory=dict)  # by node
    made: set[tuple[int, int, Duty, PubKey, int]] = field(default_factory=set)  # looked up only
    proofs: dict[tuple[Duty, PubKey, int], bytes] = field(default_factory=dict)  # selections
    starts: Starts = field(init=False)
    restored: dict[int, Restored] = field(default_factory=dict)  # by node
    sent: set[tuple[int, bytes]] = field(default_factory=set)  # looked up only
    ended: set[tuple[int, int, str]] = field(default_factory=set)  # node, slot, type; looked up

    def __post_init__(self) -> None:
        count = self.profile.node_count
        self.starts = Starts(needed=count - faulty_max(count) - 1)

    def is_honest(self, node: int) -> bool:
        """Whether ``node`` is none of the Byzantine."""
        return node in self.profile.honest

    # Safety

    def note_submission(self, submission: Submission) -> None:
        """A beacon node took a group signature: it verifies, and slashes nobody."""
        root = signing_root(submission.payload, self.chain.spec)
        key = (submission.pubkey, root, submission.signature)
        if key not in self.right:
            verifies = self.crypto.verifies(*key)
            require(verifies, "group signatures verify", duty=submission.duty)
            self.right.add(key)
            self.group.note(submission.pubkey, submission.payload)

    def note_signed(self, node: int, pubkey: PubKey, payload: Payload) -> None:
        """An honest node's enclave approved."""
        if isinstance(payload, ExitPayload | RegistrationPayload):
            asked = was_asked(self.profile, node, self.chain.pubkeys, pubkey, payload)
            require(asked, "a node signs an exit only when its own operator asked", node=node)
        self.starts.check(node, payload)
        if node in self.restored:
            self.restored[node].check(node, pubkey, payload)
        ledger = self.by_share.setdefault(node, NoSlashing(f"share of {node}"))
        ledger.note(pubkey, payload)

    def note_stored(self, node: int, data_set: UnsignedDataSet) -> None:
        """An honest node's DutyDB holds a decision."""
        duty = data_set.duty
        known = self.decided.setdefault(duty, data_set)
        require(known == data_set, "honest nodes agree", node=node, duty=duty)
        ledger = self.by_dutydb.setdefault(node, NoSlashing(f"dutydb of {node}"))
        for item in data_set.items:
            ledger.note(item.pubkey, payload_of(item))
        if known is data_set:
            for item in data_set.items:
                self._require_valid(duty, item)

    def _require_valid(self, duty: Duty, item: UnsignedData) -> None:
        position = self.chain.pubkeys.index(item.pubkey)
        if not isinstance(item, UnsignedAttestation | UnsignedProposal):
            index = item.message.aggregator_index
            right = (item.message.slot, index) == (duty.slot, FIRST_INDEX + position)
            require(right, "aggregates name the right validator", duty=duty)
            self._require_drawn(duty, item)
            return
        index = item.definition.validator_index
        require(index == FIRST_INDEX + position, "decisions name the right validator", duty=duty)
        if isinstance(item, UnsignedAttestation):
            own_slot = self.chain.attester_slot(duty.slot // SLOTS_PER_EPOCH, position)
            require(own_slot == duty.slot == item.data.slot, "votes are due", duty=duty)
            if self.is_calm(duty):
                main = self.chain.attestation_data(duty.slot, lag=0, branch=MAIN)
                same = (item.data.source, item.data.target) == (main.source, main.target)
                require(same, "votes follow the honest nodes' chain", duty=duty, got=item.data)
            return
        header, reveal = item.proposal.header, item.proposal.randao_reveal
        due = self.chain.proposer(duty.slot) == position
        right = (header.slot, header.proposer_index) == (duty.slot, index)
        require(due and right, "blocks are due", duty=duty)
        epoch = RandaoPayload(epoch=duty.slot // SLOTS_PER_EPOCH)
        verifies = self.crypto.verifies(item.pubkey, signing_root(epoch, self.chain.spec), reveal)
        require(verifies, "a block's randao reveal verifies", duty=duty)

    def _require_drawn(self, duty: Duty, item: UnsignedAggregate | UnsignedContribution) -> None:
        proof = item.message.selection_proof
        payload: Payload
        if isinstance(item, UnsignedAggregate):
            payload = SelectionPayload(slot=duty.slot)
            drawn = is_aggregator(COMMITTEE_LENGTH, proof)
        else:
            payload = SyncSelectionPayload(slot=duty.slot, subcommittee_index=item.sub_index)
            drawn = is_sync_aggregator(proof, preset=SCHEMA_PRESET)
        root = signing_root(payload, self.chain.spec)
        verifies = self.crypto.verifies(item.pubkey, root, proof)
        require(drawn and verifies, "who aggregates was drawn by the group", duty=duty)

    def note_partials(self, node: int, message: bytes, database: InlineDatabase) -> None:
        """An honest node sends partials: its decision and they themselves are durable."""
        if (node, message) in self.sent:
            return
        self.sent.add((node, message))
        try:
            partial_set, _ = decode_partials(message, share_index=ShareIndex(node + 1))
        except PartialsInvalid:
            require(False, "an honest node's partials are well-formed", node=node)
            return
        duty = partial_set.duty
        rows = read_now(database, partial(_rows, duty=duty, share=node + 1))
        decisions = {
            (item.pubkey, item.sub_index): payload_of(item)
            for data in rows.decided
            for item in decode_unsigned(data, preset=SCHEMA_PRESET).items
        }
        for each in partial_set.partials:
            own = (each.pubkey, each.signature) in rows.partials
            require(own, "a partial is durable before it leaves", node=node, duty=duty)
            if duty.type in DECIDED_TYPES:
                stored = decisions.get((each.pubkey, each.sub_index)) == each.payload
                require(stored, "a decision is durable before its partial", node=node, duty=duty)

    def note_aggregated(self, node: int, life: int, signed_set: SignedDataSet) -> None:
        """SigAgg of an honest node has made group signatures: each once in a life."""
        for item in signed_set.items:
            key = (node, life, signed_set.duty, item.pubkey, item.sub_index)
            require(key not in self.made, "a node aggregates once", node=node, duty=key[2])
            self.made.add(key)
            if signed_set.duty.type in PREPARED_TYPES:
                self.proofs[signed_set.duty, item.pubkey, item.sub_index] = item.signature

    def note_rejected(self, node: int, false_set: PartialSet) -> None:
        """An honest node found partials false: they are no honest node's."""
        for each in false_set.partials:
            framed = self.is_honest(each.share_index - 1)
            require(not framed, "honest partials verify", node=node, duty=false_set.duty)

    # Liveness

    def is_calm(self, duty: Duty) -> bool:
        """Whether all of ``duty`` lies after the heal, with a slot in between.

        While nodes learn of a new fee recipient, in the epoch after the heal, leaders can differ
        in whom a block pays: it takes more rounds than a block has. A restored node is silent up to
        the slot after its start, and a disk that was full until the heal may have held that up.
        """
        healed_s = self.profile.heal_s + (STARTING_S if self.restored else 0.0)
        if duty.type is DutyType.PROPOSER and self.profile.asks:
            return GENESIS_S + duty.slot * SLOT_S >= healed_s + (SLOTS_PER_EPOCH + 1) * SLOT_S
        return GENESIS_S + duty.slot * SLOT_S >= healed_s + SLOT_S

    def note_heal(self, databases: Mapping[int, InlineDatabase]) -> None:
        """Take down which open votes each honest node has decided."""
        oldest = self.profile.heal_slot + RESUMED_SLOTS - SLOTS_PER_EPOCH
        for node, database in databases.items():
            slots = read_now(database, lambda connection: _voted(connection, oldest))
            self.half_done[node] = tuple(Duty(slot, DutyType.ATTESTER) for slot in slots)

    def check_resumed(self, databases: Mapping[int, InlineDatabase]) -> None:
        """Some slots after the heal: what was decided is signed, and submitted if enough did."""
        due = {
            node: [duty for duty in duties if not self._keeps_silent(node, duty)]
            for node, duties in self.half_done.items()
        }
        deciders = Counter(duty for duties in due.values() for duty in duties)
        submitted = {(s.node, s.duty) for s in self.chain.submissions}
        for node, duties in due.items():
            for duty in duties:
                signed = read_now(databases[node], partial(_rows, duty=duty, share=node + 1))
                claim = "what a node decided it signs, whatever happened meanwhile"
                require(bool(signed.partials), claim, node=node, duty=duty)
                if deciders[duty] >= self.profile.threshold:
                    done = (node, duty) in submitted
                    require(done, "what enough nodes signed is submitted", node=node, duty=duty)

    def _keeps_silent(self, node: int, duty: Duty) -> bool:
        """Whether a node that was restored need not sign: it does not know what it has said."""
        return node in self.restored and duty.slot <= self.restored[node].at_slot + 2

    def check_liveness(self) -> None:
        """After the heal every honest node has submitted every duty in time."""
        in_time: set[tuple[int, Duty, PubKey]] = set()  # looked up only
        for submission in self.chain.submissions:
            if submission.duty.type is DutyType.EXIT:
                continue  # see ``workflow_asked``
            start_s = GENESIS_S + submission.duty.slot * SLOT_S
            if submission.at_s <= start_s + IN_TIME_S[submission.duty.type]:
                in_time.add((submission.node, submission.duty, submission.pubkey))
        due = self._due()
        require(bool(due), "there is something to check")
        missing = [
            f"{node}:{duty}"
            for duty, pubkey in due
            for node in self.profile.honest
            if (node, duty, pubkey) not in in_time
        ]
        require(not missing, "every duty is done once the network heals", missing=missing)

    def _due(self) -> list[tuple[Duty, PubKey]]:
        last = int((self.profile.end_s - GENESIS_S) // SLOT_S)
        due = []
        for slot in range(FIRST_SLOT + 1, last):
            proposer = self.chain.proposer(slot)
            if proposer is not None:
                due.append((Duty(slot, DutyType.PROPOSER), self.chain.pubkeys[proposer]))
            for position, pubkey in enumerate(self.chain.pubkeys):
                due += [(duty, pubkey) for duty in self._duties_of(slot, position)]
        return [(duty, pubkey) for duty, pubkey in due if self.is_calm(duty)]

    def _duties_of(self, slot: int, position: int) -> list[Duty]:
        """What that validator has to do in ``slot``, but for a proposal."""
        duties = []
        pubkey = self.chain.pubkeys[position]
        if self.chain.attester_slot(slot // SLOTS_PER_EPOCH, position) == slot:
            duties.append(Duty(slot, DutyType.ATTESTER))
            proof = self._proof(Duty(slot, DutyType.PREPARE_AGGREGATOR), pubkey)
            if is_aggregator(COMMITTEE_LENGTH, proof):
                duties.append(Duty(slot, DutyType.AGGREGATOR))
        places = self.chain.sync_positions((slot + 1) // SLOTS_PER_EPOCH, position)
        if places:
            duties.append(Duty(slot, DutyType.SYNC_MESSAGE))
        prepared = Duty(slot, DutyType.PREPARE_SYNC_CONTRIBUTION)
        proofs = [
            self._proof(prepared, pubkey, index)
            for index in subcommittees_of(places, preset=SCHEMA_PRESET)
        ]
        if any(is_sync_aggregator(proof, preset=SCHEMA_PRESET) for proof in proofs):
            duties.append(Duty(slot, DutyType.SYNC_CONTRIBUTION))
        return duties

    def _proof(self, prepared: Duty, pubkey: PubKey, sub_index: int = 0) -> bytes:
        proof = self.proofs.get((prepared, pubkey, sub_index))
        made = proof is not None or not self.is_calm(prepared)
        require(made, "every due selection proof is made", duty=prepared)
        return proof or b""


@dataclass(frozen=True, slots=True)
class _Rows:
    decided: tuple[bytes, ...]
    partials: frozenset[tuple[bytes, bytes]]  # root key, signature; looked up only


def _rows(connection: Connection, *, duty: Duty, share: int) -> _Rows:
    key = (duty.slot, int(duty.type))
    decided = connection.execute(
        "SELECT data FROM dutydb WHERE slot = ? AND duty_type = ?", key
    ).fetchall()
    partials = connection.execute(
        "SELECT pubkey, signature FROM parsigdb WHERE slot = ? AND duty_type = ?"
        " AND share_index = ?",
        (*key, share),
    ).fetchall()
    return _Rows(tuple(row[0] for row in decided), frozenset(partials))


def _voted(connection: Connection, oldest: int) -> list[int]:
    rows = connection.execute(
        "SELECT DISTINCT slot FROM dutydb WHERE duty_type = ? AND slot >= ?",
        (int(DutyType.ATTESTER), oldest),
    )
    return [slot for (slot,) in rows]
