"""Electing a leader among 4 to 200 members on virtual time: messages, and rounds of them.

A leader resigns, and all wait for the certificate of the next one. The network takes the same time for
each message and nothing else takes any, so rounds count how many messages follow each other: the
resignation, the votes, the leader's signatures. No election that collects a quorum's votes and then
signatures by its members has less than two; all to all they are n (n - 1) messages each. 200 members
take some minutes: `python -m bench.elections_simulated 200`.
"""

import sys
from collections.abc import Sequence
from typing import Any

from tetrarch.election.configuration import Configuration
from tetrarch.election.effects import Send
from tetrarch.election.messages import Heartbeat
from tetrarch.election.quorums import Mode
from tetrarch.election.timing import Timing
from tetrarch.sim.election_world import ElectionWorld, Network

SIZES = (4, 7, 10, 20, 50, 100)
DELAY_S = 1.0  # of each message: far more than anything else takes
LOOK_S = 0.2
# Patient to match, and with few heartbeats: they are not counted, and 200 members hear 199 each.
TIMING = Timing(
    heartbeat_s=20, settle_s=1, echo_s=100, term_s=100, term_max_s=200, retry_s=50, terms_ahead=8
)


class CountingWorld(ElectionWorld):
    """Counts what belongs to elections: all but heartbeats. ``led_s``: when one last knew a leader."""

    said = 0
    led_s = 0.0

    def _note(self, member: Any, certificate: Any) -> None:
        self.led_s = self.now_s
        super()._note(member, certificate)

    def _do(self, member: Any, effects: Any) -> None:
        effects = list(effects)
        for effect in effects:
            if isinstance(effect, Send) and not isinstance(effect.message, Heartbeat):
                others = 1 if effect.to is not None else self._configuration.count - 1
                self.said += others
        super()._do(member, effects)


def simulated(count: int) -> dict[str, Any]:
    """Rounds and messages of one election after a resignation, all members alive."""
    names = tuple(f"node{index:03}" for index in range(count))
    world = CountingWorld(
        1,
        Configuration(members=names, mode=Mode.BFT),
        timing=TIMING,
        look_s=LOOK_S,
        network=Network(delay_min_s=DELAY_S, delay_max_s=DELAY_S),
    )
    world.start()
    everybody = range(count)
    world.pass_until(lambda: world.agree(*everybody), at_most_s=1000)
    world.pass_s(10)
    leading = world.leader(0)
    if leading is None:
        raise RuntimeError("nobody leads")
    term, before = leading.term, world.said
    world.resign(leading.leader.leader)

    def is_over() -> bool:
        newest = [world.leader(index) for index in everybody]
        return all(each is not None and each.term > term for each in newest)

    begun_s = world.now_s
    world.pass_until(is_over, at_most_s=1000)
    return {
        "rounds": int((world.led_s - begun_s) / DELAY_S),
        "messages": world.said - before,
    }


def run(sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for count in sizes:
        figures[f"n{count:03}"] = told = simulated(count) | {
            "messages_limit": 2 * count * (count - 1)
        }
        print(f"  n = {count:3}: {told}", flush=True)
    return figures


if __name__ == "__main__":
    run([int(size) for size in sys.argv[1:]] or SIZES)
