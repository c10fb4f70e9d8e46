"""A page runs what it was written with, and nothing that found its way into it."""

import asyncio
import base64
import hashlib

import aiohttp

from tetrarch.observability.logs import SilentLog
from tetrarch.observability.metrics import Metrics
from tetrarch.observability.monitoring import Monitoring
from tetrarch.observability.pages import self_contained

STYLE, SCRIPT = b"p { color: red }", b'"use strict";\nrun();\n'
HTML = b"<html><style>" + STYLE + b"</style><p>text</p><script>" + SCRIPT + b"</script></html>"


def source(content: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}'"


def test_only_its_own_parts_are_allowed() -> None:
    rules = dict(rule.split(" ", 1) for rule in self_contained(HTML).policy.split("; "))
    assert rules.pop("style-src") == source(STYLE)
    assert rules.pop("script-src") == source(SCRIPT)
    assert rules.pop("connect-src") == "'self'"
    assert set(rules) == {"default-src", "base-uri", "form-action", "frame-ancestors"}
    assert set(rules.values()) == {"'none'"}


def test_a_page_without_parts_allows_none() -> None:
    policy = self_contained(b"<p>text</p>").policy
    assert "style-src 'none'" in policy
    assert "script-src 'none'" in policy


def test_it_is_served_with_its_policy() -> None:
    async def main() -> None:
        page = self_contained(HTML)
        monitoring = Monitoring(
            host="127.0.0.1",
            port=0,
            metrics=Metrics(),
            reasons=lambda: (),
            pages={"part/": page},
            log=SilentLog(),
        )
        async with asyncio.TaskGroup() as group, aiohttp.ClientSession() as session:
            task = group.create_task(monitoring.run())
            await monitoring.listening.wait()
            url = f"http://127.0.0.1:{monitoring.bound_port}/part"
            async with session.get(url) as answer:  # led to the one with the slash
                assert (answer.status, answer.url.path) == (200, "/part/")
                assert await answer.read() == HTML
                assert answer.content_type == "text/html"
                assert answer.headers["Content-Security-Policy"] == page.policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
            task.cancel()

    asyncio.run(main())
