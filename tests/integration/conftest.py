"""Which of these tests must not run beside each other.

Tests that miss nothing, for minutes or with a node killed, and those whose start takes both cores
for ten seconds (five processes of another program, which compile themselves): no two of them run at
once. They go to one worker and begin, being together half of all.
"""

from typing import Any

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

ONE_AT_A_TIME = (
    "test_client_calls_on_devchain.py",
    "test_cluster_processes.py",
    "test_cluster_on_lodestar.py",
    "test_lodestar.py",
    "test_own_signers_on_devchain.py",
)


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Tests one by one to whichever worker is free; those above as one."""

    def _split_scope(self, nodeid: str) -> str:
        one_at_a_time = nodeid.partition("::")[0].endswith(ONE_AT_A_TIME)
        return "one at a time" if one_at_a_time else nodeid


def pytest_xdist_make_scheduler(config: Any, log: Any) -> Scheduling | None:
    """For ``--dist loadgroup`` alone, whose own marks get lost with this version of pytest."""
    return Scheduling(config, log) if config.getvalue("dist") == "loadgroup" else None
