"""Pages for a person's browser: one file each, with all that it needs in it, and a policy that says so."""

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

_INLINE = re.compile(rb"<(style|script)>(.*?)</\1>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Page:
    """``html`` and what the browser may do with it."""

    html: bytes
    policy: str


def self_contained(html: bytes) -> Page:
    """A page that runs its own inline styles and scripts, asks its own listener, and nothing else.

    Whatever else may find its way into it is not run: each part is allowed by its hash.
    """
    allowed: dict[str, list[str]] = {"style": [], "script": []}
    for kind, content in _INLINE.findall(html):
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        allowed[kind.decode()].append(f"'sha256-{digest}'")
    rules = {
        "default-src": "'none'",
        "style-src": " ".join(allowed["style"]) or "'none'",
        "script-src": " ".join(allowed["script"]) or "'none'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return Page(html, "; ".join(f"{name} {value}" for name, value in rules.items()))


def add_pages(app: web.Application, pages: Mapping[str, Page]) -> None:
    """Serve ``pages`` by their paths; where one ends with a slash, the path without it leads there."""
    for path, page in pages.items():
        app.router.add_get(f"/{path}", _serve(page))
        if path.endswith("/"):
            app.router.add_get(f"/{path.rstrip('/')}", _lead_to(f"/{path}"))


def _serve(page: Page) -> Callable[[web.Request], Awaitable[web.Response]]:
    headers = {
        "Content-Security-Policy": page.policy,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-cache",
    }

    async def serve(_request: web.Request) -> web.Response:
        return web.Response(
            body=page.html, content_type="text/html", charset="utf-8", headers=headers
        )

    return serve


def _lead_to(path: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def lead(_request: web.Request) -> web.Response:
        raise web.HTTPFound(path)

    return lead
