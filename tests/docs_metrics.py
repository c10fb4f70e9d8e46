"""Writes the tables of metrics and health checks in docs/reference: python -m tests.docs_metrics"""

import re
from pathlib import Path

from tetrarch.observability.health import CHECKS
from tetrarch.observability.metrics import METRICS
from tetrarch.observability.reference_metrics import WITHOUT_EQUAL

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "metrics.md"
CHECKS_PAGE = PAGE.with_name("health-checks.md")


def with_tables(page: str) -> str:
    """``page`` with each generated part as the code has it now."""
    ours = ["| name | kind | labels | meaning |", "|---|---|---|---|"]
    theirs = ["| reference name | kind | labels | meaning | ours |", "|---|---|---|---|---|"]
    for row in METRICS:
        labels = ", ".join(f"`{label}`" for label in row.labels) or "-"
        line = f"| `{row.full_name}` | {row.kind.value} | {labels} | {row.help} |"
        if row.equals:
            theirs.append(f"{line} {row.equals} |")
        else:
            ours.append(line)
    none = ["| reference name | why there is no equal |", "|---|---|"]
    none += [f"| `{name}` | {why} |" for name, why in sorted(WITHOUT_EQUAL.items())]
    checks = ["| check | severity | fails when | what to do |", "|---|---|---|---|"]
    for check in CHECKS:
        told = f"{check.severity.value} | {check.description} | {check.mend}"
        checks.append(f"| `{check.name}` | {told} |")
    parts = {"ours": ours, "reference": theirs, "none": none, "checks": checks}
    for part, lines in parts.items():
        begin, end = f"<!-- generated {part}: begin -->", f"<!-- generated {part}: end -->"
        table = "\n".join([begin, *lines, end])
        old = re.search(f"{begin}.*?{end}", page, flags=re.DOTALL)
        page = page.replace(old.group(), table) if old else page
    return page


if __name__ == "__main__":
    for each in (PAGE, CHECKS_PAGE):
        each.write_text(with_tables(each.read_text()))
