"""The table of endpoints: consistent in itself, and the same in the documentation."""

import re

from tests.vectors_path import ROOT

from tetrarch.validator_api.routes import ROUTES


def test_routes_are_unique_and_gets_have_no_body() -> None:
    keys = [(route.method, route.path) for route in ROUTES]
    assert len(keys) == len(set(keys))
    assert all(route.body_max == 0 for route in ROUTES if route.method == "GET")
    assert all(route.body_max > 0 for route in ROUTES if route.method == "POST")


def test_documentation_lists_exactly_the_routes() -> None:
    text = (ROOT / "docs/reference/validator-api.md").read_text()
    documented = re.findall(r"^\| (GET|POST) `(/[^`]+)` \|", text, re.MULTILINE)
    assert documented == [(route.method, route.path) for route in ROUTES]
