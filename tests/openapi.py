"""Judges requests and answers by the beacon API's OpenAPI description.

``BeaconApi().check_response(...)`` raises ``AssertionError`` with the JSON path of what is wrong.
The description is stricter here than as published: integers must look like integers.
Endpoints that newer descriptions dropped are judged by their successor (``SUCCESSORS``).
"""

import copy
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import jsonschema_rs
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from tests.vectors_path import vectors

ROOT_FILE = "beacon-node-oapi.yaml"
SCHEME = "file:///"
JSON = "application/json"
SSZ = "application/octet-stream"
DECIMAL = "^(0|[1-9][0-9]{0,77})$"
# What a regular expression may repeat before its compiler finds it too large.
LONG_HEX = re.compile(r"\^0x\[a-fA-F0-9\]\{(?:(\d+),)?(\d{4,})\}\$")

# Old endpoints whose bodies are those of a newer one.
SUCCESSORS = {
    ("post", "/eth/v1/beacon/pool/attestations"): "/eth/v2/beacon/pool/attestations",
    ("post", "/eth/v1/beacon/blocks"): "/eth/v2/beacon/blocks",
    ("post", "/eth/v1/beacon/blinded_blocks"): "/eth/v2/beacon/blinded_blocks",
    ("get", "/eth/v2/validator/blocks/{slot}"): "/eth/v3/validator/blocks/{slot}",
}
# A served message before Electra is one object; the successor's header is new with it.
HEADER_OPTIONAL = {("post", "/eth/v1/beacon/pool/attestations"), ("post", "/eth/v1/beacon/blocks")}


class Unknown(AssertionError):
    """The description has no such endpoint, status or content type."""


class BeaconApi:
    """The beacon API's description. Loads files lazily: the first check of a fork is slower."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or vectors("beacon-api")
        self._registry: Registry[Any] = Registry(retrieve=self._retrieve)  # type: ignore[call-arg]  # its attrs fields are not seen
        root = self._load(ROOT_FILE)
        paths = {**root["paths"]}
        for (_method, old), new in SUCCESSORS.items():
            paths.setdefault(old, paths[new])
        # Literal segments win over placeholders.
        self._paths = sorted(
            ((_pattern(template), template, node) for template, node in paths.items()),
            key=lambda entry: entry[1].count("{"),
        )
        self._validators: dict[int, tuple[object, jsonschema_rs.Draft202012Validator]] = {}
        self._old_operations: dict[str, dict[str, Any]] = {}

    def check_response(
        self,
        method: str,
        path: str,
        *,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
    ) -> None:
        """Judge an answer: status, content type, required headers, and the body when JSON."""
        operation, _ = self._operation(method, path)
        where = f"{method.upper()} {path} -> {status}"
        node = self._response(operation, status, where)
        if node is None:
            _require_error_message(where, status, body)
            return
        for name, reference in node.get("headers", {}).items():
            header = self._follow(reference)
            if name not in headers and not header.get("required", False):
                continue
            if name not in headers:
                raise AssertionError(f"{where}: header {name} is missing")
            self._check(where, header["schema"], _header_value(headers[name]))
        content = node.get("content")
        if content is None:
            if body and status < 300 and body != b"null":
                raise Unknown(f"{where}: a body where the API has none: {body[:80]!r}")
            return
        self._check_content(where, content, headers.get("Content-Type", ""), body)

    def check_request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        query: Mapping[str, str] | None = None,
    ) -> None:
        """Judge a request: required query parameters and headers, content type, JSON body."""
        operation, template = self._operation(method, path)
        where = f"{method.upper()} {path}"
        for parameter in operation.get("parameters", []):
            node = self._follow(parameter)
            given: Mapping[str, str] = {}
            if node["in"] == "header" and (method.lower(), template) not in HEADER_OPTIONAL:
                given = headers
            elif node["in"] == "query" and query is not None:
                given = query
            else:
                continue
            if node["name"] in given:
                if node["in"] == "header":
                    self._check(where, node["schema"], given[node["name"]])
            elif node.get("required", False):
                raise AssertionError(f"{where}: {node['in']} {node['name']} is missing")
        if "requestBody" in operation:
            kinds = self._follow(operation["requestBody"])["content"]
            self._check_content(where, kinds, headers.get("Content-Type", ""), body)

    def knows(self, method: str, path: str) -> bool:
        """Whether the description, or ``SUCCESSORS``, has the endpoint."""
        try:
            self._operation(method, path)
        except Unknown:
            return False
        return True

    def _operation(self, method: str, path: str) -> tuple[dict[str, Any], str]:
        path = path.partition("?")[0]
        for pattern, template, reference in self._paths:
            if pattern.fullmatch(path):
                node = self._follow(reference)
                if method.lower() in node:
                    operation = node[method.lower()]
                    if template == "/eth/v2/validator/blocks/{slot}":
                        old = self._old_operations
                        if template not in old:
                            old[template] = _without_v3_extras(operation)
                        operation = old[template]
                    return operation, template
        raise Unknown(f"{method.upper()} {path}: not in the beacon API")

    def _response(
        self, operation: dict[str, Any], status: int, where: str
    ) -> dict[str, Any] | None:
        responses = operation["responses"]
        if str(status) in responses:
            return self._follow(responses[str(status)])
        if status < 400:
            raise Unknown(f"{where}: the API has only {sorted(responses)}")
        return None

    def _check_content(
        self, where: str, kinds: dict[str, Any], content_type: str, body: bytes
    ) -> None:
        kind = content_type.partition(";")[0].strip()
        if kind not in kinds:
            raise Unknown(f"{where}: content type {content_type!r}, the API has {sorted(kinds)}")
        if kind == JSON:
            self._check(where, kinds[kind]["schema"], json.loads(body))

    def _check(self, where: str, schema: dict[str, Any], value: object) -> None:
        """Compiled validators say whether it is right, some hundred times faster; others say why not."""
        if self._validator(schema).is_valid(value):
            return
        validator = Draft202012Validator(schema, registry=self._registry)
        errors = sorted(validator.iter_errors(value), key=lambda e: len(e.path))
        assert errors, f"{where}: two validators contradict each other"
        deepest = _deepest(errors[0])
        raise AssertionError(f"{where}: {deepest.json_path}: {deepest.message[:300]}")

    def _validator(self, schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
        known = self._validators.get(id(schema))
        if known is None:
            registry = jsonschema_rs.Registry(list(self._files_of(schema, {}).items()))
            validator = jsonschema_rs.Draft202012Validator(schema, registry=registry)
            known = self._validators[id(schema)] = (schema, validator)  # kept: its id is its own
        return known[1]

    def _files_of(self, node: object, found: dict[str, Any]) -> dict[str, Any]:
        """Each file that ``node`` refers to, and that those refer to."""
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                uri = node["$ref"].partition("#")[0]
                if uri not in found:
                    found[uri] = self._load(uri)
                    self._files_of(found[uri], found)
            for value in node.values():
                self._files_of(value, found)
        elif isinstance(node, list):
            for value in node:
                self._files_of(value, found)
        return found

    def _follow(self, node: dict[str, Any]) -> dict[str, Any]:
        """Follow ``$ref`` until a node without one."""
        while "$ref" in node:
            target, _, pointer = node["$ref"].partition("#")
            node = self._load(target)
            for part in pointer.split("/")[1:]:
                node = node[part.replace("~1", "/").replace("~0", "~")]
        return node

    def _load(self, uri: str) -> dict[str, Any]:
        return _load_yaml(self._folder, uri.removeprefix(SCHEME))

    def _retrieve(self, uri: str) -> Resource[Any]:
        return Resource.from_contents(self._load(uri), default_specification=DRAFT202012)


@cache
def _load_yaml(folder: Path, name: str) -> dict[str, Any]:
    """The file with every ``$ref`` made absolute (``SCHEME`` and the path below the folder)."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document: dict[str, Any] = yaml.load((folder / name).read_text(), Loader=loader)
    _make_absolute(document, SCHEME + name)
    _bound_by_length(document)
    if name.endswith("primitive.yaml"):
        for integer in ("Uint64", "Uint256"):
            document[integer]["pattern"] = DECIMAL
    return document


