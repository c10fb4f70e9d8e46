"""The ledger's metrics: where its chain ends, what waits, and how punctual its leaders are."""

from typing import Final

from prometheus_client import Histogram

from tetrarch.api.ledger_events import since_slot_s
from tetrarch.clock import Clock
from tetrarch.leadership.leading import Leadership
from tetrarch.ledger.applying import Place
from tetrarch.ledger.chain import LedgerChain
from tetrarch.ledger.tree import Switch
from tetrarch.observability.metrics import Metrics

RECENT_S: Final = (
    60.0  # older blocks are fetched from others, and say nothing of how fast the chain is
)


def watch_ledger(
    metrics: Metrics, chain: LedgerChain, leadership: Leadership, clock: Clock
) -> None:
    """Show them from now on; gauges are read when somebody scrapes."""
    tree, mempool = chain.tree, chain.mempool
    gauges = {
        "ledger_height": lambda: tree.tip.header.chain_length,
        "ledger_justified_height": lambda: chain.opinion.justified.height,
        "ledger_final_height": lambda: tree.final.header.chain_length,
        "ledger_open_blocks": lambda: len(tree),
        "ledger_mempool_fragments": lambda: len(mempool),
        "ledger_mempool_bytes": lambda: mempool.size_bytes,
    }
    for name, read in gauges.items():
        metrics.gauge(name).set_function(read)
    reorganisations = metrics.counter("ledger_reorganisations_total")

    counted = metrics.histogram("ledger_block_seconds")
    final = metrics.histogram("ledger_final_seconds")

    def observe(histogram: Histogram, places: tuple[Place, ...]) -> None:
        for late_s in (since_slot_s(place, clock) for place in places):
            if late_s < RECENT_S:
                histogram.observe(max(0.0, late_s))

    def switched(switch: Switch) -> None:
        observe(counted, switch.done)
        if switch.undone:
            reorganisations.inc()

    chain.news.on_switch(switched)
    chain.news.on_final(lambda places: observe(final, places))
    late = metrics.histogram("leadership_wake_late_seconds")
    slots = metrics.counter("leadership_slots_total")
    leadership.on_woken(late.observe)
    leadership.on_ended(lambda status: slots.labels(status.value).inc())
