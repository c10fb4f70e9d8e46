"""BLS: batches of partial signatures, combination, and a slot from last partial to signatures.

``floor`` is what the native operations that the task cannot do without take by themselves, measured
in the same run on one thread: pairings, hashes, multi-scalar multiplications, decompressions.
What is above it is Python's share.
"""

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from statistics import median, quantiles
from time import perf_counter
from typing import Any

from tetrarch.crypto.batch import Claim, find_false, verify_all
from tetrarch.crypto.bls import SecretKey, verify_points
from tetrarch.crypto.blst import CURVE_ORDER, ffi, lib
from tetrarch.crypto.lagrange import choose_indices, weights
from tetrarch.crypto.points import (
    PublicKeyPoint,
    SignaturePoint,
    hash_to_g2,
    negated_generator,
    pairings_cancel,
    weighted_sum_g1,
    weighted_sum_g2,
)
from tetrarch.crypto.slot import PartialsOfOne, sign_slot
from tetrarch.crypto.threshold import combine, split
from tetrarch.entropy import system_entropy

MESSAGE = b"\x5a" * 32
COUNT = 1000
REPEATS = 15
MEMBERSHIP_SUMS = 18


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    median_ms: float
    p90_ms: float
    floor_ms: float | None
    goal_ms: float | None


def timed(
    work: Callable[[Any], object],
    *,
    given: Callable[[], Any] = lambda: None,
    repeats: int = REPEATS,
) -> tuple[float, float]:
    """Median and 90th percentile in ms of ``work(given())``; ``given`` is not counted."""
    times_ms = []
    for _ in range(repeats):
        prepared = given()
        start = perf_counter()
        work(prepared)
        times_ms.append((perf_counter() - start) * 1e3)
    return median(times_ms), quantiles(times_ms, n=10)[8]


def many(work: Callable[[], object], count: int) -> float:
    """Best mean over ``count`` calls of five rounds, in ms."""

    def once(_: object) -> None:
        for _ in range(count):
            work()

    return min(timed(once, repeats=2)[0] / count for _ in range(5))


class Floor:
    """Single native operations, in ms."""

    def __init__(self, keys: list[PublicKeyPoint], signatures: list[SignaturePoint]) -> None:
        self._keys, self._signatures = keys, signatures
        point, out = signatures[0], ffi.new("blst_p2 *")
        data, parsed = point.to_bytes(), ffi.new("blst_p2_affine *")
        lib.blst_p2_add_or_double_affine(out, out, point.affine)
        other = signatures[1].affine
        self.hash = many(lambda: hash_to_g2(MESSAGE), 20)
        self.decompress = many(lambda: lib.blst_p2_uncompress(parsed, data), 100)
        self.membership = many(lambda: lib.blst_p2_affine_in_g2(point.affine), 100)
        self.addition = many(lambda: lib.blst_p2_add_or_double_affine(out, out, other), 500)
        self.multiplication = many(lambda: lib.blst_p2_mult(out, out, b"\x55" * 32, 255), 50)
        hashed, minus = hash_to_g2(MESSAGE), negated_generator()
        pair = (keys[0].affine, hashed)
        self.pairings_2 = many(lambda: pairings_cancel([pair, (minus, point.affine)]), 10)
        self.pairing_more = (many(lambda: pairings_cancel([pair] * 102), 1) - self.pairings_2) / 100
        weight = system_entropy(8)
        self.multiplication_g1 = many(lambda: weighted_sum_g1(keys[:1], weight, bits=64), 50)

    def sums(self, count: int) -> float:
        """One 64-bit multi-scalar multiplication of ``count`` points in each group."""
        drawn = system_entropy(8 * count)
        return many(lambda: weighted_sum_g1(self._keys[:count], drawn, bits=64), 2) + many(
            lambda: weighted_sum_g2(self._signatures[:count], drawn, bits=64), 2
        )

    def members(self, count: int) -> float:
        """Membership of ``count`` points, the cheaper way."""
        drawn = bytes(byte % 13 for byte in system_entropy(count))
        total = many(lambda: weighted_sum_g2(self._signatures[:count], drawn, bits=4), 3)
        return min(count * self.membership, MEMBERSHIP_SUMS * (total + self.membership))

    def batch(self, count: int) -> float:
        return self.hash + self.pairings_2 + self.sums(count)


