"""Makes ``*_pb2.py`` and ``*_pb2.pyi`` from the ``.proto`` files: ``python -m tests.protos``."""

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "src"
FOLDER = SOURCE / "tetrarch" / "network" / "proto"


def make_protos(into: Path) -> None:
    """Below ``into``, with the package's folders."""
    command = [
        *(sys.executable, "-m", "grpc_tools.protoc"),
        *(f"-I{SOURCE}", f"--python_out={into}", f"--pyi_out={into}"),
        *map(str, sorted(FOLDER.glob("*.proto"))),
    ]
    subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    make_protos(SOURCE)
