"""The document tells all that is served, and only that, in valid OpenAPI."""

from typing import Any, cast

import pytest
from tests.leadership.leading_world import World, leading, run

from tetrarch.api.ledger_controls import ledger_controls
from tetrarch.api.ledger_drawing import LedgerDrawing
from tetrarch.api.ledger_events import LedgerEvents
from tetrarch.api.ledger_openapi import ABOUT, PATH, ledger_openapi
from tetrarch.api.ledger_reference import ReferenceApi
from tetrarch.api.ledger_views import LedgerView

METHODS = {"get", "post", "delete"}


def document_of(world: World) -> tuple[set[str], dict[str, Any]]:
    keys = world.leadership._ports.keys
    view = LedgerView(world.chain, world.leadership, world.clock, voter=keys.voter)
    none = cast("Any", None)
    reference = ReferenceApi(view, world, peers=none, stop=none)
    views = [*view.views(), *reference.views(), *LedgerDrawing(view).views(), PATH]
    streams = LedgerEvents(world.chain, world.clock).streams()
    controls = ledger_controls(view, world, keys) | reference.controls()
    served = {*views, *streams, *(f"{each.method} {path}" for path, each in controls.items())}
    return served, ledger_openapi(views, streams, controls)


def test_all_that_is_served_is_told_and_nothing_else() -> None:
    async def main() -> None:
        async with leading() as world:
            served, document = document_of(world)
            assert served == set(ABOUT)
            told = sum(len(METHODS & each.keys()) for each in document["paths"].values())
            assert told == len(served)
            with pytest.raises(KeyError):
                ledger_openapi(["another/path"], (), {})

    run(main)


def test_each_operation_says_what_it_takes_and_what_can_go_wrong() -> None:
    async def main() -> None:
        async with leading() as world:
            _, document = document_of(world)
            schemas = document["components"]["schemas"]
            for path, methods in document["paths"].items():
                for method, operation in methods.items():
                    assert operation["summary"]
                    assert "200" in operation["responses"]
                    named = {each["name"] for each in operation.get("parameters", ())}
                    assert {part[1:-1] for part in path.split("/") if part[:1] == "{"} <= named
                    if method != "get":
                        assert operation["security"] == [{"token": []}]
                        assert "401" in operation["responses"]
                    for media in operation.get("requestBody", {}).get("content", {}).values():
                        reference = media.get("schema", {}).get("$ref")
                        assert reference is None or reference.rpartition("/")[2] in schemas
            message = document["paths"]["/api/v0/message"]["post"]["requestBody"]["content"]
            assert message == {"application/octet-stream": {}}

    run(main)
