"""Chains for tests and measurements: keys, a first block, and nodes as processes."""

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.integration.processes import Command, answers, get_json, run_tetrarch, wait_for
from tests.ports import free_ports


class LedgerProcess(Command):
    """``tetrarch ledger node``."""

    def __init__(
        self, name: str, folder: Path, *options: object, trusted: int | None = None
    ) -> None:
        self.port, self.monitoring_port = free_ports(2)
        self.folder = folder / name
        self.url = f"http://127.0.0.1:{self.monitoring_port}"
        arguments = ["ledger", "node", self.folder, "--genesis", folder / "block0"]
        arguments += ["--listen", f"127.0.0.1:{self.port}", "--private-addresses"]
        arguments += ["--round-s", "1", "--monitoring-port", self.monitoring_port, *options]
        if trusted is not None:
            arguments += ["--trusted", f"127.0.0.1:{trusted}"]
        super().__init__(name, arguments, folder)

    def wait_alive(self) -> None:
        wait_for(f"{self.name} answers", lambda: answers(f"{self.url}/livez"))

    def status(self) -> dict[str, Any]:
        return get_json(f"{self.url}/ledger/status")

    def final_height(self) -> int:
        height: int = self.status()["final"]["height"]
        return height

    def logs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = get_json(f"{self.url}/leadership/logs")  # type: ignore[assignment]
        return found

    def block(self, block: str) -> dict[str, Any]:
        return get_json(f"{self.url}/ledger/block?id={block}")


def account(key_file: Path) -> str:
    ended = run_tetrarch("ledger", "account", key_file)
    assert ended.exit_code == 0, ended.stderr
    return ended.stdout.strip()


def members_chain(
    folder: Path,
    nodes: int,
    *,
    start_in_s: float,
    parameters: Mapping[str, object],
    shared: Collection[int] = (),
    grants: Mapping[str, int] | None = None,
) -> float:
    """Leaders in turn, who also vote, and the first block; when the chain begins. ``shared``: whose keys may have copies."""

    def keys(number: int) -> dict[str, Any]:
        more = ["--shared"] if number in shared else []
        return _told("ledger", "keys", folder / f"node{number}", "--add-leader", *more)

    found = _of_all(keys, nodes)
    lines = [
        f"leaders = {json.dumps([each['leaders'][0]['key'] for each in found])}",
        f"members = {json.dumps([each['voter'] for each in found])}",
        *_parameters(parameters),
    ]
    for name, value in (grants or {}).items():
        lines += ["[[grants]]", f'account = "{name}"', f"value = {value}"]
    return _first_block(folder, lines, start_in_s=start_in_s)


def elected_chain(
    folder: Path,
    members: Sequence[str],
    configuration: Path,
    *,
    start_in_s: float,
    parameters: Mapping[str, object],
) -> float:
    """A leader for each member of an election, who also votes, and the first block; when the chain begins."""

    def keys(number: int) -> dict[str, Any]:
        return _told("ledger", "keys", folder / f"node{number}", "--add-leader")

    found = _of_all(keys, len(members))
    lines = [
        f"members = {json.dumps([each['voter'] for each in found])}",
        f"election = {json.dumps(str(configuration.relative_to(folder)))}",
        *_parameters({"mode": "elected", **parameters}),
        "[elected]",
    ]
    for member, told in zip(members, found, strict=True):
        lines.append(f'"{member}" = "{told["leaders"][0]["key"]}"')
    return _first_block(folder, lines, start_in_s=start_in_s)


def pools_chain(
    folder: Path, nodes: int, *, start_in_s: float, parameters: Mapping[str, object]
) -> float:
    """Pools with some more stake each, and the first block; when the chain begins."""

    def keys(number: int) -> tuple[str, dict[str, Any]]:
        operator = account(folder / f"operator{number}")
        return operator, _told("ledger", "keys", folder / f"node{number}", "--add-pool", operator)

    lines = _parameters({"mode": "praos", **parameters})
    for number, (operator, told) in enumerate(_of_all(keys, nodes)):
        (leader,) = told["leaders"]
        lines += [
            "[[grants]]",
            f'account = "{operator}"',
            f"value = {1000 + 100 * number}",
            f'pool = "{leader["pool"]}"',
            "[[pools]]",
            f'operator = "{operator}"',
            f'vrf_key = "{leader["vrf_key"]}"',
            f'kes_key = "{leader["kes_key"]}"',
            f'vote_key = "{told["voter"]}"',
        ]
    return _first_block(folder, lines, start_in_s=start_in_s)


def _of_all(made: Callable[[int], Any], nodes: int) -> list[Any]:
    with ThreadPoolExecutor(2) as both_cores:
        return list(both_cores.map(made, range(nodes)))


def _told(*arguments: object) -> dict[str, Any]:
    ended = run_tetrarch(*arguments, "--json")
    assert ended.exit_code == 0, ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


def _parameters(given: Mapping[str, object]) -> list[str]:
    """As TOML: of numbers, texts and tables of these."""
    return ["[parameters]", *(f"{name} = {_value(value)}" for name, value in given.items())]


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} = {_value(each)}" for name, each in value.items()) + "}"
    return json.dumps(value)


def _first_block(folder: Path, lines: list[str], *, start_in_s: float) -> float:
    start_s = int(time.time() + start_in_s) + 1
    start = datetime.fromtimestamp(start_s, UTC).isoformat().replace("+00:00", "Z")
    text = [f'name = "{folder.name}"', f"start = {start}", *lines]
    (folder / "genesis.toml").write_text("\n".join(text))
    _told("ledger", "genesis", folder / "genesis.toml", "--out", folder / "block0")
    return float(start_s)
