"""Is a cluster's pair of files true? Every hash and signature, each failure by name.

Nothing is trusted: not that public shares belong together, not that hashes in the file fit it.
Signatures over a hash are checked against the hash *as stored*, and the stored hash against the
content: so a changed field shows as one wrong hash, and a re-hashed forgery as wrong signatures.

Source: reference section 5.3, "Lock verification".
"""

from collections.abc import Iterable, Iterator

from tetrarch.cluster.addresses import address_text
from tetrarch.cluster.deposits import (
    AMOUNT_MIN_GWEI,
    amounts_to_sign,
    deposit_signing_root,
    registration_signing_root,
    withdrawal_credentials,
)
from tetrarch.cluster.extension import Extension
from tetrarch.cluster.findings import Finding, lock_finding
from tetrarch.cluster.lock import Deposit, DistributedValidator, Lock, lock_hash
from tetrarch.cluster.node_signatures import check_node_signatures
from tetrarch.cluster.public_shares import check_public_shares
from tetrarch.cluster.verify_definition import verify_definition
from tetrarch.cluster.verify_extension import verify_extension
from tetrarch.crypto import bls
from tetrarch.crypto.batch import Claim, find_false
from tetrarch.entropy import Entropy
from tetrarch.errors import InputInvalid

COMPOUNDING_MAX_GWEI = 2048 * AMOUNT_MIN_GWEI


def verify_cluster(lock: Lock, extension: Extension, *, entropy: Entropy) -> Iterator[Finding]:
    """Yield everything that is wrong with ``lock`` and ``extension``; nothing if both are good.

    Args:
        lock: as read from its file.
        extension: the one beside it.
        entropy: for batch verification.

    Cost: 1.2 ms for each validator of four nodes, more where something is wrong.
    """
    yield from verify_lock(lock, entropy=entropy)
    yield from verify_extension(extension, lock)


def verify_lock(lock: Lock, *, entropy: Entropy) -> Iterator[Finding]:
    """Yield everything that is wrong with ``lock``; arguments as ``verify_cluster``."""
    yield from verify_definition(lock.definition)
    if len(lock.validators) != lock.definition.num_validators:
        yield lock_finding(
            "validator_count_wrong",
            "distributed_validators",
            f"{len(lock.validators)} validators; the definition says "
            f"{lock.definition.num_validators}",
        )
    if lock.lock_hash != lock_hash(lock):
        yield lock_finding("lock_hash_wrong", "lock_hash", "is not the hash of the lock")
    yield from _repeated_keys(lock)
    for index, validator in enumerate(lock.validators):
        yield from _shares(lock, index, validator)
        yield from _deposits(lock, index, validator)
        yield from _registration(lock, index, validator)
    yield from _validator_signatures(lock, entropy)
    yield from _aggregate(lock)
    yield from _node_signatures(lock)


def _path(index: int) -> str:
    return f"distributed_validators[{index}]"


def _repeated_keys(lock: Lock) -> Iterator[Finding]:
    seen: dict[bytes, str] = {}
    for index, validator in enumerate(lock.validators):
        keys = [(validator.pubkey, f"{_path(index)}.distributed_public_key")]
        keys += [
            (share, f"{_path(index)}.public_shares[{position}]")
            for position, share in enumerate(validator.public_shares)
        ]
        for key, where in keys:
            first = seen.setdefault(key, where)
            if first != where:
                yield lock_finding("key_repeated", where, f"is the same key as {first}")


def _shares(lock: Lock, index: int, validator: DistributedValidator) -> Iterator[Finding]:
    for code, where, problem in check_public_shares(
        validator.pubkey,
        validator.public_shares,
        share_count=len(lock.definition.operators),
        threshold=lock.definition.threshold,
    ):
        name = "distributed_public_key" if where == "root" else where
        yield lock_finding(code, f"{_path(index)}.{name}", problem)


