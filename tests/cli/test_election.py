"""``tetrarch election`` as a new user would try it: two processes, one leader, a proof."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ports import free_ports

TETRARCH = (sys.executable, "-m", "tetrarch", "election")


def command(
    *arguments: str, cwd: Path | None = None, typed: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (*TETRARCH, *arguments),
        cwd=cwd,
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def two(tmp_path: Path) -> Iterator[list["subprocess.Popen[str]"]]:
    ports = free_ports(2)
    running = [
        subprocess.Popen(
            (*TETRARCH, "node", "-p", str(own), "-n", str(other), "--folder", f"node{own}"),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for own, other in (ports, reversed(ports))
    ]
    yield running
    for process in running:
        process.kill()
        process.communicate()


def test_two_nodes_elect_the_same_leader_and_prove_it(
    two: list["subprocess.Popen[str]"], tmp_path: Path
) -> None:
    lines = [process.stdout.readline() for process in two if process.stdout is not None]
    first, second = (json.loads(line) for line in lines)
    assert first == second
    assert first["leader"] == min(first["members"])
    assert first["term"] >= 1
    certificate = tmp_path / "leader.json"
    certificate.write_text(lines[0])
    configuration = str(next(tmp_path.glob("node*/election.json")))

    told = command("verify", str(certificate), "-c", configuration)
    assert told.returncode == 0
    assert (
        told.stdout == f"{first['leader']} leads in term {first['term']}: "
        "2 of 2 members signed, 2 needed\n"
    )
    told = command("verify", "-", "-c", configuration, "--json", typed=lines[0])
    assert json.loads(told.stdout)["proven"] is True

    forged = lines[0].replace('"term": ', '"term": 1')
    told = command("verify", "-", "-c", configuration, typed=forged)
    assert told.returncode == 1
    assert "false signature" in told.stdout
    told = command("verify", "-", "-c", configuration, "--json", typed="{}")
    assert json.loads(told.stdout)["proven"] is False

    for process in two:
        process.send_signal(signal.SIGTERM)
    for process in two:
        _, logs = process.communicate(timeout=30)
        assert process.returncode == 0, logs
        assert "election_begun" in logs
        assert "Traceback" not in logs


def test_wrong_words_have_one_line_and_a_code(tmp_path: Path) -> None:
    one, other = (str(port) for port in free_ports(2))
    told = command("node", "-p", one, "-n", one, cwd=tmp_path)
    assert (told.returncode, told.stdout) == (78, "")
    assert "named twice" in told.stderr
    told = command("node", "-p", one, "-n", "nowhere:x", cwd=tmp_path)
    assert told.returncode == 78
    told = command("node", "-p", one, "-n", other, "--passphrase-file", "none", cwd=tmp_path)
    assert told.returncode == 66
    assert "mode 0600" in told.stderr
    told = command("node", "-p", one, "-n", other, "--tpm", "none", cwd=tmp_path)
    assert (told.returncode, "tpm_missing" in told.stderr) == (69, True)
    told = command("node", "-p", one, "-n", other, "--tpm-counter", cwd=tmp_path)
    assert (told.returncode, "needs --tpm" in told.stderr) == (78, True)
    told = command("verify", "none", "-c", "none", cwd=tmp_path)
    assert told.returncode == 66
    (tmp_path / "noise").write_bytes(b"\xff\xfe")
    told = command("verify", "noise", "-c", "noise", cwd=tmp_path)
    assert told.returncode == 78
    assert len(told.stderr.strip().splitlines()) == 1
