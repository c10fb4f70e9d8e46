"""Evaluates the health checks on the node's own metrics, shows them as gauges and as a view."""

import asyncio
from collections.abc import Mapping
from typing import Any

from tetrarch.observability.health import (
    CHECKS,
    LOOKED_AT,
    SAMPLE_S,
    Check,
    History,
    Sample,
)
from tetrarch.observability.logs import Log
from tetrarch.observability.metrics import Metrics

START_S = 60.0


class HealthWatch:
    """``run`` samples every ``SAMPLE_S``; ``view`` is what /health shows."""

    def __init__(self, metrics: Metrics, *, validators: int, peers_needed: int, log: Log) -> None:
        self._metrics = metrics
        self._log = log.bind(topic="health")
        self._history = History(validators=validators, peers_needed=peers_needed)
        self._failing: dict[str, bool] = {}

    async def run(self) -> None:
        """Sample and evaluate until cancelled; not at once, for a node that starts is alone."""
        await asyncio.sleep(START_S)
        while True:
            # In a thread: walking all series is some 10 ms of Python.
            sample = await asyncio.to_thread(self._sample, asyncio.get_running_loop().time())
            self.evaluate(sample)
            await asyncio.sleep(SAMPLE_S)

    def evaluate(self, sample: Sample) -> None:
        """Ask every check, with ``sample`` as the newest."""
        self._history.add(sample)
        for check in CHECKS:
            self._show(check, failing=check.failing(self._history))
        crowded = self._metrics.gauge("app_health_metrics_high_cardinality")
        crowded.clear()
        for name in self._history.crowded():
            crowded.labels(name).set(sample.series[name])

    def view(self, _query: Mapping[str, str]) -> dict[str, Any]:
        """Every check with its verdict, the failing ones with what to do."""
        checks = [
            {
                "name": check.name,
                "severity": check.severity.value,
                "failing": failing,
                "description": check.description,
                "mend": check.mend if failing else None,
            }
            for check in CHECKS
            for failing in (self._failing.get(check.name, False),)
        ]
        return {"failing": sum(self._failing.values()), "checks": checks}

    def _show(self, check: Check, *, failing: bool) -> None:
        labels = (check.severity.value, check.name, check.description)
        self._metrics.gauge("app_health_checks").labels(*labels).set(failing)
        failed = self._metrics.counter("app_health_checks_failed_total").labels(*labels)
        failed.inc(failing)
        if failing and not self._failing.get(check.name, False):
            self._log.warning(
                "health_check_failing",
                check=check.name,
                reason=check.name,
                severity=check.severity.value,
                mend=check.mend,
            )
        elif not failing and self._failing.get(check.name, False):
            self._log.info("health_check_passing", check=check.name)
        self._failing[check.name] = failing

    def _sample(self, at_s: float) -> Sample:
        values: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
        series: dict[str, int] = {}
        for family in self._metrics.registry.collect():
            labelled = {
                tuple(sorted(item for item in each.labels.items() if item[0] != "le"))
                for each in family.samples
            }
            series[family.name] = max(series.get(family.name, 0), len(labelled))
            for each in family.samples:
                if each.name in LOOKED_AT:
                    key = tuple(sorted(each.labels.items()))
                    values.setdefault(each.name, {})[key] = each.value
        return Sample(at_s, values, series)
