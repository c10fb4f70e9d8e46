"""BIP-340 signatures and BIP-341 tweaks."""

import csv
import json

import pytest
from tests.crypto.frost.world import entropy, signed
from tests.vectors_path import vectors

from tetrarch.crypto.frost.groups import FrostPointInvalid
from tetrarch.crypto.frost.keys import (
    Keys,
    PublicKeys,
    Quorum,
    SecretShare,
    deal,
    even,
    even_public,
    offset_public,
    taproot_tweak,
    verify_share,
    with_taproot_tweak,
)
from tetrarch.crypto.frost.signing import aggregate
from tetrarch.crypto.frost.suites import SECP256K1_TAPROOT as TAPROOT

GROUP = TAPROOT.group


def rows() -> list[dict[str, str]]:
    with (vectors("bip") / "bip-0340.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_signatures_are_judged_as_bip_340_has_it() -> None:
    verdicts = set()
    for row in rows():
        message, signature = bytes.fromhex(row["message"]), bytes.fromhex(row["signature"])
        try:
            key = GROUP.decode_point(b"\x02" + bytes.fromhex(row["public key"]))
        except FrostPointInvalid:
            outcome = False
        else:
            outcome = TAPROOT.is_signed(key, message, signature)
        assert str(outcome).upper() == row["verification result"], row["comment"]
        verdicts.add(outcome)
    assert verdicts == {True, False}


def test_tweaks_are_those_of_bip_341() -> None:
    wallet = json.loads((vectors("bip") / "bip-0341-wallet.json").read_text())
    for row in wallet["scriptPubKey"]:
        inner = b"\x02" + bytes.fromhex(row["given"]["internalPubkey"])
        key = GROUP.decode_point(inner)
        root = bytes.fromhex(row["intermediary"]["merkleRoot"] or "")
        tweak = taproot_tweak(TAPROOT, key, root)
        assert tweak.hex() == row["intermediary"]["tweak"]
        public = offset_public(TAPROOT, PublicKeys(Quorum(1, 1), key, (key,)), tweak)
        assert public.key[1:].hex() == row["intermediary"]["tweakedPubkey"]
    for row in wallet["keyPathSpending"][0]["inputSpending"]:
        secret = GROUP.decode_scalar(bytes.fromhex(row["given"]["internalPrivkey"]))
        point = GROUP.multiply_base(secret)
        keys = Keys(PublicKeys(Quorum(1, 1), point, (point,)), SecretShare(1, secret))
        root = bytes.fromhex(row["given"]["merkleRoot"] or "")
        own = even(TAPROOT, keys)
        assert own.public.key[1:].hex() == row["intermediary"]["internalPubkey"]
        tweaked = even(TAPROOT, with_taproot_tweak(TAPROOT, keys, root))
        private = GROUP.decode_scalar(bytes.fromhex(row["intermediary"]["tweakedPrivkey"]))
        assert tweaked.secret.reveal() in (private, GROUP.negate_scalar(private))


@pytest.mark.parametrize("seed", range(8))
def test_a_threshold_signs_for_a_taproot_output(seed: int) -> None:
    """Whatever the parity of the key, of the tweaked key and of the nonces' sum."""
    draw = entropy(seed)
    scalars = [GROUP.reduce(draw(64)) for _ in range(3)]
    dealt = deal(TAPROOT, Quorum(3, 5), scalars[0], scalars[1:])
    keys = {index: with_taproot_tweak(TAPROOT, each) for index, each in dealt.items()}
    public = keys[1].public
    assert all(verify_share(TAPROOT, each) for each in keys.values())
    signing, shares = signed(TAPROOT, [keys[index] for index in (1, 3, 4)], b"sighash", draw)
    signature = aggregate(signing, shares)
    assert len(signature) == 64
    assert TAPROOT.is_signed(public.key, b"sighash", signature)
    assert TAPROOT.is_signed(even_public(TAPROOT, public).key, b"sighash", signature)
