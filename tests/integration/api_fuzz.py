"""Requests drawn from the beacon API's description, and the judgement of their answers.

schemathesis draws valid and invalid requests for every endpoint. Drawn numbers seldom name
anything that exists, so half of the requests get slots, epochs and identifiers of the running chain
in their place. Bodies that are too large to be drawn (blobs) are made from a real block.

An answer is right if it is what the description says, or an error body that says itself why;
``503`` is an answer (it cannot now), any other ``5xx`` is a bug of the server.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import urlsplit

import hypothesis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis.errors import InvalidArgument, Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from tests.openapi import ROOT_FILE, BeaconApi
from tests.vectors_path import vectors

TIMEOUT_S = 30
LINE_SIZE_MAX = 1 << 16
ENDLESS = {"GET /eth/v1/events"}  # an answer without end: it has a test of its own
SERVED_STATUS = {503}
BODIES_MADE = ("POST /eth/v2/beacon/blocks", "POST /eth/v2/beacon/blinded_blocks")


@dataclass(slots=True)
class Target:
    """A server; ``faults`` holds what was wrong in its answers, ``statuses`` what came."""

    url: str
    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Fuzz:
    """``run`` sends everything to each target: drawing costs more than any answer."""

    targets: tuple[Target, ...]
    slot: Callable[[], int]
    slots_per_epoch: int
    pubkeys: tuple[str, ...]
    examples: int
    undrawn: set[str] = field(default_factory=set)  # no body of theirs can be drawn
    _rng: Random = field(default_factory=lambda: Random(1))
    _api: BeaconApi = field(default_factory=BeaconApi)
    _session: requests.Session = field(default_factory=requests.Session)

    def run(self) -> None:
        schema = schemathesis.openapi.from_path(str(vectors("beacon-api") / ROOT_FILE))
        for found in schema.get_all_operations():
            assert isinstance(found, Ok), found
            operation = found.ok()
            if operation.label not in ENDLESS:
                for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                    self._run_operation(operation, mode)
        for label in BODIES_MADE:
            self._run_made(label)
        self._session.close()

    def _run_operation(self, operation: Any, mode: GenerationMode) -> None:
        @hypothesis.settings(
            max_examples=self.examples,
            database=None,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def send(case: Any) -> None:
            if self._rng.random() < 0.5:
                self._make_plausible(case)
            for target in self.targets:
                answer = case.call(base_url=target.url, session=self._session, timeout=TIMEOUT_S)
                self._judge(target, operation.label, answer)

        try:
            send()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE, operation.label  # nothing can be wrong in it
        except InvalidArgument:  # a body of some 100 kB at least
            self.undrawn.add(operation.label)

    def _make_plausible(self, case: Any) -> None:
        slot = max(self.slot() + self._rng.randint(-10, 2), 0)
        values: dict[str, list[str]] = {
            "slot": [str(slot)],
            "epoch": [str(slot // self.slots_per_epoch)],
            "state_id": ["head", "genesis", "finalized", "justified", str(slot)],
            "block_id": ["head", "genesis", "finalized", str(slot)],
            "validator_id": [*self.pubkeys, "0", "3", "999999"],
            "committee_index": ["0", "1"],
            "subcommittee_index": ["0", "3"],
        }
        for given in (case.path_parameters, case.query):
            for name in list(given or ()):
                if name in values and given is not None:
                    given[name] = self._rng.choice(values[name])
        if isinstance(case.body, list) and "/duties/" in case.path:
            case.body = [str(number) for number in range(self._rng.randint(0, 9))]

    def _run_made(self, label: str) -> None:
        """Real blocks with something wrong in them, as JSON and as SSZ."""
        blinded = "blinded" in label
        source = "/eth/v1/beacon/blinded_blocks/head" if blinded else "/eth/v2/beacon/blocks/head"
        read = self._session.get(self.targets[0].url + source, timeout=TIMEOUT_S)
        assert read.status_code == 200, f"{source}: {read.text[:200]}"
        version, signed = read.json()["version"], read.json()["data"]
        whole = signed if blinded else {"signed_block": signed, "kzg_proofs": [], "blobs": []}
        path = label.removeprefix("POST ")
        for body in mutations(whole, self._rng, count=4 * self.examples):
            headers = {
                "Content-Type": self._rng.choice(["application/json"] * 3 + ["text/plain"]),
                "Eth-Consensus-Version": self._rng.choice([version] * 3 + ["phase0", "gloas", "?"]),
            }
            self._post(label, path, headers, json.dumps(body).encode())
        for size in (0, 1, 4, 100, 100_000):
            headers = {
                "Content-Type": "application/octet-stream",
                "Eth-Consensus-Version": version,
            }
            self._post(label, path, headers, self._rng.randbytes(size))

    def _post(self, label: str, path: str, headers: dict[str, str], body: bytes) -> None:
        for target in self.targets:
            url = target.url + path
            answer = self._session.post(url, data=body, headers=headers, timeout=TIMEOUT_S)
            self._judge(target, label, answer)

    def _judge(self, target: Target, label: str, answer: Any) -> None:
        status = answer.status_code
        target.statuses.setdefault(label, Counter())[status] += 1
        request = answer.request
        where = f"{request.method} {request.url} {_short(request.body)} -> {status}"
        if status >= 500 and status not in SERVED_STATUS:
            target.faults.append(f"{where}: {answer.text[:300]}")
            return
        path = urlsplit(request.url).path
        if len(request.url) > LINE_SIZE_MAX:  # refused before it is a request
            return
        headers = {name.title(): _only(value) for name, value in answer.headers.items()}
        try:
            self._api.check_response(
                request.method, path, status=status, headers=headers, body=answer.content
            )
        except AssertionError as error:
            target.faults.append(f"{where}: {str(error)[:300]}")


def mutations(document: Any, rng: Random, *, count: int) -> Iterator[Any]:
    """``document`` with one leaf or branch replaced, ``count`` times."""
    paths = list(_paths(document))
    for _ in range(count):
        changed = deepcopy(document)
        *way, last = rng.choice(paths)
        parent = changed
        for step in way:
            parent = parent[step]
        junk: list[Any] = [
            "",
            "0x",
            "0x00",
            "-1",
            "18446744073709551616",
            None,
            7,
            1.5,
            [],
            {},
            "x" * 1000,
        ]
        if isinstance(parent, dict) and rng.random() < 0.2:
            del parent[last]
        else:
            parent[last] = rng.choice(junk)
        yield changed


def _paths(document: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if way:
        yield way
    pairs: Any = ()
    if isinstance(document, dict):
        pairs = document.items()
    elif isinstance(document, list):
        pairs = enumerate(document[:3])
    for key, value in pairs:
        yield from _paths(value, (*way, key))


def _only(value: str | list[str]) -> str:
    """A header's value; schemathesis lists them, requests does not."""
    return value if isinstance(value, str) else ", ".join(value)


def _short(body: object) -> str:
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    return text[:200]
