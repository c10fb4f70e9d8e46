"""Nothing can be changed in either file without a finding, and findings say what is wrong."""

import json
from dataclasses import replace
from random import Random

import pytest
from tests.cluster.cluster_world import deal, documents, findings_of

from tetrarch.cluster import eip712
from tetrarch.cluster.addresses import address_of_key
from tetrarch.cluster.definition import Creator, config_hash, sealed
from tetrarch.cluster.documents import parse_lock
from tetrarch.cluster.extension import extension_hash, parse_extension
from tetrarch.cluster.lock import Lock, lock_hash
from tetrarch.cluster.networks import network_named
from tetrarch.cluster.text import hex_text
from tetrarch.cluster.verify import verify_cluster, verify_lock
from tetrarch.cluster.verify_extension import verify_extension
from tetrarch.crypto.k1 import IdentityKey
from tetrarch.entropy import system_entropy
from tetrarch.errors import InputInvalid


@pytest.fixture(scope="module")
def dealt():
    return deal()


def codes(lock: Lock) -> set[str]:
    return {finding.code for finding in verify_lock(lock, entropy=system_entropy)}


def rehashed(lock: Lock) -> Lock:
    """What a forger can do who has no key: make the hashes fit."""
    lock = replace(lock, definition=sealed(lock.definition))
    return replace(lock, lock_hash=lock_hash(lock))


def with_validator(lock: Lock, index: int, **changes) -> Lock:
    validators = list(lock.validators)
    validators[index] = replace(validators[index], **changes)
    return replace(lock, validators=tuple(validators))


@pytest.mark.parametrize("nodes", [3, 4, 7])
def test_new_clusters_have_no_findings(nodes):
    assert findings_of(*documents(deal(node_count=nodes))) == []


def leaves(value, path=()):
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*path, name))
    elif isinstance(value, list):
        yield path, value
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path, value


def changed(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, list):
        return value[:-1]
    if value.startswith("0x"):
        return value[:-1] + format(int(value[-1], 16) ^ 1, "x")
    if value.isdigit():
        return str(int(value) + 1)
    return value + "x"


@pytest.mark.parametrize("which", [0, 1], ids=["lock", "extension"])
def test_every_changed_field_is_found(dealt, which):
    originals = documents(dealt)
    paths = [path for path, value in leaves(json.loads(originals[which])) if value != []]
    assert len(paths) > 20
    for path in paths:
        document = json.loads(originals[which])
        parent = document
        for step in path[:-1]:
            parent = parent[step]
        parent[path[-1]] = changed(parent[path[-1]])
        forged = list(originals)
        forged[which] = json.dumps(document).encode()
        try:
            findings = findings_of(*forged)
        except InputInvalid:
            continue
        assert findings, path


@pytest.mark.parametrize("which", [0, 1], ids=["lock", "extension"])
def test_flipped_bytes_are_found(dealt, which):
    originals = documents(dealt)
    values = parse_lock(originals[0]), parse_extension(originals[1])
    rng = Random(which)
    found = 0
    for _ in range(250):
        data = bytearray(originals[which])
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        forged = list(originals)
        forged[which] = bytes(data)
        try:
            same = (parse_lock(forged[0]), parse_extension(forged[1])) == values
            findings = findings_of(*forged)
        except InputInvalid:
            found += 1
            continue
        assert bool(findings) != same
        found += bool(findings)
    assert found > 150


def test_forged_fee_recipient_is_named(dealt):
    lock = dealt.lock
    addresses = list(lock.definition.validators)
    addresses[1] = replace(addresses[1], fee_recipient=b"\x11" * 20)
    forged = rehashed(
        replace(lock, definition=replace(lock.definition, validators=tuple(addresses)))
    )
    findings = list(verify_lock(forged, entropy=system_entropy))
    by_code = {finding.code: finding for finding in findings}
    assert by_code["registration_fee_recipient_wrong"].where == (
        "distributed_validators[1].builder_registration.message.fee_recipient"
    )
    assert set(by_code) == {
        "registration_fee_recipient_wrong",
        "signature_aggregate_wrong",
        "node_signature_wrong",
    }


