"""The ledger's metrics: where its chain ends, what waits, and how punctual its leaders are."""

from tetrarch.leadership.leading import Leadership
from tetrarch.ledger.chain import LedgerChain
from tetrarch.ledger.tree import Switch
from tetrarch.observability.metrics import Metrics


def watch_ledger(metrics: Metrics, chain: LedgerChain, leadership: Leadership) -> None:
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

    def switched(switch: Switch) -> None:
        if switch.undone:
            reorganisations.inc()

    chain.on_switch(switched)
    late = metrics.histogram("leadership_wake_late_seconds")
    slots = metrics.counter("leadership_slots_total")
    leadership.on_woken(late.observe)
    leadership.on_ended(lambda status: slots.labels(status.value).inc())