@dataclass(frozen=True, slots=True)
class Validator:
    root: PublicKeyPoint
    shares: dict[int, PublicKeyPoint]
    partials: dict[int, bytes]


def deal(number: int, *, shares: int, threshold: int) -> Validator:
    rng = Random(number)
    secret = SecretKey.from_bytes(rng.randrange(1, CURVE_ORDER).to_bytes(32, "big"))
    dealing = split(secret, share_count=shares, threshold=threshold, entropy=rng.randbytes)
    return Validator(
        root=PublicKeyPoint.parse(secret.public_key()),
        shares={i: PublicKeyPoint.parse(s.public_key()) for i, s in dealing.shares.items()},
        partials={i: s.sign(MESSAGE) for i, s in dealing.shares.items()},
    )


def parse(data: bytes) -> SignaturePoint:
    return SignaturePoint.parse(data, check_subgroup=False)


def slot_items(
    validators: list[Validator], holders: tuple[int, ...], *, last: tuple[int, ...]
) -> list[PartialsOfOne]:
    """Partials of ``holders``; those of ``last`` are still bytes, the others were decompressed."""
    return [
        PartialsOfOne(
            public_key=v.root,
            message=MESSAGE,
            public_shares=v.shares,
            partials={i: v.partials[i] if i in last else parse(v.partials[i]) for i in holders},
        )
        for v in validators
    ]


def sign(items: list[PartialsOfOne]) -> None:
    result = sign_slot(items, threshold=3, entropy=system_entropy)
    assert None not in result.signatures


def single_rows(secrets: list[SecretKey]) -> tuple[list[Row], Floor]:
    keys = [PublicKeyPoint.parse(secret.public_key()) for secret in secrets]
    raw = [secret.sign(MESSAGE) for secret in secrets]
    floor = Floor(keys, [SignaturePoint.parse(data) for data in raw])

    def claims(_: object = None) -> list[Claim]:
        return [Claim(k, MESSAGE, parse(s)) for k, s in zip(keys, raw, strict=True)]

    def check(given: list[Claim]) -> None:
        assert verify_all(given, entropy=system_entropy)

    def checked_claims() -> list[Claim]:
        given = claims()
        check(given)
        return given

    def from_bytes(_: object) -> None:
        check(claims())

    one = SignaturePoint.parse(raw[0])
    same = floor.batch(COUNT)
    members, parsing = floor.members(COUNT), COUNT * floor.decompress
    messages = [b"%032d" % n for n in range(COUNT)]
    distinct = [
        Claim(key, message, SignaturePoint.parse(secret.sign(message)))
        for secret, key, message in zip(secrets, keys, messages, strict=True)
    ]
    apart = floor.batch(COUNT) + COUNT * (floor.hash + floor.pairing_more + floor.multiplication_g1)
    rows = [
        Row(
            "verify one",
            *timed(lambda _: verify_points(keys[0], MESSAGE, one)),
            floor.hash + floor.pairings_2,
            None,
        ),
        Row("sign one", *timed(lambda _: secrets[0].sign(MESSAGE)), None, None),
        Row(
            "1000 partials, one message: decompressed",
            *timed(check, given=claims),
            same + members,
            70,
        ),
        Row("  same, membership known", *timed(check, given=checked_claims), same, None),
        Row("  same, from bytes", *timed(from_bytes), same + members + parsing, None),
        Row(
            "1000 partials, 1000 messages",
            *timed(check, given=lambda: distinct, repeats=5),
            apart,
            None,
        ),
    ]
    return rows, floor


def combine_rows(floor: Floor) -> list[Row]:
    rows = []
    for shares, threshold, chosen in ((4, 3, None), (4, 3, (1, 2, 4)), (10, 7, None)):
        indices = chosen or choose_indices(range(1, shares + 1), threshold)
        validator = deal(shares, shares=shares, threshold=threshold)
        partials = {i: parse(validator.partials[i]) for i in indices}
        by = weights(indices)
        least = (by.steps if by.denominator == 1 else by.total) * floor.addition
        least += floor.multiplication if by.denominator != 1 else 0
        name = f"combine {threshold}-of-{shares} {','.join(map(str, indices))}"
        hundred = partial(lambda p: [combine(p) for _ in range(100)], partials)
        middle, high = timed(lambda _, work=hundred: work())  # type: ignore[misc]  # bound default
        rows.append(Row(name, middle / 100, high / 100, least, None))
    return rows