def test_forged_withdrawal_address_is_named(dealt):
    lock = dealt.lock
    addresses = tuple(replace(each, withdrawal=b"\x11" * 20) for each in lock.definition.validators)
    forged = rehashed(replace(lock, definition=replace(lock.definition, validators=addresses)))
    assert "deposit_credentials_wrong" in codes(forged)


def test_swapped_public_shares_are_inconsistent(dealt):
    first, second, *rest = dealt.lock.validators[0].public_shares
    forged = with_validator(dealt.lock, 0, public_shares=(second, first, *rest))
    assert codes(rehashed(forged)) & {"shares_inconsistent", "shares_of_another_key"}


def test_shares_of_another_validator_are_found(dealt):
    shares = dealt.lock.validators[1].public_shares
    forged = with_validator(dealt.lock, 0, public_shares=shares)
    assert codes(rehashed(forged)) >= {"shares_of_another_key", "key_repeated"}


def test_lowered_threshold_is_found(dealt):
    definition = replace(dealt.lock.definition, threshold=2)
    forged = rehashed(replace(dealt.lock, definition=definition))
    assert "shares_inconsistent" in codes(forged)


@pytest.mark.parametrize("threshold", [0, 1, 5])
def test_impossible_threshold_is_found(dealt, threshold):
    definition = replace(dealt.lock.definition, threshold=threshold)
    assert "threshold_wrong" in codes(rehashed(replace(dealt.lock, definition=definition)))


def test_signatures_of_another_validator_are_named(dealt):
    lock = dealt.lock
    deposit = replace(
        lock.validators[0].deposits[1], signature=lock.validators[1].deposits[1].signature
    )
    deposits = (lock.validators[0].deposits[0], deposit)
    forged = with_validator(lock, 0, deposits=deposits)
    findings = {f.code: f.where for f in verify_lock(forged, entropy=system_entropy)}
    assert findings == {
        "lock_hash_wrong": "lock_hash",
        "deposit_signature_wrong": "distributed_validators[0].partial_deposit_data[1].signature",
    }


def test_missing_deposit_is_found(dealt):
    forged = with_validator(dealt.lock, 0, deposits=dealt.lock.validators[0].deposits[:1])
    assert "deposit_amounts_wrong" in codes(rehashed(forged))


def test_key_at_infinity_is_named(dealt):
    infinity = b"\xc0" + bytes(47)
    shares = (infinity, *dealt.lock.validators[0].public_shares[1:])
    forged = with_validator(dealt.lock, 0, public_shares=shares)
    where = {f.where for f in verify_lock(forged, entropy=system_entropy)}
    assert "distributed_validators[0].public_shares[0]" in where


def test_same_operator_twice_is_found(dealt):
    operators = dealt.lock.definition.operators
    definition = replace(dealt.lock.definition, operators=(operators[1], *operators[1:]))
    assert "enr_repeated" in codes(rehashed(replace(dealt.lock, definition=definition)))


def test_extension_of_another_lock_is_found(dealt):
    other = deal(seed=2)
    found = {finding.code for finding in verify_extension(other.extension, dealt.lock)}
    assert {"lock_hash_wrong", "node_signature_wrong"} <= found


def test_validator_key_as_cluster_key_is_found(dealt):
    validator = dealt.lock.validators[0]
    forged = replace(
        dealt.extension,
        cluster_public_key=validator.pubkey,
        cluster_public_shares=validator.public_shares,
    )
    forged = replace(forged, extension_hash=extension_hash(forged))
    found = {finding.code for finding in verify_extension(forged, dealt.lock)}
    assert {"key_repeated", "signature_aggregate_wrong"} <= found


def test_swapped_certificates_are_found_by_the_signatures(dealt):
    nodes = (dealt.extension.nodes[1], dealt.extension.nodes[0], *dealt.extension.nodes[2:])
    forged = replace(dealt.extension, nodes=nodes)
    forged = replace(forged, extension_hash=extension_hash(forged))
    found = {finding.code for finding in verify_cluster_of(dealt.lock, forged)}
    assert "node_signature_wrong" in found


