"""Which of these tests run beside each other, and what becomes of one that had no machine.

In front, and beside each other, two files with whole epochs of which nothing may be missed: a cluster
that goes on takes a quarter of two cores, one that starts all of both for seconds. Then, as one group
beside all others, tests that miss nothing with a node killed, flood one or ask it without end, and those
whose start takes both cores for ten seconds (five processes of another program, which compile
themselves): no two of them at once.

What fails while the host gives the processors to somebody else is run again, and that is said: it
judges the host (``machine_watch``). What fails on a machine that runs has failed.
"""

from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from pytest_timeout import _get_item_settings  # type: ignore[import-untyped]
from tests.conftest import FIGURE
from tests.integration.machine_watch import watched
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

WHOLE_EPOCHS = ("test_client_calls_on_devchain.py", "test_own_signers_on_devchain.py")
ONE_AT_A_TIME = (
    "test_api_fuzz.py",
    "test_cluster_processes.py",
    "test_cluster_on_lodestar.py",
    "test_hostile_peers.py",
    "test_ledger_ten.py",
    "test_lodestar.py",
    "test_remote_signers.py",
)


def group_of(nodeid: str) -> str:
    """Tests of one group run one after the other; most are a group of their own."""
    file = nodeid.partition("::")[0].rpartition("/")[2]
    if file in WHOLE_EPOCHS:
        return file
    return "one at a time" if file in ONE_AT_A_TIME else nodeid


def turn_of(nodeid: str) -> int:
    """Groups begin in this order."""
    group = group_of(nodeid)
    return 0 if group in WHOLE_EPOCHS else 1 if group == "one at a time" else 2


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Groups to whichever worker is free."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def pytest_xdist_make_scheduler(config: Any, log: Any) -> Scheduling | None:
    """For ``--dist loadgroup`` alone, whose own marks get lost with this version of pytest."""
    return Scheduling(config, log) if config.getvalue("dist") == "loadgroup" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In the order of their turns, else as they stand."""
    items.sort(key=lambda item: turn_of(item.nodeid))


RUNS_MAX = 3


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Each test of this folder, once, but for those that had no machine."""
    if item.get_closest_marker("integration") is None:
        return None
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    folder = item.config._tmp_path_factory.mktemp("machine")  # type: ignore[attr-defined]
    for run in range(RUNS_MAX):
        if run:
            _begin_anew(item)
        with watched(folder) as window:
            reports = runtestprotocol(item, log=False, nextitem=nextitem)
        failed = [report for report in reports if report.failed]
        if failed and window.seen.stood_still and run + 1 < RUNS_MAX:
            lost = next((e for e in failed[0].longreprtext.splitlines() if e.startswith("E ")), "")
            told = f"{item.name}: run again, as {window.seen}; it had failed: {lost[1:].strip()}"
            item.user_properties.append((FIGURE, told))
            continue
        for report in reports:
            if report.failed:
                report.sections.append(("machine", str(window.seen)))
            hook.pytest_runtest_logreport(report=report)
        break
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _begin_anew(item: pytest.Item) -> None:
    """With fixtures, and a time limit, of its own."""
    item._initrequest()  # type: ignore[attr-defined]
    hooks = item.config.pluginmanager.hook
    hooks.pytest_timeout_cancel_timer(item=item)
    hooks.pytest_timeout_set_timer(item=item, settings=_get_item_settings(item))
