"""FROST and its key generation: milliseconds and bytes, by how many of how many sign.

All rounds of one participant, as each runs on a machine of its own: two rounds make a signature, three a key. ``floor`` is
the multiplications of points that the work cannot do without, one after the other, measured in the same run; the
alternative is a plain signature by one key of the same kind, by its library.
"""

from collections.abc import Callable
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

import coincurve
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tetrarch.crypto.frost.codec import encode_commitment, encode_letter, encode_opening
from tetrarch.crypto.frost.dkg import Generation, Participant, digest_of
from tetrarch.crypto.frost.keys import Keys, Quorum, deal
from tetrarch.crypto.frost.signing import (
    Signing,
    aggregate,
    commit,
    commit_many,
    is_share,
    sign,
    weights_of,
)
from tetrarch.crypto.frost.suites import ED25519, RISTRETTO255, SECP256K1_TAPROOT, Suite

QUORUMS = ((2, 3), (7, 10), (67, 100))
BATCH = 100
MESSAGE = b"\x5a" * 32


def timed(work: Callable[[], object], repeats: int) -> float:
    """Median in ms."""
    times_ms = []
    for _ in range(repeats):
        start = perf_counter()
        work()
        times_ms.append((perf_counter() - start) * 1e3)
    return median(times_ms)


def plain_ms() -> dict[str, float]:
    """One signature by one key."""
    own, ed25519 = coincurve.PrivateKey(), Ed25519PrivateKey.generate()
    return {
        SECP256K1_TAPROOT.name: timed(lambda: own.sign_schnorr(MESSAGE), 200),
        ED25519.name: timed(lambda: ed25519.sign(MESSAGE), 200),
    }


def signing_of(suite: Suite, keys: list[Keys], draw: Any) -> dict[str, float]:
    """One signature, then ``BATCH`` at once, each step of one signer and of who adds up."""
    threshold = len(keys)
    nonces = {each.secret.index: commit(suite, each.secret, draw) for each in keys}
    told = {index: each.commitment for index, each in nonces.items()}
    begun = Signing.begin(suite, keys[0].public, told, MESSAGE)
    shares = {each.secret.index: sign(begun, each, nonces[each.secret.index]) for each in keys}
    group, point = suite.group, keys[0].public.key
    multiply_ms = timed(lambda: group.multiply(begun.challenge, point), 200)
    repeats = 200 if threshold < 10 else 15
    begin_ms = timed(lambda: Signing.begin(suite, keys[0].public, told, MESSAGE), repeats)

    def share() -> None:
        drawn = commit(suite, keys[0].secret, draw)
        own = Signing.begin(
            suite, keys[0].public, {**told, keys[0].secret.index: drawn.commitment}, MESSAGE
        )
        sign(own, keys[0], drawn)

    own_ms = timed(share, repeats)
    aggregate_ms = timed(lambda: aggregate(begun, shares), repeats)
    judge_ms = timed(lambda: is_share(begun, 1, shares[1]), repeats)

    def batch() -> None:
        drawn = commit_many(suite, keys[0].secret, draw, BATCH)
        weights = weights_of(suite, sorted(told))
        for each in drawn:
            commitments = {**told, keys[0].secret.index: each.commitment}
            own = Signing.begin(suite, keys[0].public, commitments, MESSAGE, weights)
            sign(own, keys[0], each)

    return {
        "signer_ms": own_ms,
        "begin_ms": begin_ms,
        "aggregate_ms": aggregate_ms,
        "judge_share_ms": judge_ms,
        "batch_ms": timed(batch, 3),
        "floor_ms": multiply_ms * threshold,
        "bytes": len(encode_commitment(told[1])) + len(shares[1]),
    }


def generation_of(suite: Suite, quorum: Quorum, draw: Any) -> dict[str, float]:
    """A whole key generation, as one participant of it."""
    generation = Generation(suite, quorum, bytes(32))
    indices = range(1, quorum.shares + 1)
    others = {index: Participant(generation, index, draw(32)) for index in indices}
    openings = {index: each.open() for index, each in others.items()}
    one = others[1]
    opening_ms = timed(lambda: Participant(generation, 1, draw(32)).open(), 3)
    start = perf_counter()
    letters = one.write(openings)
    write_ms = (perf_counter() - start) * 1e3
    # What the others write to the first, without what they write to each other.
    digest = digest_of(generation, openings)
    to_one = {
        index: each._letter(1, openings[1].letter_key, digest)  # noqa: SLF001
        for index, each in others.items()
        if index != 1
    }
    start = perf_counter()
    one.finish(openings, to_one)
    finish_ms = (perf_counter() - start) * 1e3
    group, point = suite.group, openings[1].commitments[0]
    multiply_ms = timed(lambda: group.multiply(openings[1].proof.response, point), 200)
    count, threshold = quorum.shares, quorum.threshold
    return {
        "open_ms": opening_ms,
        "write_ms": write_ms,
        "finish_ms": finish_ms,
        # Each letter's value by its sender's commitments, and each public share by their sums.
        "floor_ms": multiply_ms * 2 * count * (threshold - 1),
        "sent_bytes": len(encode_opening(openings[1]))
        + sum(len(encode_letter(each)) for each in letters.values()),
    }


def run() -> dict[str, Any]:
    rng = Random("frost")
    draw = rng.randbytes
    plain = plain_ms()
    figures: dict[str, Any] = {"plain_ms": plain}
    print("Two rounds; ms of one participant. floor: a multiplication for each signer.")
    print(
        f"{'suite':30} {'t of n':>9} {'signer':>8} {'add up':>8} {'judge':>8} {'floor':>8} {'100':>9} {'x plain':>8}"
    )
    for suite in (SECP256K1_TAPROOT, ED25519, RISTRETTO255):
        for threshold, shares in QUORUMS:
            scalars = [suite.group.reduce(draw(64)) for _ in range(threshold)]
            dealt = deal(suite, Quorum(threshold, shares), scalars[0], scalars[1:])
            row = signing_of(suite, list(dealt.values())[:threshold], draw)
            whole_ms = row["signer_ms"] + row["aggregate_ms"]
            ratio = whole_ms / plain[suite.name] if suite.name in plain else None
            figures[f"{suite.name} {threshold} of {shares}"] = row | {"ratio_plain": ratio}
            told = f"{ratio:8.1f}" if ratio else "       -"
            print(
                f"{suite.name:30} {threshold:>3} of {shares:>3}"
                f" {row['signer_ms']:8.2f} {row['aggregate_ms']:8.2f} {row['judge_share_ms']:8.2f}"
                f" {row['floor_ms']:8.2f} {row['batch_ms']:9.1f} {told}",
                flush=True,
            )
    print("\nKey generation; ms of one participant.")
    print(
        f"{'suite':30} {'t of n':>9} {'open':>8} {'write':>9} {'finish':>9} {'floor':>9} {'sends':>12}"
    )
    for suite in (SECP256K1_TAPROOT, ED25519, RISTRETTO255):
        for threshold, shares in QUORUMS:
            row = generation_of(suite, Quorum(threshold, shares), draw)
            figures[f"generation {suite.name} {threshold} of {shares}"] = row
            print(
                f"{suite.name:30} {threshold:>3} of {shares:>3} {row['open_ms']:8.2f}"
                f" {row['write_ms']:9.1f} {row['finish_ms']:9.1f} {row['floor_ms']:9.1f}"
                f" {row['sent_bytes']:>10,} B",
                flush=True,
            )
    return figures
