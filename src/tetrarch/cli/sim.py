"""``tetrarch sim``: what the network does at sizes that nobody has machines for."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from tetrarch.cli.errors import run_command
from tetrarch.cli.progress import progress_bar

if TYPE_CHECKING:
    from tetrarch.sim.overlay_figures import OverlayFigures
    from tetrarch.sim.overlay_life import OverlayLife

app = typer.Typer(
    help="Run nodes by the hundred in one process, on virtual time.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def group() -> None:
    """Run nodes by the hundred in one process, on virtual time."""


@app.command()
@run_command
def overlay(
    nodes: Annotated[int, typer.Option(min=2, max=20_000, help="How many honest nodes.")] = 300,
    rounds: Annotated[
        int, typer.Option(min=1, max=1000, help="Rounds of gossip, of ten seconds each.")
    ] = 30,
    seed: Annotated[int, typer.Option(help="The same seed gives the same run.")] = 1,
    liars: Annotated[
        float,
        typer.Option(
            min=0.0, max=4.0, help="Nodes of one owner, per honest node; 64 in a network."
        ),
    ] = 0.0,
    known: Annotated[
        int, typer.Option(min=64, max=4096, help="How many others a node keeps at most.")
    ] = 256,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Let nodes that know one of them find each other, then spread some items among them.

    They run the code that a node runs, without its sockets. 300 nodes take half a minute.

    Example: tetrarch sim overlay --nodes 300 --rounds 30 --seed 7 --json

    Exit codes: 0 whatever the figures are.
    """
    from dataclasses import asdict  # noqa: PLC0415 - keeps `--help` fast

    from tetrarch.sim.overlay_figures import measure  # noqa: PLC0415
    from tetrarch.sim.overlay_world import OverlayKnobs  # noqa: PLC0415

    knobs = OverlayKnobs(nodes=nodes, known_max=known, liars_share=liars)
    with progress_bar("rounds") as show:
        figures = measure(knobs, rounds=rounds, seed=seed, told=lambda done: show(done, rounds))
    typer.echo(json.dumps(asdict(figures)) if as_json else _described(figures))


@app.command()
@run_command
def life(
    nodes: Annotated[int, typer.Option(min=4, max=20_000, help="How many nodes.")] = 100,
    rounds: Annotated[
        int, typer.Option(min=1, max=1000, help="Rounds before items are spread, and after.")
    ] = 20,
    churn_rounds: Annotated[
        int,
        typer.Option(min=0, max=1000, help="Rounds that begin with new nodes in place of some."),
    ] = 10,
    rounds_after: Annotated[
        int, typer.Option(min=0, max=1000, help="Rounds after half of the nodes vanished.")
    ] = 11,
    items: Annotated[
        int, typer.Option(min=1, max=100, help="How many of each topic, small and as many large.")
    ] = 5,
    seed: Annotated[int, typer.Option(help="The same seed gives the same run.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Let nodes find each other and spread items; replace some of them; then let half of them vanish.

    100 nodes take ten seconds, 1,000 some minutes, 10,000 two hours or three and about 4 GB.

    Example: tetrarch sim life --nodes 1000 --rounds 5 --churn-rounds 5 --json

    Exit codes: 0 whatever the figures are.
    """
    from dataclasses import asdict  # noqa: PLC0415 - keeps `--help` fast

    from tetrarch.sim.overlay_life import LifePlan, live  # noqa: PLC0415
    from tetrarch.sim.overlay_world import OverlayKnobs  # noqa: PLC0415

    plan = LifePlan(
        rounds=rounds, churn_rounds=churn_rounds, rounds_after=rounds_after, items=items
    )
    with progress_bar("rounds") as show:
        seen = live(
            OverlayKnobs(nodes=nodes),
            seed=seed,
            plan=plan,
            told=lambda done: show(done, plan.rounds_all),
        )
    typer.echo(json.dumps(asdict(seen)) if as_json else _described_life(seen))


def _described_life(life: "OverlayLife") -> str:
    right = life.rings_right_by_round
    lines = [
        ("nodes", f"{life.nodes}, seed {life.seed}"),
        ("true neighbours", f"{right[len(right) // 2 - 1]:.2%} half-way, {right[-1]:.2%} at last"),
        ("items reached", f"{life.hits:.3%} of the nodes, the worst item"),
        (
            "copies",
            f"{life.copies_mean:.2f} of a small item, {life.copies_large_mean:.2f} of a large one",
        ),
        ("gossip", f"{life.bytes_per_node_s} bytes a second and node"),
    ]
    if life.churn:
        lines.append(("under churn", f"{life.churn_hits:.3%} of the nodes"))
    if life.vanish:
        at_once, later = life.vanish[0].hits, life.vanish[-1].hits
        text = f"{at_once:.3%} at once, {later:.3%} {len(life.vanish) - 1} rounds later"
        lines.append(("half vanished", text))
    return "\n".join(f"{name:<16} {text}" for name, text in lines)


def _described(figures: "OverlayFigures") -> str:
    right = figures.rings_right_by_round
    whole = next((place + 1 for place, each in enumerate(right) if each == 1.0), None)
    lines = (
        ("nodes", f"{figures.nodes}, {figures.rounds} rounds, seed {figures.seed}"),
        ("true neighbours", f"{figures.rings_right:.2%}, all from round {whole or 'none'} on"),
        ("items reached", f"{figures.hit_ratio:.3%} of the nodes"),
        (
            "copies",
            f"{figures.copies:.2f} of a small item, {figures.copies_large:.2f} of a large one",
        ),
        ("hops", f"{figures.hops_p50} (half), {figures.hops_p99} (99 %)"),
        (
            "to the last",
            f"{figures.reached_s_p50:.2f} s (half), {figures.reached_s_max:.2f} s (all)",
        ),
        ("gossip", f"{figures.bytes_per_node_s} bytes a second and node"),
    )
    crowd = (
        "crowd in views",
        f"{figures.liars_in_views:.2%} of {figures.liars_allowed:.2%} allowed",
    )
    told = (*lines, crowd) if figures.liars_allowed else lines
    return "\n".join(f"{name:<16} {text}" for name, text in told)
