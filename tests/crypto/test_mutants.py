"""Each mutant of a pure module fails an explicit claim of that module's tests."""

from pathlib import Path

import pytest
from tests.mutants import Mutant, assert_killed, assert_unchanged_holds

PACKAGE = "tetrarch.crypto"
MUTANTS = (
    Mutant(
        "not verified",
        "ed25519",
        "outcome.append(_verifies(key, message, signature))",
        "outcome.append(True)",
    ),
    Mutant("without the message", "ed25519", "sha256(key + signature + message)", "sha256(key)"),
    Mutant("a key's size", "ed25519", "len(key) != KEY_SIZE_BYTES or ", ""),
    Mutant("a signature's size", "ed25519", " or len(signature) != SIGNATURE_SIZE_BYTES", ""),
)


def test_claims_hold_for_the_true_rules() -> None:
    assert_unchanged_holds(PACKAGE, Path(__file__).parent, "ed25519")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_killed(mutant: Mutant) -> None:
    assert_killed(PACKAGE, Path(__file__).parent, mutant)
