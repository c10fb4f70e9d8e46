"""Which program an enclave is: a label that two enclaves of one release share.

The process computes it of itself, so it proves nothing against who changed the process; hardware
that measures what it starts does.
"""

import hashlib
import importlib.machinery
import sys
from pathlib import Path

import tetrarch

# Raised when a hole in enclaves of older versions was mended: policies may demand it.
SECURITY_VERSION = 1
_TAG = b"tetrarch enclave measurement v1"
_STANDARD_LIBRARY = sys.stdlib_module_names


def measure() -> bytes:
    """SHA-256 over Python's version, this package's files and native modules of other packages.

    Of the modules that are loaded: call it when all are. Cost: about 40 ms.
    """
    parts = {
        "python": sys.version.encode(),
        **_own_files(),
        **_native_modules(),
    }
    digest = hashlib.sha256(_TAG)
    for name, content in sorted(parts.items()):
        digest.update(hashlib.sha256(name.encode()).digest())
        digest.update(hashlib.sha256(content).digest())
    return digest.digest()


def _own_files() -> dict[str, bytes]:
    folder = Path(tetrarch.__file__).parent
    return {
        f"file {path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in folder.rglob("*.py")
    }


def _native_modules() -> dict[str, bytes]:
    suffixes = tuple(importlib.machinery.EXTENSION_SUFFIXES)
    found = {}
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if path and path.endswith(suffixes) and name.partition(".")[0] not in _STANDARD_LIBRARY:
            found[f"native {name}"] = Path(path).read_bytes()
    return found
