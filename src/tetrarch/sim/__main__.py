"""``python -m tetrarch.sim --seed 17 --show`` replays one seed, one line per event."""

import argparse
import sys

from tetrarch.sim.qbft_world import draw, run_seed
from tetrarch.sim.seeds import uses_real_crypto


def main() -> None:
    """Parse, run, print the outcome; a broken rule ends it with a traceback and its notes."""
    parser = argparse.ArgumentParser(prog="python -m tetrarch.sim", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--show", action="store_true", help="print every event")
    arguments = parser.parse_args()
    real = uses_real_crypto(arguments.seed)
    _write(str(draw(arguments.seed)))
    _write(str(run_seed(arguments.seed, real_crypto=real, show=_write if arguments.show else None)))


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
