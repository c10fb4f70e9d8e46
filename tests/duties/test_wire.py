"""The map of the node: its edges are those of the documentation, each under its own name."""

from tests.duties.pages import WORKFLOW_PAGE, wired, workflow_map

from tetrarch.duties.tracking import STEPS
from tetrarch.node import BACKGROUND_EDGES

# The seed's order, word for word.
SEED = (
    ("scheduler", "fetcher", "fetch"),
    ("fetcher", "consensus", "propose"),
    ("consensus", "dutydb", "store"),
    ("consensus", "signer", "sign"),
    ("signer", "parsigdb", "store_internal"),
    ("validator_api", "parsigdb", "store_internal"),
    ("parsigdb", "parsigex", "broadcast"),
    ("parsigex", "parsigdb", "store_external"),
    ("parsigdb", "sigagg", "aggregate"),
    ("sigagg", "aggsigdb", "store"),
    ("sigagg", "broadcaster", "broadcast"),
)


def test_page_shows_exactly_the_wired_edges() -> None:
    page = WORKFLOW_PAGE.read_text()
    assert workflow_map() in page, "run: python -m tests.duties.pages"


def test_every_edge_of_the_seed_is_there() -> None:
    edges, _ = wired()
    assert set(SEED) <= {(source, target, taken) for source, _, target, taken in edges}


def test_no_edge_is_wired_twice() -> None:
    edges, names = wired()
    assert len(set(edges)) == len(edges)
    assert len(set(names)) == len(names)


def test_names_of_edges_are_their_ends() -> None:
    edges, names = wired()
    ends = [f"{source}>{target}.{taken}" for source, _, target, taken in edges]
    assert [end for end in ends if end in names] == names
    assert set(ends) - set(names) == {
        "deadline>parsigdb.expire",
        "scheduler>parsigex.resend",
        "scheduler>exits.submit_due",
        "scheduler>requested.start_due",
    }


def test_decided_data_is_durable_before_it_is_signed() -> None:
    edges, _ = wired()
    targets = [(target, taken) for source, output, target, taken in edges if output == "decided"]
    assert targets == [("dutydb", "store"), ("signer", "sign")]


def test_group_signature_is_submitted_at_once_and_its_partials_marked_when_it_is_durable() -> None:
    edges, _ = wired()
    targets = [target for source, output, target, _ in edges if output == "aggregated"]
    assert targets == ["parsigdb", "broadcaster", "aggsigdb"]
    assert {f"sigagg>{target}" for target in ("broadcaster.broadcast", "aggsigdb.store")} <= set(
        BACKGROUND_EDGES
    ), "neither waits for the other, or fails with it"
    marks = [(source, output) for source, output, _, taken in edges if taken == "mark_aggregated"]
    assert marks == [("aggsigdb", "stored")]


def test_the_node_decorates_only_edges_that_exist() -> None:
    _, names = wired()
    assert set(names) >= BACKGROUND_EDGES
    assert set(names) >= set(STEPS)
