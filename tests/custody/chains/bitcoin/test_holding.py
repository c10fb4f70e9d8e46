"""Each kind of output has a key of its own, and the threshold key signs for all of them."""

import pytest
from tests.crypto.frost.world import entropy, generated, generation_of, signed

from tetrarch.crypto.frost.groups import FrostPointInvalid
from tetrarch.crypto.frost.keys import verify_share
from tetrarch.crypto.frost.signing import aggregate
from tetrarch.crypto.frost.suites import SECP256K1_TAPROOT as TAPROOT
from tetrarch.custody.chains.bitcoin.holding import holding_keys, signing_keys, signing_public
from tetrarch.custody.outputs import OutputKind


@pytest.mark.parametrize("seed", range(4))
def test_each_kind_is_signed_for_by_the_same_shares(seed: int) -> None:
    keys = generated(generation_of(TAPROOT, 2, 3), seed)
    public = keys[1].public
    held = {each.kind: each for each in holding_keys(public.key)}
    assert held.keys() == set(OutputKind)
    assert len({each.script for each in held.values()}) == 4
    for kind in OutputKind:
        own = {index: signing_keys(each, kind) for index, each in keys.items()}
        assert all(verify_share(TAPROOT, each) for each in own.values())
        assert own[1].public == signing_public(public, kind)
        assert own[1].public.key[1:] == held[kind].output_key
        assert held[kind].script == b"\x51\x20" + held[kind].output_key
        signing, shares = signed(TAPROOT, [own[3], own[2]], b"digest", entropy(seed))
        key = TAPROOT.group.decode_point(b"\x02" + held[kind].output_key)
        assert TAPROOT.is_signed(key, b"digest", aggregate(signing, shares))


def test_what_is_no_key_is_refused() -> None:
    with pytest.raises(FrostPointInvalid):
        holding_keys(bytes(33))
