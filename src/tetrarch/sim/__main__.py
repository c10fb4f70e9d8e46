"""``python -m tetrarch.sim --seed 17 --show`` replays one seed, one line per event.

QBFT alone, or with ``--workflow`` whole nodes.
"""

import argparse
import sys

from tetrarch.sim import qbft_world, workflow_profile, workflow_world
from tetrarch.sim.seeds import uses_real_crypto


def main() -> None:
    """Parse, run, print the outcome; a broken rule ends it with a traceback and its notes."""
    parser = argparse.ArgumentParser(prog="python -m tetrarch.sim", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--workflow", action="store_true", help="whole nodes, not QBFT alone")
    parser.add_argument("--show", action="store_true", help="print every event")
    arguments = parser.parse_args()
    seed, show = arguments.seed, _write if arguments.show else None
    real = uses_real_crypto(seed)
    if arguments.workflow:
        _write(str(workflow_profile.draw(seed)))
        _write(str(workflow_world.run_seed(seed, real_crypto=real, show=show)))
    else:
        _write(str(qbft_world.draw(seed)))
        _write(str(qbft_world.run_seed(seed, real_crypto=real, show=show)))


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
