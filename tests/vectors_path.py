"""Where the official test vectors lie, and the loud skip when they are not there."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def vectors(name: str) -> Path:
    """Return the vector folder ``name``; skip the calling test loudly when it is absent."""
    base = Path(os.environ.get("TETRARCH_VECTORS", ROOT.parent / "shared" / "vectors"))
    folder = base / name
    if not folder.exists():
        pytest.skip(
            f"OFFICIAL VECTORS NOT RUN: {name} not found below {base}; set TETRARCH_VECTORS",
            allow_module_level=True,
        )
    return folder
