"""``python -m tetrarch.enclave``: started by the node, never by a person."""

from tetrarch.clock import SystemClock
from tetrarch.enclave.process import run

run(SystemClock())
