"""Each of these broken rules must fail at least one explicit claim: a survivor is a hole in the tests."""

from pathlib import Path

import pytest
from tests.mutants import Mutant, assert_killed, assert_unchanged_holds

PACKAGE = "tetrarch.network.overlay.reference"
H, C, P = "handshakes", "carrier", "answers"

MUTANTS = (
    Mutant(
        "a nonce twice",
        H,
        "return self._nonces.pop(caller, None)",
        "return self._nonces.get(caller)",
    ),
    Mutant(
        "who begins anew is still somebody",
        H,
        "        self._nodes.pop(caller, None)\n        self._nonces.pop(caller, None)\n        self._nonces[caller]",
        "        self._nonces.pop(caller, None)\n        self._nonces[caller]",
    ),
    Mutant("open without end", H, "if len(self._nonces) > OPEN_MAX:", "if False:"),
    Mutant("proven without end", H, "if len(self._nodes) > PROVEN_MAX:", "if False:"),
    Mutant("the used go first", H, "self._nodes.move_to_end(caller)", "pass"),
    Mutant(
        "fragments are blocks",
        C,
        "                for item in ids.items:\n                    (self.headers if ids.topic == BLOCKS else self.fragments).put(item)",
        "                for item in ids.items:\n                    self.headers.put(item)",
    ),
    Mutant("fragments are asked for", C, "if ids.topic == BLOCKS:", "if True:"),
    Mutant("all are told of", C, "if is_of_use(profile):", "if True:"),
    Mutant("nothing is told", C, "        if told:\n", "        if True:\n"),
    Mutant("no queue ends", C, "if len(self._items) >= self._size:", "if False:"),
    Mutant(
        "the newest go",
        C,
        "            self._items.popleft()\n            self._on_drop()",
        "            self._items.pop()\n            self._on_drop()",
    ),
    Mutant("an orphan is asked for", C, "if self._chain.has(BLOCKS, summary.parent):", "if True:"),
    Mutant("no chain is a chain", C, "if ids and summary.parent != ids[-1]:", "if False:"),
    Mutant("own is another's", C, "if record != own)", "if True)"),
    Mutant("gossip without end", C, "[: PROFILES_MAX - 1]", ""),
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_killed(mutant: Mutant) -> None:
    assert_killed(PACKAGE, Path(__file__).parent, mutant)


@pytest.mark.parametrize("module", sorted({mutant.module for mutant in MUTANTS}))
def test_unchanged_rules_hold(module: str) -> None:
    assert_unchanged_holds(PACKAGE, Path(__file__).parent, module)