def slot_rows(floor: Floor) -> list[Row]:
    validators = [deal(n, shares=4, threshold=3) for n in range(100)]
    rows = []
    for count, goal in ((31, 20), (100, 40)):
        some = validators[:count]
        base = floor.batch(count) + floor.members(count) + count * 5 * floor.addition
        division = count * floor.multiplication
        parsing = count * floor.decompress
        for name, holders, last, least in (
            ("last partials as points", (1, 2, 3, 4), (), base),
            ("last partials as bytes", (1, 3, 4), (4,), base + parsing),
            ("last as bytes, 3 away", (1, 2, 4), (4,), base + parsing + division),
            ("all partials as bytes", (1, 2, 3, 4), (1, 2, 3, 4), base + 4 * parsing),
        ):
            given = partial(slot_items, some, holders, last=last)
            rows.append(Row(f"slot of {count}: {name}", *timed(sign, given=given), least, goal))
    return rows + trouble_rows(validators)


def trouble_rows(validators: list[Validator]) -> list[Row]:
    def wrong(positions: range) -> list[PartialsOfOne]:
        liars = [
            Validator(v.root, v.shares, {**v.partials, 3: validators[n - 1].partials[3]})
            if n in positions
            else v
            for n, v in enumerate(validators)
        ]
        return slot_items(liars, (1, 2, 3, 4), last=())

    rows = [
        Row(
            "slot of 100: one wrong partial",
            *timed(sign, given=lambda: wrong(range(50, 51))),
            None,
            None,
        ),
        Row(
            "slot of 100: one holder all wrong",
            *timed(sign, given=lambda: wrong(range(100)), repeats=5),
            None,
            None,
        ),
        Row(
            "100 claims, all false: name them",
            *timed(name_all, given=lambda: swapped(validators), repeats=5),
            None,
            None,
        ),
    ]
    before = sys.getswitchinterval()
    stop: list[bool] = []
    busy = threading.Thread(target=spin, args=(stop,))
    busy.start()
    try:
        for interval_ms in (5.0, 0.5, 0.1):
            sys.setswitchinterval(interval_ms / 1e3)
            given = partial(slot_items, validators, (1, 3, 4), last=(4,))
            name = f"slot of 100: other thread spins, switch {interval_ms} ms"
            rows.append(Row(name, *timed(sign, given=given, repeats=3), None, None))
    finally:
        sys.setswitchinterval(before)
        stop.append(True)
        busy.join()
    return rows


def spin(stop: list[bool]) -> None:
    number = 0
    while not stop:  # pure bytecode: never gives up the interpreter lock by itself
        number += 1


def swapped(validators: list[Validator]) -> list[Claim]:
    return [
        Claim(v.shares[1], MESSAGE, parse(validators[n - 1].partials[1]))
        for n, v in enumerate(validators)
    ]


def name_all(claims: list[Claim]) -> None:
    assert len(find_false(claims, entropy=system_entropy)) == len(claims)


def run() -> dict[str, Any]:
    """Print the table; return its figures in ms."""
    rng = Random(1)
    secrets = [SecretKey.generate(rng.randbytes) for _ in range(COUNT)]
    rows, floor = single_rows(secrets)
    rows += combine_rows(floor) + slot_rows(floor)
    print(f"{'BLS (ms)':<52}{'median':>10}{'p90':>10}{'floor':>10}{'goal':>8}")
    for row in rows:
        least = "" if row.floor_ms is None else f"{row.floor_ms:.3f}"
        goal = "" if row.goal_ms is None else f"{row.goal_ms:g}"
        print(f"{row.name:<52}{row.median_ms:>10.3f}{row.p90_ms:>10.3f}{least:>10}{goal:>8}")
    return {
        row.name.strip(): {
            "median_ms": row.median_ms,
            "p90_ms": row.p90_ms,
            "floor_ms": row.floor_ms,
            "goal_ms": row.goal_ms,
        }
        for row in rows
    }


if __name__ == "__main__":
    run()
