"""Runs a demo and draws its last table as ``demo.svg``: the picture in the README is a real run.

usage: python docs/images/draw_demo.py
"""

import asyncio
import io
import re
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from tetrarch.clock import SystemClock
from tetrarch.demo.cluster import DemoOptions, build_demo
from tetrarch.demo.plan import Action, PlannedEvent
from tetrarch.demo.table import draw

PICTURE = Path(__file__).with_name("demo.svg")


def main() -> None:
    """Run 12 slots, kill node 3 at slot 9, and write the picture."""
    options = DemoOptions(
        slots=12,
        slot_duration_ms=4_000,
        validators=32,
        nodes=4,
        fork="electra",
        events=(PlannedEvent(9, 3, Action.KILL),),
    )
    with tempfile.TemporaryDirectory(prefix="tetrarch-picture-") as folder:
        demo = build_demo(
            options,
            folder=Path(folder),
            clock=SystemClock(),
            console=Console(quiet=True),
            show=False,
        )
        asyncio.run(demo.run())
    console = Console(record=True, width=106, file=io.StringIO())
    if demo.last_frame is None:
        raise SystemExit("the demo ended before it began")
    console.print(draw(replace(demo.last_frame, keys=True)))
    svg = console.export_svg(title="tetrarch demo")
    # Without rich's web fonts: a picture fetches nothing, any monospaced font will do.
    PICTURE.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL))


if __name__ == "__main__":
    main()
