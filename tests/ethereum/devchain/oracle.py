"""The executable specification as a judge: its verdict on states, blocks and attestations."""

import importlib
from functools import cache
from typing import Any

from remerkleable.complex import Container
from remerkleable.core import ViewMeta

from tetrarch.ethereum.devchain.config import ChainConstants, fork_version
from tetrarch.ethereum.devchain.rules import Rules
from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.attestations import process_attestation
from tetrarch.ethereum.devchain.transition.block import process_block, verify_block_signature
from tetrarch.ethereum.devchain.transition.errors import TransitionInvalid
from tetrarch.ethereum.devchain.transition.slots import process_slots
from tetrarch.ethereum.spec.values import Fork

# Short periods, so that exits, withdrawals and consolidations can be right.
CONSTANTS = ChainConstants(shard_committee_period=1, min_validator_withdrawability_delay=2)


def _remember_types() -> None:
    """Let remerkleable ask a type once what it is: it asks anew at each access to a field.

    A container's fields are its type's. An instance of a view's type needs no look at the members
    by which Python takes others for one.
    """
    container: Any = Container
    meta: Any = ViewMeta
    fields: Any = cache(container.fields.__func__)
    container.fields = classmethod(fields)
    judge = meta.__instancecheck__

    def is_instance(cls: type, instance: object) -> bool:
        return cls in type(instance).__mro__ or judge(cls, instance)

    meta.__instancecheck__ = is_instance


_remember_types()


@cache
def spec_of(fork: Fork, preset: str = "minimal") -> Any:
    """The specification's module with our constants and fork versions."""
    spec: Any = importlib.import_module(f"eth_consensus_specs.{fork.value}.{preset}")
    ours: dict[str, Any] = {name.upper(): getattr(CONSTANTS, name) for name in CONSTANTS.__slots__}
    ours["GENESIS_FORK_VERSION"] = fork_version(Fork.PHASE0)
    ours |= {f"{each.value.upper()}_FORK_VERSION": fork_version(each) for each in Fork}
    if "BLOB_SCHEDULE" in spec.config._fields:
        ours["BLOB_SCHEDULE"] = ()
    known = {name: ours[name] for name in ours if name in spec.config._fields}
    wrapped = {name: type(getattr(spec.config, name))(value) for name, value in known.items()}
    spec.config = spec.config._replace(**wrapped)
    if not fork.at_least(Fork.FULU):
        _remember_proposers(spec)
    return spec


def _remember_proposers(spec: Any) -> None:
    """Ask the specification for a proposer once: it takes most of the judge's time.

    The answer depends on the slot, the seed and the validators alone, and these are the key.
    """
    compute, known = spec.get_beacon_proposer_index, {}

    def remembered(state: Any) -> Any:
        seed = spec.get_seed(state, spec.get_current_epoch(state), spec.DOMAIN_BEACON_PROPOSER)
        key = (int(state.slot), bytes(seed), bytes(state.validators.hash_tree_root()))
        if key not in known:
            known[key] = compute(state)
        return known[key]

    spec.get_beacon_proposer_index = remembered


def rules_of(fork: Fork) -> Rules:
    return Rules(fork, "minimal", CONSTANTS)


def to_oracle(state: State) -> Any:
    spec = spec_of(state.rules.fork, state.rules.preset.name)
    return spec.BeaconState.decode_bytes(state.encode())


def ours_on_block(state: State, signed: Any) -> bytes | None:
    """Root of the state after a block, before its own state root is compared; None: refused."""
    after = state.copy()
    try:
        process_slots(after, signed.message.slot)
        verify_block_signature(after, signed)
        process_block(after, signed.message)
    except TransitionInvalid:
        return None
    return after.root()


def ours_on_attestation(state: State, attestation: Any) -> bytes | None:
    after = state.copy()
    try:
        process_attestation(after, attestation)
    except TransitionInvalid:
        return None
    return after.root()


class Oracle:
    """Judges on top of a state; the last parsed state is kept, since parsing is slow.

    So is what the slots after it make of it: a dozen blocks are judged on one state, and an
    epoch's end is most of the work on each.

    The specification refuses by many kinds of exception: a failed assertion, an index out of
    range, a number out of range, and more.
    """

    def __init__(self, fork: Fork) -> None:
        self.spec = spec_of(fork)
        self._root = b""
        self._state: Any = None
        self._in_slot: dict[int, Any] = {}

    def _fresh(self, state: State) -> Any:
        root = state.root()
        if root != self._root:
            self._root, self._state = root, to_oracle(state)
            assert bytes(self._state.hash_tree_root()) == root
            self._in_slot = {}
        return self._state.copy()

    def _in(self, slot: Any, before: Any) -> Any:
        """``before``, as ``_fresh`` gave it, in ``slot``; raises if that is not after it."""
        if int(slot) not in self._in_slot:
            self.spec.process_slots(before, slot)
            self._in_slot[int(slot)] = before
        return self._in_slot[int(slot)].copy()

    def on_block(self, state: State, signed: Any) -> bytes | None:
        before = self._fresh(state)
        try:
            block = self.spec.SignedBeaconBlock.decode_bytes(signed.encode())
            after = self._in(block.message.slot, before)
            if not self.spec.verify_block_signature(after, block):
                return None
            self.spec.process_block(after, block.message)
        except Exception:  # noqa: BLE001 - see the class
            return None
        return bytes(after.hash_tree_root())

    def on_attestation(self, state: State, attestation: Any) -> bytes | None:
        after = self._fresh(state)
        try:
            self.spec.process_attestation(
                after, self.spec.Attestation.decode_bytes(attestation.encode())
            )
        except Exception:  # noqa: BLE001 - see the class
            return None
        return bytes(after.hash_tree_root())

    def on_slots(self, state: State, slot: int) -> bytes:
        after = self._fresh(state)
        self.spec.process_slots(after, slot)
        return bytes(after.hash_tree_root())
