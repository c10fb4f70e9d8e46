"""A slot's group signatures come out right, whoever lies, and liars are named."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.crypto.keys import deal, key, outside_subgroup_g2

from tetrarch.crypto.points import PublicKeyPoint, SignaturePoint
from tetrarch.crypto.slot import Culprit, PartialsOfOne, sign_slot
from tetrarch.entropy import system_entropy

ROOT = b"\x44" * 32
COUNT = 12
DEALINGS = [deal(n, shares=4, threshold=3) for n in range(COUNT)]
PARTIALS = [{i: s.sign(ROOT) for i, s in d.shares.items()} for d in DEALINGS]
ROOTS = [PublicKeyPoint.parse(d.commitments[0]) for d in DEALINGS]
SHARES = [{i: PublicKeyPoint.parse(s.public_key()) for i, s in d.shares.items()} for d in DEALINGS]


def item(
    number: int, partials: dict[int, bytes], *, message: bytes = ROOT, parsed: bool = True
) -> PartialsOfOne:
    return PartialsOfOne(
        public_key=ROOTS[number],
        message=message,
        public_shares=SHARES[number],
        partials={
            i: SignaturePoint.parse(p, check_subgroup=False) if parsed else p
            for i, p in partials.items()
        },
    )


def run(items: list[PartialsOfOne], **options: Any) -> Any:
    return sign_slot(items, threshold=3, entropy=system_entropy, **options)


@pytest.mark.parametrize("parsed", [True, False])
@pytest.mark.parametrize("missing", [0, 1, 2, 3, 4])
def test_right_partials_give_the_group_signatures(missing: int, *, parsed: bool) -> None:
    items = [
        item(n, {i: p for i, p in PARTIALS[n].items() if i != missing}, parsed=parsed)
        for n in range(COUNT)
    ]
    result = run(items)
    assert result.signatures == tuple(key(n).sign(ROOT) for n in range(COUNT))
    assert result.culprits == result.inconsistent == ()


def test_nothing_comes_of_nothing() -> None:
    result = run([])
    assert result.signatures == result.culprits == ()


def test_too_few_partials_give_no_signature_and_no_culprit() -> None:
    items = [item(0, PARTIALS[0]), item(1, {1: PARTIALS[1][1], 4: PARTIALS[1][4]}), item(2, {})]
    result = run(items)
    assert result.signatures == (key(0).sign(ROOT), None, None)
    assert result.culprits == ()


def test_distinct_messages_work_too() -> None:
    items = []
    for n in range(5):
        message = b"%032d" % n
        partials = {i: s.sign(message) for i, s in DEALINGS[n].shares.items()}
        items.append(item(n, partials, message=message))
    assert run(items).signatures == tuple(key(n).sign(b"%032d" % n) for n in range(5))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_liars_are_named_and_the_rest_signs(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, COUNT))
    liars = data.draw(
        st.sets(st.tuples(st.integers(0, count - 1), st.integers(1, 4)), min_size=1, max_size=6)
    )
    kind = data.draw(st.sampled_from(["other validator", "other message", "outside", "swapped"]))
    items = []
    for n in range(count):
        partials = dict(PARTIALS[n])
        for position, index in liars:
            if position == n:
                partials[index] = {
                    "other validator": PARTIALS[(n + 1) % COUNT][index],
                    "other message": DEALINGS[n].shares[index].sign(b"other"),
                    "outside": outside_subgroup_g2(skip=n),
                    "swapped": PARTIALS[n][index % 4 + 1],
                }[kind]
        items.append(item(n, partials, parsed=data.draw(st.booleans())))
    result = run(items)
    assert result.inconsistent == ()
    named = {(c.position, c.share_index) for c in result.culprits}
    assert named <= liars
    assert {c.code for c in result.culprits} <= {"bls_signature_wrong"}
    for n in range(count):
        of_this = {index for position, index in liars if position == n}
        if len(of_this) > 1:  # fewer than three right partials are left
            assert result.signatures[n] is None
            assert {index for position, index in named if position == n} == of_this
        else:
            assert result.signatures[n] == key(n).sign(ROOT)


def test_a_holder_with_only_wrong_partials_is_named_for_each() -> None:
    items = [item(n, {**PARTIALS[n], 3: PARTIALS[(n + 1) % COUNT][3]}) for n in range(COUNT)]
    result = run(items)
    assert result.signatures == tuple(key(n).sign(ROOT) for n in range(COUNT))
    assert result.culprits == tuple(
        Culprit(position=n, share_index=3, code="bls_signature_wrong") for n in range(COUNT)
    )
    avoided = run(items, avoid={3})
    assert avoided.signatures == result.signatures
    assert avoided.culprits == ()  # their partials were not needed, so nobody looked


def test_avoided_holders_are_used_when_others_do_not_suffice() -> None:
    partials = {i: PARTIALS[0][i] for i in (1, 2, 3)}
    assert run([item(0, partials)], avoid={1, 2, 3, 4}).signatures == (key(0).sign(ROOT),)


def test_malformed_partials_are_named_by_their_error() -> None:
    partials = {1: PARTIALS[0][1], 2: bytes(96), 3: PARTIALS[0][3][:-1], 4: PARTIALS[0][4]}
    result = run([item(0, partials, parsed=False)])
    assert result.signatures == (None,)
    assert [(c.share_index, c.code) for c in result.culprits] == [
        (2, "bls_point_encoding_invalid"),
        (3, "bls_wrong_length"),
    ]


@pytest.mark.parametrize(
    ("ready", "used"),
    [
        ((1, 2, 3), (1, 2, 3)),
        ((2, 3, 4), (2, 3, 4)),
        ((1, 2, 4), None),  # they have a denominator: another decompression is cheaper
    ],
)
def test_partials_that_nobody_needs_are_not_decompressed(
    ready: tuple[int, ...], used: tuple[int, ...] | None
) -> None:
    partials = {
        i: SignaturePoint.parse(p, check_subgroup=False) if i in ready else p
        for i, p in PARTIALS[0].items()
    }
    broken = {i: p if i in ready else bytes(96) for i, p in partials.items()}
    one = item(0, {})
    assert run([replace(one, partials=partials)]).signatures == (key(0).sign(ROOT),)
    result = run([replace(one, partials=broken)])
    assert result.signatures == (key(0).sign(ROOT),)
    assert (result.culprits == ()) is (used is not None)


def test_unknown_share_is_named_and_not_used() -> None:
    result = run([item(0, {**PARTIALS[0], 7: PARTIALS[0][1]})])
    assert result.signatures == (key(0).sign(ROOT),)
    assert result.culprits == (Culprit(position=0, share_index=7, code="bls_share_unknown"),)


def test_public_shares_of_another_key_are_our_own_fault_not_a_holder() -> None:
    wrong = PartialsOfOne(
        public_key=ROOTS[1],
        message=ROOT,
        public_shares=SHARES[0],
        partials={i: SignaturePoint.parse(p) for i, p in PARTIALS[0].items()},
    )
    result = run([item(2, PARTIALS[2]), wrong])
    assert result.signatures == (key(2).sign(ROOT), None)
    assert result.culprits == ()
    assert result.inconsistent == (1,)


def test_partials_that_cancel_out_give_no_signature() -> None:
    # weights of shares (1, 3, 4) are 2, -2, 1: make the sum the neutral point
    good = PARTIALS[0]
    neutral = b"\xc0" + bytes(95)
    partials = {1: good[1], 3: good[1], 4: neutral}
    result = run([item(0, {1: good[1], 3: good[1]}), item(0, partials, parsed=False)])
    assert result.signatures == (None, None)
    assert (1, 4, "bls_point_at_infinity") in {
        (c.position, c.share_index, c.code) for c in result.culprits
    }
