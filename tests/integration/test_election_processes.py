"""Goal: an election as its user runs it holds what it says, with killed leaders and cut networks.

Method: ``tetrarch election node`` as processes, each with its enclave's process; every line that any
of them prints is a certificate that is checked, and no term may have two.
"""

import contextlib
import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.partition import Network
from tests.integration.processes import Command, wait_for
from tests.ports import free_ports

from tetrarch.election.certificates import check_leader
from tetrarch.election.documents import read_certificate, read_configuration

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

Tell = Callable[[object], None]
HOST = "127.0.0.1"


class Member(Command):
    """``tetrarch election node``."""

    def __init__(self, place: int, names: list[int], port: int, folder: Path, *options: str):
        self.name_in_list = f"{HOST}:{names[place]}"
        self.state = folder / f"state{place}"
        arguments: list[object] = ["election", "node", "-p", names[place], *options]
        arguments += ["--listen", f"{HOST}:{port}", "--folder", self.state]
        for other in names:
            if other != names[place]:
                arguments += ["-n", other]
        super().__init__(f"member{place}", arguments, folder)

    @property
    def process_id(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def certificates(self) -> list[dict[str, Any]]:
        whole = self.text.split("\n")[:-1]  # the last line may be half written
        lines = (json.loads(line) for line in whole if line.startswith("{"))
        return [line for line in lines if "signatures" in line]

    def newest(self) -> dict[str, Any]:
        return self.certificates()[-1]


class Election:
    """All members, and the network between them."""

    def __init__(
        self,
        folder: Path,
        count: int,
        *options: str,
        own_options: Callable[[int], tuple[str, ...]] = lambda _: (),
    ) -> None:
        names, ports = sorted(free_ports(count)), free_ports(count)
        # A member's index is its name's place in the sorted list, and texts sort otherwise.
        names.sort(key=str)
        self.members = [
            Member(place, names, ports[place], folder, *options, *own_options(place))
            for place in range(count)
        ]
        self.network = Network(names, ports, lambda place: self.members[place].process_id)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        with self.network.running():
            try:
                for member in self.members:
                    member.start()
                yield
            finally:
                for member in self.members:
                    if member.running:
                        member.send(signal.SIGTERM)
                for member in self.members:
                    member.stop()

    def tails(self) -> str:
        return "\n".join(member.tail() for member in self.members)

    def agreed(self, places: list[int] | range, *, view: list[int] | range, since: int = 0) -> bool:
        """Whether the newest certificates of ``places`` are one, newer than ``since``, of ``view``."""
        told = [self.members[place].certificates()[-1:] for place in places]
        if not all(told):
            return False
        (first, *others) = [lines[0] for lines in told]
        names = sorted(self.members[place].name_in_list for place in view)
        # Which quorum signed it may differ.
        same = all((o["term"], o["leader"]) == (first["term"], first["leader"]) for o in others)
        return same and first["term"] > since and sorted(first["members"]) == names

    def place_of(self, name: str) -> int:
        return [member.name_in_list for member in self.members].index(name)

    def check_all(self) -> int:
        """Every certificate that anybody printed proves its leader; no term has two."""
        leaders: dict[int, str] = {}
        count = 0
        for member in self.members:
            configuration, keys = read_configuration((member.state / "election.json").read_bytes())
            assert all(key is not None for key in keys.raw), "all have met"
            for line in member.certificates():
                certificate = read_certificate(json.dumps(line).encode(), configuration)
                check_leader(certificate, configuration, keys)
                assert leaders.setdefault(line["term"], line["leader"]) == line["leader"]
                count += 1
            assert "Traceback" not in member.text, member.tail(80)
        return count


def until(election: Election, what: str, condition: Callable[[], bool], timeout_s: float) -> float:
    """Wait for ``condition``; how long it took."""
    begun_s = time.monotonic()
    try:
        wait_for(what, condition, timeout_s=timeout_s)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{election.tails()}") from None
    return time.monotonic() - begun_s


def test_ten_elect_one_and_another_when_it_is_killed(tmp_path: Path, tell: Tell) -> None:
    election = Election(tmp_path, 10)
    with election.running():
        everybody = range(10)
        begun_s = until(
            election, "a leader of ten", lambda: election.agreed(everybody, view=everybody), 90
        )
        first = election.members[0].newest()
        killed = election.place_of(first["leader"])
        election.members[killed].kill()
        rest = [place for place in everybody if place != killed]
        replaced_s = until(
            election,
            "another leader",
            lambda: election.agreed(rest, view=rest, since=first["term"]),
            30,
        )
        assert election.members[rest[0]].newest()["leader"] != first["leader"]
        election.members[killed].start()
        back = election.members[rest[0]].newest()["term"]
        back_s = until(
            election,
            "all ten again",
            lambda: election.agreed(everybody, view=everybody, since=back),
            60,
        )
        count = election.check_all()
    tell(
        f"ten began in {begun_s:.1f} s; a killed leader was replaced after {replaced_s:.2f} s;"
        f" whole again {back_s:.2f} s after its start; {count} certificates checked"
    )


@pytest.mark.parametrize("mode", ["crash", "bft"])
def test_seven_in_two_parts_and_whole_again(tmp_path: Path, mode: str, tell: Tell) -> None:
    """Four of seven are a quorum if nobody lies, and none if two may."""
    election = Election(tmp_path, 7, "--mode", mode)
    everybody = range(7)
    with election.running():
        until(election, "a leader of seven", lambda: election.agreed(everybody, view=everybody), 90)
        first = election.members[0].newest()
        leader = election.place_of(first["leader"])
        few = [leader, *[place for place in everybody if place != leader][:2]]
        many = [place for place in everybody if place not in few]
        before = [len(member.certificates()) for member in election.members]
        election.network.cut(few, many)
        cut_s = 0.0
        if mode == "crash":
            cut_s = until(
                election,
                "a leader of four",
                lambda: election.agreed(many, view=many, since=first["term"]),
                30,
            )
        time.sleep(8)  # for whoever would wrongly elect
        silent = few if mode == "crash" else everybody
        after = [len(member.certificates()) for member in election.members]
        assert [after[place] for place in silent] == [before[place] for place in silent], (
            election.tails()
        )
        term = max(member.newest()["term"] for member in election.members)
        election.network.heal()
        whole: list[int] | range = everybody
        if mode == "bft":  # the leader is the one before: only without it there is a new one
            election.members[leader].kill()
            whole = [place for place in everybody if place != leader]
        healed_s = until(
            election,
            "the whole network's leader",
            lambda: election.agreed(whole, view=whole, since=term),
            60,
        )
        count = election.check_all()
    tell(
        f"{mode}: cut in 4 | 3: {f'a leader of four after {cut_s:.2f} s' if cut_s else 'no leader'},"
        f" healed: one view of {len(whole)} after {healed_s:.2f} s; {count} certificates checked"
    )
