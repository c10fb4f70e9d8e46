"""What tests of FROST share: seeded entropy, whole generations, and signings as far as their shares."""

from collections.abc import Sequence
from random import Random

from tetrarch.crypto.frost.dkg import Generation, Letter, Opening, Participant
from tetrarch.crypto.frost.groups import Scalar
from tetrarch.crypto.frost.keys import Keys, Quorum
from tetrarch.crypto.frost.signing import Signing, commit, sign
from tetrarch.crypto.frost.suites import Suite
from tetrarch.entropy import Entropy


def entropy(seed: object) -> Entropy:
    rng = Random(f"frost/{seed}")
    return lambda size_bytes, /: rng.randbytes(size_bytes)


def generation_of(suite: Suite, threshold: int, shares: int) -> Generation:
    return Generation(suite, Quorum(threshold, shares), b"c" * 32)


def participants_of(generation: Generation, seed: int = 0) -> dict[int, Participant]:
    draw = entropy(seed)
    indices = range(1, generation.quorum.shares + 1)
    return {index: Participant(generation, index, draw(32)) for index in indices}


def opened(participants: dict[int, Participant]) -> dict[int, Opening]:
    return {index: each.open() for index, each in participants.items()}


def written(
    participants: dict[int, Participant], openings: dict[int, Opening]
) -> dict[int, dict[int, Letter]]:
    """Letters by reader, then by sender."""
    letters: dict[int, dict[int, Letter]] = {index: {} for index in participants}
    for sender, each in participants.items():
        for reader, letter in each.write(openings).items():
            letters[reader][sender] = letter
    return letters


def generated(generation: Generation, seed: int = 0) -> dict[int, Keys]:
    participants = participants_of(generation, seed)
    openings = opened(participants)
    letters = written(participants, openings)
    return {index: each.finish(openings, letters[index]) for index, each in participants.items()}


def signed(
    suite: Suite, keys: Sequence[Keys], message: bytes, draw: Entropy
) -> tuple[Signing, dict[int, Scalar]]:
    nonces = {each.secret.index: commit(suite, each.secret, draw) for each in keys}
    commitments = {index: each.commitment for index, each in nonces.items()}
    signing = Signing.begin(suite, keys[0].public, commitments, message)
    return signing, {
        each.secret.index: sign(signing, each, nonces[each.secret.index]) for each in keys
    }
