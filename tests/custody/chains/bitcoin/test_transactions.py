"""Transactions of plans, signed by a threshold, as Bitcoin Core's own code judges them."""

from dataclasses import replace

import pbk
import pytest
from embit.transaction import Transaction
from pbk.script import PrecomputedTransactionData
from tests.crypto.frost.world import entropy, generated, generation_of, signed

from tetrarch.crypto.frost.keys import Keys
from tetrarch.crypto.frost.signing import aggregate
from tetrarch.crypto.frost.suites import SECP256K1_TAPROOT as TAPROOT
from tetrarch.custody.chains.bitcoin.addresses import REGTEST, script_of, taproot_address
from tetrarch.custody.chains.bitcoin.holding import HoldingKey, holding_keys, signing_keys
from tetrarch.custody.chains.bitcoin.transactions import (
    Draft,
    OutputIdInvalid,
    Rate,
    draft_of,
    output_id,
    outputs_of,
    read_output_id,
)
from tetrarch.custody.chains.bitcoin.transactions import (
    signed as with_signatures,
)
from tetrarch.custody.outputs import Output, OutputKind, Payment, PaymentId
from tetrarch.custody.planner import Holdings, Limits, Plan, Planner

KEYS = generated(generation_of(TAPROOT, 2, 3))
HELD = holding_keys(KEYS[1].public.key)
OWN = taproot_address(REGTEST, HELD[0].output_key)
LIMITS = Limits(inputs_max=5, outputs_max=4, dust=330, own_address=OWN)
RATE = Rate(REGTEST, per_kvb=2_000)


def held(kind: OutputKind) -> HoldingKey:
    return next(each for each in HELD if each.kind is kind)


def plan(*, inputs: int = 3, payments: int = 2) -> Plan:
    planner = Planner(b"key", LIMITS)
    kinds = list(OutputKind)
    outputs = [
        Output(output_id(bytes((place + 1,)) * 32, place), kinds[place % 4], 50_000 + place)
        for place in range(inputs)
    ]
    some = [
        Payment(PaymentId(b"%d" % place), address, 50_000 * inputs // payments - 1_000)
        for place, address in enumerate([OWN] * payments)
    ]
    holdings = planner.pay(planner.accept(Holdings(), outputs), some)
    (made,) = planner.plan(holdings, RATE).plans
    return made


def signatures(draft: Draft, keys: dict[int, Keys] = KEYS) -> list[bytes]:
    made = []
    for digest, kind in zip(draft.digests, draft.kinds, strict=True):
        own = [signing_keys(keys[index], kind) for index in (1, 3)]
        signing, shares = signed(TAPROOT, own, digest, entropy(digest))
        made.append(aggregate(signing, shares))
    return made


def verdicts(raw: bytes, spent: Plan) -> list[bool]:
    """Of each input, by Bitcoin Core's consensus code."""
    transaction = pbk.Transaction(raw)
    scripts = [pbk.ScriptPubkey(held(each.kind).script) for each in spent.inputs]
    amounts = [each.amount for each in spent.inputs]
    outputs = [pbk.TransactionOutput(s, a) for s, a in zip(scripts, amounts, strict=True)]
    data = PrecomputedTransactionData(transaction, outputs)
    flags = pbk.ScriptVerificationFlags.ALL
    return [
        bool(script.verify(amount, transaction, data, place, flags))
        for place, (script, amount) in enumerate(zip(scripts, amounts, strict=True))
    ]


@pytest.mark.parametrize(("inputs", "payments"), [(1, 1), (3, 2), (5, 3), (4, 9)])
def test_consensus_takes_what_a_threshold_signed(inputs: int, payments: int) -> None:
    made = plan(inputs=inputs, payments=payments)
    draft = draft_of(REGTEST, HELD, made)
    raw = with_signatures(draft, signatures(draft))
    assert verdicts(raw, made) == [True] * len(made.inputs)
    for place in range(len(made.inputs)):
        damaged = signatures(draft)
        damaged[place] = damaged[place][:-1] + bytes((damaged[place][-1] ^ 1,))
        judged = verdicts(with_signatures(draft, damaged), made)
        assert judged == [each != place for each in range(len(made.inputs))]


def test_outputs_are_the_plan_s_in_its_order() -> None:
    made = plan(inputs=4, payments=9)
    draft = draft_of(REGTEST, HELD, made)
    transaction = Transaction.parse(draft.raw)
    expected = [(amount, script_of(REGTEST, each.address)) for each, amount in made.payments]
    expected += [(amount, held(OutputKind.BRANCH).script) for _, amount in made.branches]
    expected += [(made.change, held(OutputKind.CHANGE).script)] if made.change else []
    assert [(each.value, each.script_pubkey.data) for each in transaction.vout] == expected
    assert sum(each.amount for each in made.inputs) - sum(a for a, _ in expected) == made.fee
    ours = list(outputs_of(draft, made).values())
    assert [each.amount for each in ours] == [
        amount
        for amount, script in expected
        if script in {held(k).script for k in OutputKind} and script != script_of(REGTEST, OWN)
    ]
    for each in ours:
        identity, place = read_output_id(each.id)
        assert identity == transaction.txid()[::-1] == draft.id
        assert transaction.vout[place].value == each.amount
        assert transaction.vout[place].script_pubkey.data == held(each.kind).script
    assert [each.txid[::-1] + each.vout.to_bytes(4, "little") for each in transaction.vin] == [
        each.id for each in made.inputs
    ]


def test_the_fee_is_of_the_signed_size() -> None:
    for inputs, payments in ((1, 1), (3, 2), (5, 3)):
        made = plan(inputs=inputs, payments=payments)
        draft = draft_of(REGTEST, HELD, made)
        raw = with_signatures(draft, signatures(draft))
        weight = 3 * len(Transaction.parse(draft.raw).serialize()) + len(raw)
        assert len(Transaction.parse(raw).serialize()) == len(raw)
        least = -(-weight * RATE.per_kvb // 4_000)
        assert 0 <= made.fee - least <= 4 * RATE.per_kvb // 1_000 + 1


def test_all_come_to_the_same_bytes() -> None:
    made = plan()
    first, again = draft_of(REGTEST, HELD, made), draft_of(REGTEST, HELD, replace(made))
    assert first == again
    other = draft_of(REGTEST, HELD, replace(made, change=made.change - 1))
    assert other.id != first.id
    assert set(other.digests).isdisjoint(first.digests)


def test_an_output_s_id_is_of_36_bytes() -> None:
    assert read_output_id(output_id(b"t" * 32, 7)) == (b"t" * 32, 7)
    for size in (0, 35, 37):
        with pytest.raises(OutputIdInvalid):
            read_output_id(bytes(size))
