"""The pages about errors and exit codes say what the code does."""

import re
from collections import Counter

from tests.docs_errors import PAGE, error_classes, page

from tetrarch.cli.errors import EXIT_BROKEN_PIPE, EXIT_INTERRUPTED, EXIT_SOFTWARE
from tetrarch.errors import OperatorError

EXIT_CODES = PAGE.with_name("exit-codes.md")


def test_page_lists_every_error():
    assert PAGE.read_text() == page(), "renew it: python -m tests.docs_errors"


def test_codes_are_unique_and_each_class_has_its_own():
    classes = error_classes()
    assert all("code" in vars(error) for error in classes)
    assert [code for code, count in Counter(e.code for e in classes).items() if count > 1] == []
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", error.code) for error in classes)


def test_operator_errors_say_how_to_mend():
    concrete = [
        e for e in error_classes() if issubclass(e, OperatorError) and e is not OperatorError
    ]
    assert [error.code for error in concrete if not error.mend] == []


def test_every_exit_code_is_explained():
    explained = {
        int(code) for code in re.findall(r"^\| (\d+) \|", EXIT_CODES.read_text(), re.MULTILINE)
    }
    used = {e.exit_code for e in error_classes() if issubclass(e, OperatorError)}
    assert used | {0, 1, 2, EXIT_SOFTWARE, EXIT_INTERRUPTED, EXIT_BROKEN_PIPE} == explained
