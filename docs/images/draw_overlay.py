"""Runs 22 nodes of an overlay and takes the picture ``overlay.png`` of one's page: a real run.

Needs Chromium. usage: python docs/images/draw_overlay.py
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

PICTURE = Path(__file__).with_name("overlay.png")
COUNT = 22
FIRST_PORT = 15_100
SHOWN = 3  # whose page it is
BANNED, GONE = COUNT - 2, COUNT - 1
WAIT_S = 180.0
TETRARCH = str(Path(sys.executable).with_name("tetrarch"))


def main() -> None:
    """Start the nodes, ban one, end one, wait until that is seen, and write the picture."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        raise SystemExit("there is no chromium")
    with tempfile.TemporaryDirectory(prefix="tetrarch-picture-") as folder:
        nodes = [start(place, Path(folder)) for place in range(COUNT)]
        try:
            until(lambda: counts()["linked"] == COUNT - 1)
            banned = next(
                each["node"]
                for each in asked("nodes")["nodes"]
                if each["address"].endswith(f":{FIRST_PORT + BANNED}")
            )
            order = [TETRARCH, "peer", "ban", banned, "--reason", "floods us", "--url", url()]
            subprocess.run([*order, "--folder", f"{folder}/{SHOWN}"], check=True)  # noqa: S603
            nodes[GONE].terminate()
            until(lambda: counts()["quarantined"] == 1 and counts()["linked"] == COUNT - 3)
            options = ["--headless=new", "--no-sandbox", "--window-size=1400,840"]
            options += ["--virtual-time-budget=3000", f"--screenshot={PICTURE}"]
            options += [f"--user-data-dir={folder}/browser"]
            subprocess.run([browser, *options, f"{url()}/overlay/"], check=True)  # noqa: S603
        finally:
            for node in nodes:
                node.terminate()
            for node in nodes:
                node.wait()


def start(place: int, folder: Path) -> subprocess.Popen[bytes]:
    """One node, with its monitoring listener; all but the first trust the first."""
    command = [TETRARCH, "overlay", "node", "--listen", f"127.0.0.1:{FIRST_PORT + place}"]
    command += ["--folder", f"{folder}/{place}", "--private-addresses", "--round-s", "2"]
    command += ["--monitoring-port", str(monitoring_port(place))]
    if place:
        command += ["--trusted", f"127.0.0.1:{FIRST_PORT}"]
    if place == 1:
        command += ["--block-every-s", "4"]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: S603


def monitoring_port(place: int) -> int:
    """Where a node's page is."""
    return FIRST_PORT + 100 + place


def url() -> str:
    """Of the node that is shown."""
    return f"http://127.0.0.1:{monitoring_port(SHOWN)}"


def asked(view: str) -> Any:
    """What the node that is shown tells."""
    with urlopen(f"{url()}/overlay/{view}") as answer:
        return json.load(answer)


def counts() -> dict[str, int]:
    """How many nodes it knows, by what it thinks of them."""
    told: dict[str, int] = asked("graph")["counts"]
    return told


def until(condition: Callable[[], bool]) -> None:
    """Wait for ``condition``, which may find nobody listening yet."""
    end_s = time.monotonic() + WAIT_S
    while time.monotonic() < end_s:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.5)
    raise SystemExit("the nodes did not get there")


if __name__ == "__main__":
    main()