def test_repeated_certificate_and_address_are_found(dealt):
    nodes = (dealt.extension.nodes[1], *dealt.extension.nodes[1:])
    found = {f.code for f in verify_extension(replace(dealt.extension, nodes=nodes), dealt.lock)}
    assert {"certificate_repeated", "address_repeated"} <= found


def verify_cluster_of(lock, extension):
    return list(verify_cluster(lock, extension, entropy=system_entropy))


WALLETS = [IdentityKey.from_bytes(bytes([9, index]) * 16) for index in range(1, 6)]


def signed_by_wallets(**changes) -> Lock:
    """A lock for hoodi whose operators and creator signed with their wallets."""
    lock = deal(network=network_named("hoodi"), **changes).lock
    owners = [address_of_key(wallet.public_key()) for wallet in WALLETS]
    operators = tuple(
        replace(operator, address=owner)
        for operator, owner in zip(lock.definition.operators, owners, strict=False)
    )
    definition = replace(lock.definition, operators=operators, creator=Creator(address=owners[-1]))
    text = hex_text(config_hash(definition))

    def sign(wallet: IdentityKey, kind: tuple[str, str], value: str) -> bytes:
        return wallet.sign(eip712.typed_digest(kind, value, chain_id=560048))

    operators = tuple(
        replace(
            operator,
            config_signature=sign(wallet, eip712.OPERATOR_CONFIG_HASH, text),
            enr_signature=sign(wallet, eip712.ENR, operator.enr),
        )
        for operator, wallet in zip(operators, WALLETS, strict=False)
    )
    creator = Creator(
        address=owners[-1], config_signature=sign(WALLETS[-1], eip712.CREATOR_CONFIG_HASH, text)
    )
    definition = replace(definition, operators=operators, creator=creator)
    return replace(lock, definition=sealed(definition))


def wallet_findings(lock: Lock) -> dict[str, str]:
    """Findings but those that come from editing a signed lock."""
    ours = {"lock_hash_wrong", "definition_hash_wrong", "config_hash_wrong"}
    found = verify_lock(lock, entropy=system_entropy)
    return {finding.where: finding.code for finding in found if finding.code not in ours}


def with_operator(lock: Lock, index: int, **changes) -> Lock:
    operators = list(lock.definition.operators)
    operators[index] = replace(operators[index], **changes)
    return replace(lock, definition=sealed(replace(lock.definition, operators=tuple(operators))))


def test_wallet_signatures_are_verified():
    lock = signed_by_wallets()
    assert wallet_findings(lock) == {}
    other = lock.definition.operators[0].enr_signature
    assert wallet_findings(with_operator(lock, 2, enr_signature=other)) == {
        "cluster_definition.operators[2].enr_signature": "wallet_signature_wrong"
    }


def test_contract_wallets_are_said_to_be_unverifiable():
    lock = signed_by_wallets()
    twice = lock.definition.operators[1].config_signature * 2
    assert wallet_findings(with_operator(lock, 1, config_signature=twice)) == {
        "cluster_definition.operators[1].config_signature": "signature_unverifiable"
    }


def test_either_all_operators_signed_or_none():
    lock = with_operator(
        signed_by_wallets(), 3, address=b"", config_signature=b"", enr_signature=b""
    )
    assert wallet_findings(lock) == {"cluster_definition.operators": "operators_partly_signed"}


def test_missing_creator_of_signed_operators_is_found():
    lock = signed_by_wallets()
    lock = replace(lock, definition=sealed(replace(lock.definition, creator=Creator())))
    assert set(wallet_findings(lock).values()) == {"signature_missing"} | (
        set(wallet_findings(lock).values()) & {"wallet_signature_wrong"}
    )


def test_wallet_signatures_on_an_unknown_chain_are_unverifiable():
    lock = signed_by_wallets()
    definition = sealed(replace(lock.definition, fork_version=b"\x77" * 4))
    found = wallet_findings(replace(lock, definition=definition))
    assert found["cluster_definition.fork_version"] == "signature_unverifiable"
