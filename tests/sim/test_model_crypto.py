"""The cost model keeps the contract of real threshold BLS: one suite for both."""

import asyncio
from dataclasses import replace

import pytest

from tetrarch.duties.group_crypto import PartialClaim, PartialsFor
from tetrarch.duties.types import PubKey, ShareIndex
from tetrarch.sim.loop import simulate
from tetrarch.sim.model_crypto import COMPUTE_S, DealtKeys, SimCompute, deal

ROOT = b"r" * 32


@pytest.fixture(params=[False, True], ids=["model", "real"])
def keys(request: pytest.FixtureRequest) -> DealtKeys:
    return deal(7, node_count=4, threshold=3, validator_count=2, real=request.param)


def partial(keys: DealtKeys, pubkey: PubKey, node: int, root: bytes = ROOT) -> bytes:
    (signed,) = keys.rings[node].sign([(pubkey, root)])
    return signed.signature


def partials(keys: DealtKeys, pubkey: PubKey, *nodes: int) -> PartialsFor:
    made = tuple((ShareIndex(node + 1), partial(keys, pubkey, node)) for node in nodes)
    return PartialsFor(pubkey, ROOT, made)


def test_any_threshold_of_right_partials_gives_the_one_group_signature(keys: DealtKeys) -> None:
    pubkey = keys.pubkeys[0]
    crypto = keys.crypto[0]
    items = [partials(keys, pubkey, *nodes) for nodes in ((0, 1, 2), (1, 2, 3), (0, 1, 2, 3))]
    result = crypto.combine(items, avoid=())
    assert result.culprits == ()
    (signature,) = set(result.signatures)
    assert signature is not None
    assert crypto.verifies(pubkey, ROOT, signature)
    assert not crypto.verifies(pubkey, b"s" * 32, signature)
    assert not crypto.verifies(keys.pubkeys[1], ROOT, signature)


def test_too_few_partials_give_none(keys: DealtKeys) -> None:
    result = keys.crypto[0].combine([partials(keys, keys.pubkeys[0], 0, 1)], avoid=())
    assert result.signatures == (None,)


def test_false_partial_is_named_and_combined_around(keys: DealtKeys) -> None:
    pubkey = keys.pubkeys[1]
    false = (ShareIndex(1), partial(keys, pubkey, 0, b"another root".ljust(32)))
    right = partials(keys, pubkey, 1, 2, 3)
    item = replace(right, partials=(false, *right.partials))
    result = keys.crypto[2].combine([item], avoid=())
    assert result.culprits == ((0, 1),)
    assert result.signatures == keys.crypto[2].combine([right], avoid=()).signatures
    few = replace(right, partials=(false, *right.partials[:2]))
    assert keys.crypto[2].combine([few], avoid=()).signatures == (None,)


def test_avoided_share_is_not_used_where_others_suffice(keys: DealtKeys) -> None:
    pubkey = keys.pubkeys[0]
    right = partials(keys, pubkey, 1, 2, 3)
    false = (ShareIndex(1), partial(keys, pubkey, 0, b"another root".ljust(32)))
    item = replace(right, partials=(false, *right.partials))
    result = keys.crypto[0].combine([item], avoid={ShareIndex(1)})
    assert result.culprits == ()
    assert result.signatures != (None,)


def test_false_claims_are_found(keys: DealtKeys) -> None:
    pubkey = keys.pubkeys[0]
    good = PartialClaim(pubkey, ShareIndex(2), ROOT, partial(keys, pubkey, 1))
    others_share = replace(good, share_index=ShareIndex(3))
    garbage = replace(good, signature=b"\xff" * 96)
    assert keys.crypto[0].false_partials([good, others_share, garbage, good]) == (1, 2)


def test_nodes_share_public_keys_and_equal_seeds_give_equal_keys(keys: DealtKeys) -> None:
    assert {public.pubkeys for public in keys.public} == {keys.pubkeys}
    assert [public.own_share_index for public in keys.public] == [1, 2, 3, 4]
    again = deal(7, node_count=4, threshold=3, validator_count=2, real=False)
    assert (
        again.pubkeys == deal(7, node_count=4, threshold=3, validator_count=2, real=False).pubkeys
    )
    assert (
        again.pubkeys != deal(8, node_count=4, threshold=3, validator_count=2, real=False).pubkeys
    )


def test_computing_takes_virtual_time() -> None:
    async def main() -> float:
        assert await SimCompute().run(lambda: 5, cost_ms=3) == 5
        return asyncio.get_running_loop().time()

    assert simulate(main, seed=1) >= COMPUTE_S
