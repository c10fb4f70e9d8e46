"""Draws what ``docs/images/overlay/*.json`` holds: the curves of docs/explanation/overlay.md.

usage: python docs/images/draw_overlay_curves.py [FOLDER]

The figures are printed by the simulator; whoever has a few hours makes them anew:

    tetrarch sim life --nodes 100 --json > docs/images/overlay/life-100.json
    tetrarch sim life --nodes 1000 --rounds 10 --json > docs/images/overlay/life-1000.json
    tetrarch sim life --nodes 10000 --json > docs/images/overlay/life-10000.json
    tetrarch sim overlay --nodes 300 --rounds 20 --seed 7 --liars 0.25 --json > docs/images/overlay/crowd-0.25.json

Figures of others stand beside ours where there are any. "From memory" marks those that nobody here could look up.
"""

import json
import sys
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

HERE = Path(__file__).parent
FIGURES = HERE / "overlay"
PICTURES = ("overlay-rings", "overlay-hits", "overlay-copies", "overlay-crowd")
COLOURS = ("#1b6ca8", "#d1495b", "#2e8b57")
THEIRS = "#6b6b6b"
STYLE = {
    "figure.dpi": 110,
    "font.size": 10,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.framealpha": 0.95,
}

Json: TypeAlias = dict[str, Any]


def main(folder: Path) -> None:
    """Write all pictures into ``folder``."""
    mpl.use("Agg")
    lives = sorted((_read(path) for path in FIGURES.glob("life-*.json")), key=_nodes)
    crowds = sorted(map(_read, FIGURES.glob("crowd-*.json")), key=_ratio)
    with mpl.rc_context(STYLE):
        drawn = (_rings(lives), _hits(lives), _copies(lives), _crowd(crowds))
        for name, figure in zip(PICTURES, drawn, strict=True):
            figure.savefig(folder / f"{name}.png", metadata={"Software": None})
            plt.close(figure)


def _rings(lives: Sequence[Json]) -> Figure:
    figure, axes = plt.subplots(figsize=(7.5, 4), layout="constrained")
    for life, colour in zip(lives, COLOURS, strict=False):
        shares = life["rings_right_by_round"][:20]
        axes.plot(_from_one(shares), _percent(shares), "o-", color=colour, ms=4, label=_name(life))
    axes.axhline(99, color="black", ls=":", lw=1)
    axes.annotate("goal by round 20: 99 %", (19.8, 97.5), ha="right", va="top")
    axes.axhline(
        0, color=THEIRS, ls="--", lw=1.5, label="the reference's rule, run by us: about 0 %"
    )
    axes.set(xlim=(0.5, 20.5), ylim=(-3, 103), xticks=range(2, 21, 2))
    axes.set(xlabel="round (10 s)", ylabel="nodes with all true ring neighbours (%)")
    axes.set_title("Nodes that knew one other find their neighbours", loc="left")
    axes.legend(loc="center right")
    return figure


def _hits(lives: Sequence[Json]) -> Figure:
    figure, both = plt.subplots(1, 2, figsize=(9.5, 4.2), layout="constrained", sharey=True)
    parts = (
        ("churn", "1 % of the nodes replaced in each round", 99.9),
        ("vanish", "half of all nodes vanished", 99.0),
    )
    for axes, (part, title, goal) in zip(both, parts, strict=True):
        # Lines lie upon each other at 100 %, so each has a mark of its own size.
        for life, colour, size in zip(lives, COLOURS, (10, 7, 4), strict=False):
            if not life[part]:
                continue
            hits = _percent([each["hits"] for each in life[part]])
            axes.plot(range(len(hits)), hits, "o-", color=colour, ms=size, lw=1, label=_name(life))
        axes.axhline(
            goal,
            color="black",
            ls=":",
            lw=1,
            label=f"goal: {goal} %" + " at once" * (part == "vanish"),
        )
        axes.set_title(title[0].upper() + title[1:], loc="left")
        axes.set(
            xlabel="published so many rounds (10 s) after that began",
            ylim=(98.8, 100.08),
            xticks=range(0, 11, 2),
        )
        axes.legend(loc="lower right")
    both[0].set_ylabel("nodes that the item came to (%)")
    both[0].annotate("PolderCast, nobody leaves: 100 % (from memory)", (0, 99.25), color=THEIRS)
    both[1].annotate(
        "HyParView, 10,000 nodes, up to 90 %\nfail at once: near 100 % (from memory)",
        (0.1, 99.55),
        color=THEIRS,
    )
    return figure