def _deposits(lock: Lock, index: int, validator: DistributedValidator) -> Iterator[Finding]:
    definition = lock.definition
    for position, deposit in enumerate(validator.deposits):
        where = f"{_path(index)}.partial_deposit_data[{position}]"
        if deposit.pubkey != validator.pubkey:
            yield lock_finding(
                "deposit_key_wrong", f"{where}.pubkey", "is not the validator's root key"
            )
        if index < len(definition.validators):
            expected = withdrawal_credentials(
                definition.validators[index].withdrawal, compounding=definition.compounding
            )
            if deposit.withdrawal_credentials != expected:
                yield lock_finding(
                    "deposit_credentials_wrong",
                    f"{where}.withdrawal_credentials",
                    "do not pay out to " + address_text(definition.validators[index].withdrawal),
                )
    yield from _deposit_amounts(lock, index, validator.deposits)


def _deposit_amounts(lock: Lock, index: int, deposits: Iterable[Deposit]) -> Iterator[Finding]:
    found = [deposit.amount_gwei for deposit in deposits]
    where = f"{_path(index)}.partial_deposit_data"
    if len(set(found)) != len(found):
        yield lock_finding("deposit_amounts_wrong", where, "an amount is repeated")
    if lock.definition.deposit_amounts:
        try:
            expected = amounts_to_sign(
                lock.definition.deposit_amounts, compounding=lock.definition.compounding
            )
        except InputInvalid:
            return  # found in the definition
        if tuple(sorted(set(found))) != expected:
            yield lock_finding("deposit_amounts_wrong", where, f"are not for {expected} gwei")
    elif not all(AMOUNT_MIN_GWEI <= amount <= COMPOUNDING_MAX_GWEI for amount in found):
        yield lock_finding("deposit_amounts_wrong", where, "an amount is outside 1..2048 ETH")


def _registration(lock: Lock, index: int, validator: DistributedValidator) -> Iterator[Finding]:
    registration = validator.registration
    where = f"{_path(index)}.builder_registration.message"
    if registration.pubkey != validator.pubkey:
        yield lock_finding(
            "registration_key_wrong", f"{where}.pubkey", "is not the validator's root key"
        )
    addresses = lock.definition.validators
    if index < len(addresses) and registration.fee_recipient != addresses[index].fee_recipient:
        yield lock_finding(
            "registration_fee_recipient_wrong",
            f"{where}.fee_recipient",
            f"is not the definition's {address_text(addresses[index].fee_recipient)}",
        )


def _validator_signatures(lock: Lock, entropy: Entropy) -> Iterator[Finding]:
    """Deposits and registrations of all validators in one batch; the false ones by bisection."""
    claims: list[Claim] = []
    names: list[tuple[str, str]] = []
    fork_version = lock.definition.fork_version
    for index, validator in enumerate(lock.validators):
        try:
            key = bls.PublicKeyPoint.parse(validator.pubkey)
        except bls.BlsInputInvalid:
            continue  # found with the shares
        signed = [
            (
                f"{_path(index)}.partial_deposit_data[{position}].signature",
                "deposit_signature_wrong",
                deposit_signing_root(deposit, fork_version=fork_version),
                deposit.signature,
            )
            for position, deposit in enumerate(validator.deposits)
        ]
        registration = validator.registration
        signed.append(
            (
                f"{_path(index)}.builder_registration.signature",
                "registration_signature_wrong",
                registration_signing_root(registration, fork_version=fork_version),
                registration.signature,
            )
        )
        for where, code, root, signature in signed:
            try:
                # No subgroup check here: the batch includes it.
                point = bls.SignaturePoint.parse(signature, check_subgroup=False)
            except bls.BlsInputInvalid as error:
                yield lock_finding(code, where, f"is no signature: {error.code}")
                continue
            claims.append(Claim(key, root, point))
            names.append((code, where))
    for position in find_false(claims, entropy=entropy):
        code, where = names[position]
        yield lock_finding(code, where, "is not by the validator's root key over this message")


def _aggregate(lock: Lock) -> Iterator[Finding]:
    shares = [share for validator in lock.validators for share in validator.public_shares]
    if not bls.fast_aggregate_verify(shares, lock.lock_hash, lock.signature_aggregate):
        yield lock_finding(
            "signature_aggregate_wrong",
            "signature_aggregate",
            "is not the aggregate of all shares' signatures over lock_hash",
        )


def _node_signatures(lock: Lock) -> Iterator[Finding]:
    operators, signatures = lock.definition.operators, lock.node_signatures
    for wrong in check_node_signatures(operators, signatures, lock.lock_hash, over="lock_hash"):
        yield lock_finding(*wrong)