def _without_v3_extras(operation: dict[str, Any]) -> dict[str, Any]:
    """Version 2 of block production: version and data, no other members and no headers."""
    old = copy.deepcopy(operation)
    del old["responses"]["200"]["headers"]
    old["responses"]["200"]["content"][JSON]["schema"]["required"] = ["version", "data"]
    return old


def _make_absolute(node: object, base: str) -> None:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            node["$ref"] = urljoin(base, node["$ref"])
        for value in node.values():
            _make_absolute(value, base)
    elif isinstance(node, list):
        for value in node:
            _make_absolute(value, base)


def _bound_by_length(node: object) -> None:
    """The same language, with the length of long hexadecimal strings beside their pattern."""
    if isinstance(node, dict):
        pattern = node.get("pattern")
        if isinstance(pattern, str) and (found := LONG_HEX.fullmatch(pattern)):
            most = int(found[2])
            least = most if found[1] is None else int(found[1])
            node |= {"pattern": "^0x[a-fA-F0-9]*$", "minLength": 2 + least, "maxLength": 2 + most}
        for value in node.values():
            _bound_by_length(value)
    elif isinstance(node, list):
        for value in node:
            _bound_by_length(value)


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(template)))


def _header_value(text: str) -> object:
    return {"true": True, "false": False}.get(text, text)


def _require_error_message(where: str, status: int, body: bytes) -> None:
    try:
        value = json.loads(body)
    except ValueError:
        raise AssertionError(f"{where}: the error body is not JSON: {body[:120]!r}") from None
    if not isinstance(value, dict) or value.get("code") != status:
        raise AssertionError(f"{where}: the error body has another code: {value}")
    if not isinstance(value.get("message"), str) or not value["message"]:
        raise AssertionError(f"{where}: the error body has no message: {value}")


def _deepest(error: Any) -> Any:
    """Of alternatives that all failed, the failure that got furthest into the value."""
    while error.context:
        error = max(error.context, key=lambda sub: len(sub.absolute_path))
    return error
