"""Writes the tables of docs/reference/metrics.md from the declarations: python -m tests.docs_metrics"""

import re
from pathlib import Path

from tetrarch.observability.metrics import METRICS
from tetrarch.observability.reference_metrics import WITHOUT_EQUAL

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "metrics.md"


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
    for part, lines in (("ours", ours), ("reference", theirs), ("none", none)):
        begin, end = f"<!-- generated {part}: begin -->", f"<!-- generated {part}: end -->"
        table = "\n".join([begin, *lines, end])
        old = re.search(f"{begin}.*?{end}", page, flags=re.DOTALL)
        assert old is not None, part
        page = page.replace(old.group(), table)
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text()))
