"""The ledger's metrics say what is so."""

from tests.leadership.leading_world import World, leading, run

from tetrarch.api.ledger_instruments import watch_ledger
from tetrarch.observability.metrics import Metrics


def shown(metrics: Metrics) -> dict[str, float]:
    """By name and labels, without the prefix."""
    lines = metrics.exposition().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line.startswith("tetrarch_"))
    return {name.removeprefix("tetrarch_"): float(value) for name, value in pairs}


def test_heights_blocks_and_punctuality() -> None:
    async def main() -> None:
        async with leading() as world:
            metrics = watched(world)
            await world.until(3.5)
            told = shown(metrics)
            assert told["ledger_height"] == told["ledger_open_blocks"] == 3
            assert told["ledger_final_height"] == told["ledger_justified_height"] == 0
            assert told["ledger_mempool_fragments"] == 0
            assert told['leadership_slots_total{outcome="made"}'] == 3
            assert told["leadership_wake_late_seconds_count"] == 3
            assert told["leadership_wake_late_seconds_sum"] < 0.01
            world.clock.offset_s = 2.4
            await world.until(4.3)
            assert shown(metrics)['leadership_slots_total{outcome="rejected"}'] == 2

    run(main)


def watched(world: World) -> Metrics:
    metrics = Metrics()
    watch_ledger(metrics, world.chain, world.leadership, world.clock)
    return metrics
