"""A simulated beacon chain: blocks by slot, duties drawn from the seed, a log of submissions.

Nodes see it through their beacon nodes, see ``sim.beacon_node``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random

from tetrarch.duties.types import (
    AttestationPayload,
    AttesterDefinition,
    Duty,
    Payload,
    PubKey,
    SyncMessagePayload,
)
from tetrarch.ethereum.beacon_node.ports import (
    BlockRequest,
)
from tetrarch.ethereum.spec.chain import ChainSpec
from tetrarch.ethereum.spec.domains import ForkActivation, ForkSchedule
from tetrarch.ethereum.spec.forks import spec_types
from tetrarch.ethereum.spec.messages import SignedValidatorRegistration
from tetrarch.ethereum.spec.proposals import Proposal
from tetrarch.ethereum.spec.values import AttestationData, Checkpoint, Fork
from tetrarch.sim.loop import EPOCH_S
from tetrarch.sim.sync_chain import COMMITTEE_LENGTH, sync_positions

SLOT_MS = 12_000
SLOTS_PER_EPOCH = 8
FIRST_EPOCH = 100  # a chain that has a past: votes can have old sources
FORK_EPOCHS = 3  # so far behind main is the justification of the fork
GENESIS_S = 1.0 - FIRST_EPOCH * SLOTS_PER_EPOCH * SLOT_MS / 1000  # of the run
FIRST_INDEX = 10
MAIN = "main"
VERSION = bytes.fromhex("05000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A group signature as it reached ``node``'s beacon node. ``at_s`` is the loop's time."""

    node: int
    duty: Duty
    pubkey: PubKey
    payload: Payload
    signature: bytes
    at_s: float


