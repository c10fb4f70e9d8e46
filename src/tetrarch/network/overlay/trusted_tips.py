"""Asks what the operator's trusted nodes say of their chains, and warns when ours is left alone."""

from tetrarch.network.overlay.chain import ChainPort
from tetrarch.network.overlay.forks import ForkVerdict, ForkWatch, Standing, standing_of
from tetrarch.network.overlay.layers.trusted import Trusted
from tetrarch.network.overlay.nodes import Nodes
from tetrarch.network.overlay.profile import NodeId
from tetrarch.network.overlay.spreading import ItemId
from tetrarch.observability.logs import Log

FRESH_S = 120.0  # what a node said of its tip before that counts no more; it says it each round
MEND = {
    Standing.AHEAD: "see whether this node gets blocks: its links, its clock, and its log for refused blocks; if others keep no blocks so old, begin with a state",
    Standing.FORKED: "compare this node's version and chain with those of the trusted nodes' operators",
}


class TrustedTips:
    """``verdict`` is what was found at the last look."""

    def __init__(
        self, trusted: Trusted, nodes: Nodes, chain: ChainPort, *, watch: ForkWatch, log: Log
    ) -> None:
        self.verdict: ForkVerdict | None = None
        self._trusted = trusted
        self._nodes = nodes
        self._chain = chain
        self._watch = watch
        self._log = log

    def look(self, *, now_s: float) -> None:
        """Judge by what was said of late. Call it each round."""
        told: dict[NodeId, Standing] = {}
        for node in self._trusted.present():
            standing = self._standing(node, now_s)
            if standing is not None:
                told[node] = standing
        before, self.verdict = self.verdict, self._watch.look(told, now_s=now_s)
        if self.verdict is not None and before is None:
            self._log.warning(
                "overlay_chain_left_alone",
                standing=self.verdict.standing.value,
                nodes=self.verdict.nodes,
                asked=self.verdict.asked,
                mend=MEND[self.verdict.standing],
            )
        elif self.verdict is None and before is not None:
            self._log.info("overlay_chain_together_again")

    def _standing(self, node: NodeId, now_s: float) -> Standing | None:
        conduct = self._nodes.conduct(node)
        tip = None if conduct is None else conduct.tip
        if tip is None or now_s - tip.told_s > FRESH_S:
            return None
        block = self._chain.tip()
        depth = self._chain.fork_depth(ItemId(tip.block))
        return standing_of(
            own_height=block.height,
            height=tip.height,
            is_known=depth is not None,
            fork_depth=depth or 0,
        )
