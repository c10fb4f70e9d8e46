"""All beacon nodes of one simulated node, and what stands before them in production, too."""

from random import Random

from tetrarch.clock import Clock
from tetrarch.ethereum.beacon_nodes.ports import Spawner
from tetrarch.ethereum.beacon_nodes.several import SeveralBeaconNodes
from tetrarch.observability.logs import Log
from tetrarch.sim.beacon_liars import LyingBeaconNode
from tetrarch.sim.beacon_node import BeaconFaults, SimBeaconNode
from tetrarch.sim.chain import SimChain
from tetrarch.sim.workflow_profile import BEACON_NODES, BeaconLiar


class NodeBeacons:
    """One beacon node, or several of which one lies. They outlive the node's crashes."""

    def __init__(
        self,
        chain: SimChain,
        *,
        node: int,
        label: str,
        clock: Clock,
        seed: int,
        liar: BeaconLiar | None,
    ) -> None:
        self._clock = clock
        self._nodes: list[SimBeaconNode] = []
        self._honest: list[SimBeaconNode] = []
        self._liars: list[LyingBeaconNode] = []
        for place in range(1 if liar is None else BEACON_NODES):
            name = label if liar is None else f"{label}.{place}"
            rng = Random(f"{seed}/beacon/{name}")
            if liar is not None and place == liar.place:
                lying = LyingBeaconNode(
                    chain, node=node, label=name, clock=clock, rng=rng, lie=liar.lie
                )
                self._nodes.append(lying)
                self._liars.append(lying)
                continue
            honest = SimBeaconNode(chain, node=node, label=name, clock=clock, rng=rng)
            self._nodes.append(honest)
            self._honest.append(honest)

    @property
    def faults(self) -> BeaconFaults:
        """What is wrong with those that do not lie."""
        return self._honest[0].faults

    @faults.setter
    def faults(self, faults: BeaconFaults) -> None:
        for node in self._honest:
            node.faults = faults

    def heal(self, faults: BeaconFaults) -> None:
        """From now on those that do not lie have ``faults`` only; those that lie are at their worst."""
        self.faults = faults
        for liar in self._liars:
            liar.drops = True

    def composed(self, spawner: Spawner, log: Log) -> SeveralBeaconNodes:
        """As one life of the program uses them."""
        return SeveralBeaconNodes(self._nodes, clock=self._clock, spawner=spawner, log=log)
