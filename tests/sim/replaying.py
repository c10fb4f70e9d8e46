"""Replays of one seed in processes of their own, as a person would start them."""

import os
import subprocess
import sys


def replayed(*arguments: str, hash_seed: int) -> str:
    """What ``python -m tetrarch.sim`` prints where sets and dicts of bytes have that order."""
    done = subprocess.run(
        [sys.executable, "-m", "tetrarch.sim", *arguments],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
