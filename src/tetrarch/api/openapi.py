"""A listener's views, streams and controls as an OpenAPI 3.1 document, from what is served and a line about each."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from tetrarch import __version__
from tetrarch.observability.controls import Control

SCHEMAS: Final = "#/components/schemas/{name}"
_FAULT: Final = {
    "type": "object",
    "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
    "required": ["code", "message"],
}


@dataclass(frozen=True, slots=True)
class About:
    """What a path gives or does; what may be asked with it, by name; ``media``: of its answer."""

    summary: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    media: str = "application/json"


def document(
    title: str,
    *,
    views: Iterable[str],
    streams: Iterable[str],
    controls: Mapping[str, Control[Any]],
    about: Mapping[str, About],
) -> dict[str, Any]:
    """All of it. A path that ``about`` says nothing of is a KeyError: nothing is served that is not told."""
    paths: dict[str, dict[str, Any]] = {}
    for path in (*views, *streams):
        paths.setdefault(f"/{path}", {})["get"] = _asked(path, about[path])
    asked = [each.asked for each in controls.values() if each.asked is not bytes]
    _, schemas = msgspec.json.schema_components(asked, ref_template=SCHEMAS)
    for path, control in controls.items():
        key = f"{control.method} {path}"
        paths.setdefault(f"/{path}", {})[control.method.lower()] = _done(path, control, about[key])
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": __version__},
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Fault": _FAULT},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _asked(path: str, about: About) -> dict[str, Any]:
    found: dict[str, Any] = {
        "summary": about.summary,
        "responses": {
            "200": {"description": about.summary, "content": {about.media: {}}},
            "400": _fault("what is asked is none"),
        },
    }
    if "{" in path:
        found["responses"]["404"] = _fault("it is not here")
    parameters = _in_path(path) + [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
        for name, text in about.parameters.items()
        if f"{{{name}}}" not in path
    ]
    return {**found, "parameters": parameters} if parameters else found


def _done(path: str, control: Control[Any], about: About) -> dict[str, Any]:
    found: dict[str, Any] = {
        "summary": about.summary,
        "security": [{"token": []}],
        "responses": {
            "200": {"description": "it is done", "content": {about.media: {}}},
            "400": _fault("the body is none, or it cannot be done"),
            "401": _fault("without the token of the node's folder"),
            "403": _fault("a page in a browser asks"),
            "415": _fault("another content type"),
            "503": _fault("it could not be written down"),
        },
    }
    media = control.media_in(path)
    if media is None:
        return {**found, "parameters": _in_path(path)}
    schema: dict[str, Any] = {}
    if control.asked is not bytes:
        schema = {"schema": {"$ref": SCHEMAS.format(name=control.asked.__name__)}}
    return {**found, "requestBody": {"required": True, "content": {media: schema}}}


def _in_path(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _fault(text: str) -> dict[str, Any]:
    schema = {"$ref": SCHEMAS.format(name="Fault")}
    return {"description": text, "content": {"application/json": {"schema": schema}}}
