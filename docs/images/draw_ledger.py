"""Runs a chain of six pools and takes the picture ``ledger.png`` of one node's page: a real run.

Needs Chromium. usage, from the project's folder: python -m docs.images.draw_ledger
"""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tests.integration.ledger_chain import LedgerProcess, pools_chain
from tests.integration.processes import running

PICTURE = Path(__file__).with_name("ledger.png")
NODES = 6
SLOTS = 75
PARAMETERS = {"coefficient_milli": 900, "slots_per_epoch": 60, "slots_per_kes_period": 50}


def main() -> None:
    """Start the nodes, let them make blocks for more than an epoch, and write the picture."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        raise SystemExit("there is no chromium")
    with tempfile.TemporaryDirectory(prefix="tetrarch-picture-") as name:
        folder = Path(name)
        start_s = pools_chain(folder, NODES, start_in_s=25, parameters=PARAMETERS)
        first = LedgerProcess("node0", folder)
        rest = [LedgerProcess(f"node{n}", folder, trusted=first.port) for n in range(1, NODES)]
        with running(first, *rest):
            for node in (first, *rest):
                node.wait_alive()
            time.sleep(max(0.0, start_s + SLOTS - time.time()))
            options = ["--headless=new", "--no-sandbox", "--window-size=1500,900"]
            options += ["--virtual-time-budget=3000", f"--screenshot={PICTURE}"]
            options += [f"--user-data-dir={folder}/browser"]
            subprocess.run([browser, *options, f"{rest[-1].url}/ledger/"], check=True)  # noqa: S603


if __name__ == "__main__":
    main()
