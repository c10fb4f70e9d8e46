"""Each of these broken seals must fail at least one explicit claim. The rules': ``test_rules.py``."""

from pathlib import Path

import pytest
from tests.mutants import Mutant, assert_killed, assert_unchanged_holds

PACKAGE = "tetrarch.enclave"

MUTANTS = tuple(
    Mutant(name, "sealing", old, new)
    for name, old, new in (
        ("kinds are alike", "derivation.kind is not kind", "False"),
        ("any secret is tried", "not hmac.compare_digest(check, _check(key))", "False"),
        ("seals of any place", "body, header + bound_to)", "body, header)"),
        ("any length", "len(sealed) < _HEADER.size", "False"),
        ("no work", "1 <= passes <= _PASSES_MAX", "passes <= _PASSES_MAX"),
        ("work without end", "1 <= passes <= _PASSES_MAX", "1 <= passes"),
        ("lanes without end", "1 <= lanes <= _LANES_MAX", "1 <= lanes"),
        ("little memory", "8 * lanes <= memory_kib <=", "memory_kib <="),
        ("nonce is the same", "nonce = self._entropy(32)", "nonce = bytes(32)"),
        ("one key for all texts", 'nonce, _INFO + b"text"', 'None, _INFO + b"text"'),
        ("key file without salt", 'd.salt, _INFO + b"file"', 'None, _INFO + b"file"'),
        ("salt is the same", "        entropy(16),", "        bytes(16),"),
        ("one pass", "PASSES, MEMORY_KIB, LANES = 3,", "PASSES, MEMORY_KIB, LANES = 1,"),
        ("a megabyte", "PASSES, MEMORY_KIB, LANES = 3, 64 << 10", "PASSES, MEMORY_KIB, LANES = 3, 1 << 10"),
        ("check shows the key", 'HKDF(SHA256(), 16, None, _INFO + b"check").derive(key)', "bytes(16)"),
    )
)  # fmt: skip


def test_claims_hold_for_the_true_seal() -> None:
    assert_unchanged_holds(PACKAGE, Path(__file__).parent, "sealing")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_killed(mutant: Mutant) -> None:
    assert_killed(PACKAGE, Path(__file__).parent, mutant)