def _copies(lives: Sequence[Json]) -> Figure:
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.2), layout="constrained")
    width = 0.8 / len(lives)
    for place, (life, colour) in enumerate(zip(lives, COLOURS, strict=False)):
        counts = life["copies"][1:]
        shares = _percent([count / sum(counts) for count in counts])
        at = [number + (place - (len(lives) - 1) / 2) * width for number in _from_one(counts)]
        mean = (
            sum(number * share for number, share in zip(_from_one(counts), shares, strict=True))
            / 100
        )
        left.bar(
            at, shares, width, color=colour, zorder=2, label=f"{_name(life)}: {mean:.2f} on average"
        )
        hops = life["hops"]
        reached = _percent([count / sum(hops) for count in accumulate(hops)])
        right.plot(range(len(reached)), reached, "o-", color=colour, ms=3, label=_name(life))
    left.axvline(
        6.3,
        zorder=3,
        color=THEIRS,
        ls="--",
        label="GossipSub's simulator, 500 and\n1,000 nodes: 6.3 on average",
    )
    left.axvline(
        1, zorder=3, color=THEIRS, ls=":", label="Plumtree, steady state: about 1 (from memory)"
    )
    left.set(xlim=(0.3, 8.7), xticks=range(1, 9), ylim=(0, 75))
    left.set(xlabel="copies of a small item", ylabel="nodes (%)")
    left.set_title("How often an item comes to a node", loc="left")
    left.legend(loc="upper right", fontsize=8.5)
    right.axhline(99, color="black", ls=":", lw=1)
    right.set(xlabel="hops from the publisher", ylabel="nodes reached (%)", ylim=(0, 103))
    right.set(xlim=(-0.5, 18.5), xticks=range(0, 19, 2))
    right.set_title("How far it comes", loc="left")
    right.legend(loc="lower right")
    right.annotate(
        "PolderCast: about the logarithm\nof the nodes, no figure at hand\n(from memory)",
        (9, 40),
        color=THEIRS,
    )
    return figure


def _crowd(crowds: Sequence[Json]) -> Figure:
    figure, axes = plt.subplots(figsize=(7.5, 4), layout="constrained")
    ratios = [_ratio(each) for each in crowds]
    seen = _percent([each["liars_in_views"] for each in crowds])
    allowed = _percent([each["liars_allowed"] for each in crowds])
    of_all = _percent([ratio / (1 + ratio) for ratio in ratios])
    axes.plot(
        ratios, of_all, "s--", color=THEIRS, ms=4, label="of all nodes: what no limit would give it"
    )
    axes.plot(
        ratios, allowed, "^:", color="black", ms=5, label="of the places that its addresses allow"
    )
    axes.plot(ratios, seen, "o-", color=COLOURS[0], ms=5, label="of the views of honest nodes")
    for at, share in zip(ratios, seen, strict=True):
        axes.annotate(
            f"{share:.1f}",
            (at, share),
            (0, -13),
            textcoords="offset points",
            ha="center",
            color=COLOURS[0],
        )
    axes.set(
        xscale="log",
        xlabel="nodes of the crowd per honest node",
        ylabel="share of the crowd (%)",
        ylim=(-5, 85),
    )
    axes.set_xticks(ratios, [f"{ratio:g}" for ratio in ratios])
    axes.minorticks_off()
    axes.set_title(
        f"A crowd of one owner, 64 nodes in each network, against {_nodes(crowds[0])} honest nodes",
        loc="left",
    )
    axes.legend(loc="upper left")
    return figure


def _read(path: Path) -> Json:
    read: Json = {**json.loads(path.read_text()), "file": path.stem}
    return read


def _nodes(read: Json) -> int:
    return int(read["nodes"])


def _ratio(crowd: Json) -> float:
    return float(crowd["file"].partition("-")[2])


def _name(life: Json) -> str:
    return f"{_nodes(life):,} nodes"


def _percent(shares: Sequence[float]) -> list[float]:
    return [100 * share for share in shares]


def _from_one(values: Sequence[object]) -> range:
    return range(1, len(values) + 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
