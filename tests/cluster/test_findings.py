"""Every finding and error that the code can give stands in the reference page."""

import re
from pathlib import Path

import pytest
from tests.vectors_path import ROOT

import tetrarch.cluster.errors
from tetrarch.cluster.findings import lock_finding
from tetrarch.errors import OperatorError

SOURCE = ROOT / "src" / "tetrarch" / "cluster"
PAGE = (ROOT / "docs" / "reference" / "cluster-files.md").read_text()


def finding_codes() -> set[str]:
    text = "".join(path.read_text() for path in sorted(Path(SOURCE).glob("*.py")))
    found = re.findall(r'_finding\(\s*"([a-z_]+)"', text)
    found += re.findall(r'yield \(?\s*"([a-z_]+)",', text)
    found += re.findall(r'"([a-z_]+_signature_wrong)"', text)
    return set(found)


def test_findings_are_documented():
    codes = finding_codes()
    assert len(codes) > 25
    assert {code for code in codes if f"`{code}`" not in PAGE} == set()


@pytest.mark.parametrize(
    "error",
    [
        each
        for each in vars(tetrarch.cluster.errors).values()
        if isinstance(each, type) and issubclass(each, OperatorError) and each is not OperatorError
    ],
)
def test_errors_are_documented_with_their_exit_code(error):
    line = next(line for line in PAGE.splitlines() if f"`{error.code}`" in line)
    assert f"| {error.exit_code} |" in line
    assert error.mend


def test_text_of_a_finding():
    finding = lock_finding("some_code", "a.b[0]", "is wrong")
    assert str(finding) == "lock a.b[0]: is wrong [some_code]"