@dataclass(slots=True)
class SimChain:
    """The truth. Duties and blocks are equal for equal seeds."""

    seed: int
    pubkeys: tuple[PubKey, ...]
    submissions: list[Submission] = field(default_factory=list)
    registered: list[tuple[int, SignedValidatorRegistration]] = field(
        default_factory=list
    )  # by node
    taps: list[Callable[[Submission], None]] = field(default_factory=list)  # see each at once
    # What beacon nodes were told, so that no question looks at all of it.
    _votes: dict[tuple[int, bytes], dict[int, AttestationData]] = field(default_factory=dict)
    _sync_votes: dict[tuple[int, bytes], set[PubKey]] = field(default_factory=dict)

    @property
    def spec(self) -> ChainSpec:
        """Electra from the start, minimal preset, 12 s slots."""
        return ChainSpec(
            preset="minimal",
            genesis_time_s=int(EPOCH_S + GENESIS_S),
            slot_duration_ms=SLOT_MS,
            slots_per_epoch=SLOTS_PER_EPOCH,
            forks=ForkSchedule(
                genesis_fork_version=VERSION,
                genesis_validators_root=sha256(str(self.seed).encode()).digest(),
                activations=(ForkActivation(fork=Fork.ELECTRA, version=VERSION, epoch=0),),
            ),
        )

    def submit(self, submission: Submission) -> None:
        """A beacon node takes a group signature."""
        self.submissions.append(submission)
        payload, pubkey = submission.payload, submission.pubkey
        if isinstance(payload, SyncMessagePayload):
            said = (payload.slot, payload.beacon_block_root)
            self._sync_votes.setdefault(said, set()).add(pubkey)
        elif isinstance(payload, AttestationPayload):
            said = (submission.duty.slot, payload.data.hash_tree_root())
            self._votes.setdefault(said, {})[self.pubkeys.index(pubkey)] = payload.data
        for tap in self.taps:
            tap(submission)

    def index_of(self, pubkey: bytes) -> int:
        """The validator's index on the chain."""
        return FIRST_INDEX + self.pubkeys.index(PubKey(pubkey))

    def pubkey_of(self, index: int) -> PubKey | None:
        """The cluster's validator with that index."""
        position = index - FIRST_INDEX
        return self.pubkeys[position] if 0 <= position < len(self.pubkeys) else None

    def attester_slot(self, epoch: int, position: int) -> int:
        """The slot of ``epoch`` in which validator number ``position`` attests."""
        rng = Random(f"{self.seed}/attester/{epoch}/{position}")
        return epoch * SLOTS_PER_EPOCH + rng.randrange(SLOTS_PER_EPOCH)

    def attester(self, epoch: int, position: int) -> AttesterDefinition:
        """What a scheduler makes of that validator's duty."""
        return AttesterDefinition(
            pubkey=self.pubkeys[position],
            slot=self.attester_slot(epoch, position),
            validator_index=FIRST_INDEX + position,
            committee_index=position % 2,
            committee_length=COMMITTEE_LENGTH,
            committees_at_slot=2,
            validator_committee_index=position,
        )

    def sync_positions(self, epoch: int, position: int) -> tuple[int, ...]:
        """That validator's places in the sync committee of ``epoch``."""
        return sync_positions(self.seed, epoch, position)

    def votes(self, slot: int, data_root: bytes) -> dict[int, AttestationData]:
        """Who voted so in ``slot``, by number, as far as any beacon node was told."""
        return dict(self._votes.get((slot, data_root), {}))

    def sync_votes(self, slot: int, root: bytes) -> tuple[int, ...]:
        """The places in the committee whose members voted for ``root`` in ``slot``."""
        epoch = (slot + 1) // SLOTS_PER_EPOCH
        voters = self._sync_votes.get((slot, root), set())
        return tuple(
            place
            for position, pubkey in enumerate(self.pubkeys)
            if pubkey in voters
            for place in self.sync_positions(epoch, position)
        )

    def proposer(self, slot: int) -> int | None:
        """The position of the cluster's validator that proposes in ``slot``, if any does."""
        rng = Random(f"{self.seed}/proposer/{slot}")
        return rng.randrange(len(self.pubkeys)) if slot > 0 and rng.random() < 0.4 else None

    def has_block(self, slot: int) -> bool:
        """Whether the canonical chain has a block in ``slot``."""
        return slot == 0 or Random(f"{self.seed}/block/{slot}").random() < 0.9

    def root(self, slot: int, *, branch: str = MAIN) -> bytes:
        """Root of the latest block at or before ``slot``."""
        while slot > 0 and not self.has_block(slot):
            slot -= 1
        return sha256(f"{self.seed}/{branch}/{slot}".encode()).digest()

    def attestation_data(self, slot: int, *, lag: int, branch: str) -> AttestationData:
        """What a node attests to that has not seen the last ``lag`` slots of ``branch``.

        The fork's justification is behind, so its votes can surround those of main.
        """
        epoch = slot // SLOTS_PER_EPOCH
        first = min(epoch * SLOTS_PER_EPOCH, max(slot - lag, 0))
        source = max(epoch - (1 if branch == MAIN else FORK_EPOCHS), 0)
        return AttestationData(
            slot=slot,
            index=0,
            beacon_block_root=self.root(max(slot - lag, 0), branch=branch),
            source=Checkpoint(
                epoch=source, root=self.root(source * SLOTS_PER_EPOCH, branch=branch)
            ),
            target=Checkpoint(epoch=epoch, root=self.root(first, branch=branch)),
        )

    def dependent_root(self, epoch: int, *, branch: str = MAIN) -> bytes:
        """The block that decided who attests in ``epoch``."""
        return self.root(max((epoch - 1) * SLOTS_PER_EPOCH - 1, 0), branch=branch)

    def arrival_s(self, slot: int) -> float:
        """How long after the start of ``slot`` its block is known."""
        return Random(f"{self.seed}/arrival/{slot}").uniform(0.2, 3.5)

    def head_data(self, slot: int, *, branch: str) -> dict[str, str]:
        """What a beacon node tells of a new head."""
        epoch = slot // SLOTS_PER_EPOCH
        roots = {
            "block": self.root(slot, branch=branch),
            "previous_duty_dependent_root": self.dependent_root(epoch, branch=branch),
            "current_duty_dependent_root": self.dependent_root(epoch + 1, branch=branch),
        }
        return {"slot": str(slot), **{name: "0x" + root.hex() for name, root in roots.items()}}

    def block(
        self,
        request: BlockRequest,
        *,
        position: int,
        text: str,
        pays: bytes = bytes(20),
        parent_root: bytes | None = None,
    ) -> Proposal:
        """A block as a node would make it; ``text`` makes every node's differ."""
        types = spec_types(Fork.ELECTRA, "minimal")
        contents = types.BlockContents.default()
        body = contents.block.body.replace(
            randao_reveal=request.randao_reveal,
            graffiti=text.encode()[:32].ljust(32, b"\0"),
            execution_payload=contents.block.body.execution_payload.replace(fee_recipient=pays),
        )
        block = contents.block.replace(
            slot=request.slot,
            proposer_index=FIRST_INDEX + position,
            parent_root=self.root(request.slot - 1) if parent_root is None else parent_root,
            body=body,
        )
        ssz = contents.replace(block=block).encode()
        return Proposal.from_ssz(Fork.ELECTRA, blinded=False, data=ssz, preset="minimal")
