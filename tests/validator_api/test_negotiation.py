"""Which media type is chosen."""

import pytest

from tetrarch.validator_api.negotiation import JSON, SSZ, choose, media_type

BOTH = (JSON, SSZ)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (SSZ, SSZ),
        ("application/octet-stream;q=1,application/json;q=0.9", SSZ),
        ("application/json;q=0.9, application/octet-stream", SSZ),
        ("application/octet-stream;q=0.5, application/json;q=0.9", JSON),
        ("application/octet-stream, application/json", SSZ),
        ("application/json, application/octet-stream", JSON),
        ("application/octet-stream, */*;q=0.1", SSZ),
        ("application/json;q=0, */*", SSZ),
        ("APPLICATION/OCTET-STREAM ; Q=1", SSZ),
        ("text/html", None),
        ("application/json;q=0", None),
        ("application/octet-stream;q=nonsense", None),
        ("application/octet-stream;q=7", None),
        (",,;", JSON),
    ],
)
def test_choice(accept: str, chosen: str | None) -> None:
    assert choose(accept, BOTH) == chosen


def test_only_what_is_offered() -> None:
    assert choose(SSZ, (JSON,)) is None
    assert choose("application/octet-stream;q=1,application/json;q=0.9", (JSON,)) == JSON


def test_parameters_are_no_part_of_the_type() -> None:
    assert media_type("Application/JSON; charset=utf-8") == JSON
