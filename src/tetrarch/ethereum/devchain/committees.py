"""Who does what: shuffling, committees, proposers.

Source: consensus-specs, phase0/beacon-chain.md (swap-or-not shuffle), electra and fulu for the
choice by balance.
"""

from collections.abc import Sequence
from hashlib import sha256

from tetrarch.ethereum.devchain.rules import Rules
from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.transition.errors import require
from tetrarch.ethereum.spec.domains import DomainType


def _permutation(count: int, seed: bytes, rounds: int) -> tuple[int, ...]:
    indices = list(range(count))
    for number in range(rounds):
        prefix = seed + bytes((number,))
        pivot = int.from_bytes(sha256(prefix).digest()[:8], "little") % count
        buckets = [
            sha256(prefix + bucket.to_bytes(4, "little")).digest()
            for bucket in range((count + 255) // 256)
        ]
        for place, index in enumerate(indices):
            flip = (pivot - index) % count
            position = max(index, flip)
            if buckets[position >> 8][(position & 255) >> 3] >> (position & 7) & 1:
                indices[place] = flip
    return tuple(indices)


def shuffled(rules: Rules, count: int, seed: bytes) -> tuple[int, ...]:
    """Where each of ``count`` places goes. Kept. Cost: ``rounds * count`` steps of 0.3 us."""
    rounds = rules.preset.shuffle_round_count
    return rules.cache.get(("shuffle", seed, count), lambda: _permutation(count, seed, rounds))


def shuffled_index(rules: Rules, index: int, count: int, seed: bytes) -> int:
    """Where one of ``count`` places goes. Cost: two hashes a round, 0.1 ms for 90 rounds."""
    for number in range(rules.preset.shuffle_round_count):
        prefix = seed + bytes((number,))
        pivot = int.from_bytes(sha256(prefix).digest()[:8], "little") % count
        flip = (pivot - index) % count
        position = max(index, flip)
        source = sha256(prefix + (position >> 8).to_bytes(4, "little")).digest()
        if source[(position & 255) >> 3] >> (position & 7) & 1:
            index = flip
    return index


def active_indices(state: State, epoch: int) -> tuple[int, ...]:
    """Validators that are active in ``epoch``, ascending. Kept."""
    validators = state.validators

    def compute() -> tuple[int, ...]:
        return tuple(
            [
                index
                for index, each in enumerate(validators)
                if each.activation_epoch <= epoch < each.exit_epoch
            ]
        )

    return state.rules.by_registry.get(validators, ("active", epoch), compute)


def seed_of(state: State, epoch: int, domain_type: bytes) -> bytes:
    """The randomness of ``epoch`` for one purpose: 32 bytes."""
    preset = state.rules.preset
    vector = preset.epochs_per_historical_vector
    mix = state.randao_mixes[(epoch + vector - preset.min_seed_lookahead - 1) % vector]
    return sha256(domain_type + epoch.to_bytes(8, "little") + mix).digest()


def committee_count(state: State, epoch: int) -> int:
    """Committees in each slot of ``epoch``."""
    return _count_for(state.rules, len(active_indices(state, epoch)))


def _count_for(rules: Rules, active: int) -> int:
    preset = rules.preset
    wanted = active // preset.slots_per_epoch // preset.target_committee_size
    return max(1, min(preset.max_committees_per_slot, wanted))


def committees_of_epoch(state: State, epoch: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
    """All committees of ``epoch``: by slot within the epoch, then by committee index. Kept."""
    rules = state.rules
    indices = active_indices(state, epoch)
    seed = seed_of(state, epoch, DomainType.BEACON_ATTESTER.value)

    def compute() -> tuple[tuple[tuple[int, ...], ...], ...]:
        places = shuffled(rules, len(indices), seed)
        order = [indices[place] for place in places]
        per_slot, slots = _count_for(rules, len(indices)), rules.preset.slots_per_epoch
        total = per_slot * slots
        bounds = [len(order) * number // total for number in range(total + 1)]
        flat = [tuple(order[bounds[i] : bounds[i + 1]]) for i in range(total)]
        return tuple(tuple(flat[s * per_slot : (s + 1) * per_slot]) for s in range(slots))

    require(bool(indices), "no active validator")
    return rules.by_registry.get(state.validators, ("committees", epoch, seed), compute)


def committee(state: State, slot: int, index: int) -> tuple[int, ...]:
    """Validators of one committee, in its order."""
    epoch = state.rules.epoch_of(slot)
    of_slot = committees_of_epoch(state, epoch)[slot % state.rules.preset.slots_per_epoch]
    require(index < len(of_slot), "committee index")
    return of_slot[index]


def sample_by_balance(
    state: State, indices: Sequence[int], seed: bytes, count: int
) -> tuple[int, ...]:
    """``count`` of ``indices``, drawn with a chance that grows with the effective balance.

    Cost: one shuffled place for each draw that the richest candidate would win; the others are
    lost whoever it is. From Electra on, 63 of 64 draws are, while all have 32 ETH.
    """
    rules, validators, total = state.rules, state.validators, len(indices)
    require(total > 0, "no active validator")
    preset, electra = rules.preset, rules.is_electra
    ceiling = preset.max_effective_balance_electra if electra else preset.max_effective_balance
    width, random_max = (2, 2**16 - 1) if electra else (1, 2**8 - 1)
    per_hash = 32 // width
    richest = max([validators[index].effective_balance for index in indices])
    places = shuffled(rules, total, seed) if count > 1 else None
    chosen: list[int] = []
    noise, draw = b"", 0
    while len(chosen) < count:
        if draw % per_hash == 0:
            noise = sha256(seed + (draw // per_hash).to_bytes(8, "little")).digest()
        offset = draw % per_hash * width
        price = ceiling * int.from_bytes(noise[offset : offset + width], "little")
        if richest * random_max >= price:
            at = draw % total
            place = places[at] if places else shuffled_index(rules, at, total, seed)
            if validators[indices[place]].effective_balance * random_max >= price:
                chosen.append(indices[place])
        draw += 1
    return tuple(chosen)


def proposers_of_epoch(state: State, epoch: int) -> tuple[int, ...]:
    """The proposers of ``epoch`` as the validators and balances in ``state`` give them.

    Cost: 0.3 ms a slot with mainnet's 90 rounds; kept.
    """
    rules = state.rules
    indices = active_indices(state, epoch)
    base = seed_of(state, epoch, DomainType.BEACON_PROPOSER.value)

    def compute() -> tuple[int, ...]:
        first = rules.first_slot(epoch)
        slots = range(first, first + rules.preset.slots_per_epoch)
        seeds = [sha256(base + slot.to_bytes(8, "little")).digest() for slot in slots]
        return tuple(sample_by_balance(state, indices, seed, 1)[0] for seed in seeds)

    return rules.by_registry.get(state.validators, ("proposers", epoch, base), compute)


def proposer_index(state: State) -> int:
    """Who proposes in the state's slot."""
    place = state.slot % state.rules.preset.slots_per_epoch
    if state.rules.is_fulu:
        return state.proposer_lookahead[place]
    return proposers_of_epoch(state, state.epoch)[place]


def next_sync_committee_indices(state: State) -> tuple[int, ...]:
    """Members of the sync committee that is drawn now."""
    epoch = state.epoch + 1
    seed = seed_of(state, epoch, DomainType.SYNC_COMMITTEE.value)
    size = state.rules.preset.sync_committee_size
    return sample_by_balance(state, active_indices(state, epoch), seed, size)
