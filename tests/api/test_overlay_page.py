"""The page is whole, asks for what the views tell, and makes no markup of what other nodes say.

How it looks is seen with eyes: docs/images/draw_overlay.py.
"""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import msgspec
from tests.network.overlay.world import nodes_of, until

from tetrarch.api.overlay_graph import overlay_graph
from tetrarch.api.overlay_page import PAGE_PATH, overlay_pages
from tetrarch.api.overlay_views import overlay_views

PAGE = overlay_pages()[PAGE_PATH]
TEXT = PAGE.html.decode()
SCRIPT = TEXT[TEXT.index("<script>") : TEXT.index("</script>")]
SVG_NAMESPACE = "http://www.w3.org/2000/svg"


def test_it_has_all_that_it_needs_in_it() -> None:
    assert re.findall(r"\b(?:https?|wss?|data|blob):[^\s\"']*", TEXT) == [SVG_NAMESPACE]
    assert not re.search(r"<(link|img|iframe|object|embed|base)\b|@import|url\(|\bsrc=", TEXT)
    assert TEXT.count("<script") == TEXT.count("<style") == 1
    assert PAGE.policy.count("sha256-") == 2


def test_what_nodes_say_becomes_text_only() -> None:
    markup = r"innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|createContextual|srcdoc"
    assert not re.search(markup, SCRIPT)
    assert not re.search(r"\beval\b|\bFunction\(|setTimeout\(\s*[\"'`]|javascript:", TEXT)
    assert not re.search(r"<[^>]*\s(on\w+|style)=", TEXT)
    assert not re.search(r"\.(href|src|action)\b", SCRIPT)


def test_it_reads_what_the_views_tell(tmp_path: Path) -> None:
    async def main() -> tuple[Any, Any]:
        one, two, three = nodes_of(tmp_path, 3)
        async with one.running(), two.running(), three.running():
            await until(lambda: len(one.links) == 2)
            await one.overlay.ban(three.node, "for a reason")
            told = overlay_views(one.overlay)["overlay/node"]({"id": two.node.hex()})
            seen = (await overlay_graph(one.overlay), told)
            return tuple(json.loads(msgspec.json.encode(each)) for each in seen)

    graph, told = asyncio.run(main())
    nodes = {key for node in graph["nodes"] for key in node}
    for name, keys in (
        ("graph", graph.keys()),
        ("own", graph["own"].keys() | {"map", "forEach"}),  # also a list of spots
        ("topic", graph["topics"][0].keys()),
        ("node", nodes),
        ("told", told.keys() | {"map"}),  # also a list of pairs
    ):
        read = set(re.findall(rf"(?<![.\w]){name}\.(\w+)", SCRIPT))
        assert read, name
        assert read <= keys, name
    assert set(re.findall(r"fetch\([\"`](\w+)", SCRIPT)) == {"graph", "node"}
