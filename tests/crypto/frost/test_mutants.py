"""Each mutant of a pure module fails an explicit claim of that module's tests."""

from pathlib import Path

import pytest
from tests.mutants import Mutant, assert_killed, assert_unchanged_holds

PACKAGE = "tetrarch.crypto.frost"
MUTANTS = (
    Mutant("message not bound", "signing", '            + suite.hash(b"msg", message)\n', ""),
    Mutant(
        "signers not bound",
        "signing",
        'suite.hash(b"com", b"".join(part for parts in encoded for part in parts))',
        'suite.hash(b"com", b"")',
    ),
    Mutant(
        "key not bound", "signing", "            keys.key\n            + suite", "            suite"
    ),
    Mutant("nonces kept", "signing", "pair, self._pair = self._pair, None", "pair = self._pair"),
    Mutant(
        "another's nonces",
        "signing",
        "if signing.commitments.get(index) != nonces.commitment",
        "if False",
    ),
    Mutant(
        "own parity",
        "signing",
        "if suite.negates(signing.sum_of_commitments):\n        nonce = group.negate_scalar(nonce)",
        "if False:\n        nonce = group.negate_scalar(nonce)",
    ),
    Mutant(
        "judged parity",
        "signing",
        "if suite.negates(signing.sum_of_commitments):\n        nonce = group.negate(nonce)",
        "if False:\n        nonce = group.negate(nonce)",
    ),
    Mutant(
        "not verified",
        "signing",
        "if suite.is_signed(signing.keys.key, signing.message, signature)",
        "if True",
    ),
    Mutant("too few", "signing", "if len(indices) < quorum.threshold", "if not indices"),
    Mutant(
        "unknown signers",
        "signing",
        "if not 1 <= indices[0] <= indices[-1] <= quorum.shares",
        "if False",
    ),
    Mutant("no sum", "signing", "if total == group.identity", "if False"),
    Mutant(
        "shares missing", "signing", "if shares.keys() != signing.commitments.keys()", "if False"
    ),
    Mutant("twice", "signing", "len(set(indices)) != len(indices) or ", ""),
    Mutant(
        "own offset",
        "keys",
        "keys.secret.reveal(), by",
        "keys.secret.reveal(), keys.secret.reveal()",
    ),
    Mutant(
        "opposite share",
        "keys",
        "suite.group.negate_scalar(keys.secret.reveal())",
        "keys.secret.reveal()",
    ),
    Mutant("either", "keys", "if suite.negates(keys.public.key) else keys", "if True else keys"),
    Mutant("unproven openings", "dkg", "        or not is_known(", "        or is_known("),
    Mutant("degree", "dkg", "len(opening.commitments) != quorum.threshold\n        or ", ""),
    Mutant("missing openings", "dkg", "if openings.keys() != set(everybody)", "if False"),
    Mutant(
        "openings of any generation",
        "dkg",
        'sha256(generation.context + b"".join(commitments) + letter_key)',
        'sha256(b"".join(commitments) + letter_key)',
    ),
    Mutant(
        "letter key not bound",
        "dkg",
        'b"".join(commitments) + letter_key).digest()',
        'b"".join(commitments)).digest()',
    ),
    Mutant(
        "read unproven",
        "dkg",
        "    if not _is_written(generation, digest, letter, sender, to):\n        return None",
        "",
    ),
    Mutant(
        "another's opened",
        "dkg",
        "if not _is_written(self._generation, digest, letter, sender, self.index):",
        "if False:",
    ),
    Mutant(
        "judged unproven",
        "dkg",
        "    if not _is_written(generation, digest, letter, sender, accuser):\n        return Verdict.SENDER\n",
        "",
    ),
    Mutant(
        "any value",
        "dkg",
        "return value if suite.group.multiply_base(value) == told else None",
        "return value",
    ),
    Mutant(
        "no key needed",
        "dkg",
        "    if key is None:\n        return Verdict.ACCUSER",
        "    if key is None:\n        return Verdict.SENDER",
    ),
    Mutant(
        "any key",
        "dkg",
        "if not is_equal(suite, key.proof, (reader, letter.key, key.shared), context=context)",
        "if False",
    ),
    Mutant(
        "right letters",
        "dkg",
        "Verdict.SENDER if read is None else Verdict.ACCUSER",
        "Verdict.SENDER",
    ),
    Mutant("a key of nobody", "dkg", "if sums[0] == group.identity", "if False"),
    Mutant(
        "same letters again",
        "dkg",
        'purpose = digest + to.to_bytes(4, "big")',
        'purpose = to.to_bytes(4, "big")',
    ),
    Mutant(
        "seed alone",
        "dkg",
        "            self._generation.context,\n            self._generation.suite",
        "            self._generation.suite",
    ),
    Mutant("one seed for all", "dkg", '            self.index.to_bytes(4, "big"),\n', ""),
    Mutant(
        "prefix not bound",
        "proofs",
        "prefix + point + commitment + context",
        "point + commitment + context",
    ),
    Mutant(
        "point not bound",
        "proofs",
        "prefix + point + commitment + context",
        "prefix + commitment + context",
    ),
    Mutant(
        "context not bound",
        "proofs",
        "prefix + point + commitment + context",
        "prefix + point + commitment",
    ),
    Mutant(
        "any response",
        "proofs",
        "return group.multiply_base(proof.response) == told",
        "return True",
    ),
    Mutant(
        "any equality",
        "proofs",
        'suite.hash_to_scalar(b"dleq", told + context) == proof.challenge',
        "True",
    ),
)


@pytest.mark.parametrize("module", sorted({mutant.module for mutant in MUTANTS}))
def test_claims_hold_for_the_true_rules(module: str) -> None:
    assert_unchanged_holds(PACKAGE, Path(__file__).parent, module)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.module}: {mutant.name}")
def test_mutant_is_killed(mutant: Mutant) -> None:
    assert_killed(PACKAGE, Path(__file__).parent, mutant)
