"""Who hears of what happens to a ledger."""

from collections.abc import Callable
from typing import Generic, TypeVarTuple

from tetrarch.ledger.applying import Place
from tetrarch.ledger.reservations import Request, Span
from tetrarch.ledger.tree import Switch

_Ts = TypeVarTuple("_Ts")


class Topic(Generic[*_Ts]):
    """Handlers, called in the order in which they came."""

    def __init__(self) -> None:
        self._handlers: list[Callable[[*_Ts], None]] = []

    def __call__(self, handler: Callable[[*_Ts], None]) -> None:
        """Call it from now on."""
        self._handlers.append(handler)

    def tell(self, *news: *_Ts) -> None:
        """Call all."""
        for handler in self._handlers:
            handler(*news)


class News:
    """``news.on_final(handler)`` adds one. Handlers do not wait, and raise nothing."""

    def __init__(self) -> None:
        # Another block is the end of the branch that counts.
        self.on_switch = Topic[Switch]()
        # Blocks that are final from now on, oldest first.
        self.on_final = Topic[tuple[Place, ...]]()
        # A quorum voted for a later checkpoint.
        self.on_justified = Topic[()]()
        # The height that a voter knows to be justified, when we know of a higher one.
        self.on_behind = Topic[int]()
        # A leader was elected, and waits for a block.
        self.on_elected = Topic[()]()
        # What a voter asks to be reserved for it.
        self.on_span_asked = Topic[Request]()
        # What a voter keeps for its holder; the span desk has the receipts.
        self.on_span_granted = Topic[Span]()
