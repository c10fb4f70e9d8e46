"""One enclave's part in an election: its promises, what it keeps for the others, and its key. Pure but for ``store``.

Everything that is asked of it is checked here, signatures included; who asks is not trusted. What
follows from a change is given away only after ``store`` has taken the change.
"""

from collections.abc import Callable
from typing import TypeAlias

from tetrarch.election import promises as rules
from tetrarch.election import witnesses
from tetrarch.election.certificates import (
    CertificateInvalid,
    LeaderCertificate,
    ViewCertificate,
    check_leader,
    check_seed,
    check_view,
    leader_of,
)
from tetrarch.election.configuration import Configuration, Rule
from tetrarch.election.promises import Denied, Promises, Reason
from tetrarch.election.statements import (
    NOTHING_BEFORE,
    Grant,
    Handover,
    Leader,
    Receipt,
    Reservation,
    Resignation,
    S,
    Signed,
    Signing,
    Verifying,
    View,
    Vote,
    seed_bytes,
)
from tetrarch.election.values import Value
from tetrarch.election.witnesses import Kept, Registry
from tetrarch.errors import PeerFault, invariant


class StatementFalse(PeerFault):
    """A statement with another configuration, an unknown source or a false signature."""

    code = "election_statement_false"


class Sealed(Value, frozen=True):
    """All that one enclave knows of the election, as it is kept on disk."""

    promises: Promises
    registry: Registry
    newest: LeaderCertificate | None = None


# Makes a change durable. Raises, and then nothing follows from the change.
Store: TypeAlias = Callable[[Sealed], None]


def born(configuration: Configuration, source: int, boot: bytes, *, floor: int = 0) -> Sealed:
    """The first state of an enclave whose key was made just now. ``floor``: see ``promises.born``."""
    return Sealed(rules.born(source, boot, floor=floor), (None,) * configuration.count)


class Voter:
    """``begin`` a life of it from what is sealed; all times are the enclave's own milliseconds."""

    def __init__(
        self,
        sealed: Sealed,
        *,
        configuration: Configuration,
        signing: Signing,
        keys: Verifying,
        store: Store,
        share: Signing | None = None,
        accepts_cold_start: bool = False,
    ) -> None:
        """``share``: of the key that the members share; ``accepts_cold_start``: see ``promises``."""
        invariant((share is None) == (configuration.cluster_key is None), "a share of the key")
        self._promises = sealed.promises
        self._registry = sealed.registry
        self._newest = sealed.newest
        self._configuration = configuration
        self._signing = signing
        self._keys = keys
        self._store = store
        self._share = share
        self._accepts_cold_start = accepts_cold_start

    @property
    def promises(self) -> Promises:
        """What it has promised so far."""
        return self._promises

    @property
    def registry(self) -> Registry:
        """What it keeps for the others."""
        return self._registry

    @property
    def newest(self) -> LeaderCertificate | None:
        """The newest leader that it was shown."""
        return self._newest

    def begin(self, boot: bytes, now_ms: int, *, is_newest: bool = False) -> None:
        """A new life: call first, unless the enclave was just ``born``. ``boot``: 32 random bytes.

        ``is_newest``: its state certainly is the newest (``counting``). One that had not recovered
        asks the others all the same.
        """
        begun = rules.begin(self._promises, boot, self._configuration, now_ms)
        whole = is_newest and self._promises.recovered
        self._change(rules.resume(begun) if whole else begun)

    def reserve(self, term: int) -> Signed[Reservation] | Denied:
        """Ask the others for terms up to ``term``."""
        judged = rules.reserve(self._promises, term)
        if isinstance(judged, Denied):
            return judged
        self._change(judged)
        return self.reservation()

    def reservation(self) -> Signed[Reservation]:
        """What the others are asked to keep now."""
        return self._signed(rules.reservation(self._promises, self._configuration))

    def keep(self, asked: Signed[Reservation]) -> Signed[Receipt] | Kept:
        """Another's reservation: a receipt for it, or what stands against it.

        Raises:
            StatementFalse: nobody said that.
        """
        self._check_reservation(asked)
        registry = witnesses.keep(self._registry, asked)
        if isinstance(registry, Kept):
            return registry
        self._change(self._promises, registry)
        others = tuple(kept for kept in registry if kept is not None)
        return self._signed(
            Receipt(
                source=self._promises.source,
                reservation=asked.what,
                recovered=self._promises.recovered,
                kept=tuple(each for kept in others for each in kept.all),
            )
        )

    def take_refusal(self, kept: Kept) -> None:
        """Another member shows what a former life of this enclave reserved.

        Raises:
            StatementFalse: none did.
        """
        promises = self._promises
        for shown in kept.all:
            if shown.what.source != promises.source:
                raise StatementFalse("take refusal", reason="of another member")
            self._check_reservation(shown)
            promises = rules.outbid(promises, shown.what)
        self._change(promises)

    def take_receipts(self, receipts: tuple[Signed[Receipt], ...]) -> None:
        """What the others keep; those of former reservations are passed over.

        Raises:
            StatementFalse: one of them is false.
        """
        registry = self._registry
        for receipt in receipts:
            if not 0 <= receipt.what.source < self._configuration.count:
                raise StatementFalse("take receipt", reason="unknown member")
            if not receipt.is_genuine(self._keys):
                raise StatementFalse("take receipt", by=receipt.what.source)
            for kept in receipt.what.kept:
                self._check_reservation(kept)
            registry = witnesses.learn(registry, receipt.what.kept)
        said = tuple(receipt.what for receipt in receipts)
        promises = rules.take_receipts(
            self._promises,
            said,
            self._configuration,
            accepts_cold_start=self._accepts_cold_start,
        )
        self._change(promises, registry)

    def vote(self, view: View, now_ms: int) -> Signed[Vote] | Denied:
        """Vote for ``view``, once in a term."""
        judged = rules.judge_vote(self._promises, view, self._configuration, now_ms)
        if isinstance(judged, Denied):
            return judged
        self._change(judged)
        return self._signed(rules.vote(judged))

    def draw(self, certificate: ViewCertificate) -> bytes:
        """Give this enclave's share of the number that chooses among a certified view.

        Nobody knows that number before a quorum has voted, and a term has one such view.

        Raises:
            CertificateInvalid: nothing is certified, or the rule draws no number.
        """
        check_view(certificate, self._configuration, self._keys)
        if self._share is None or self._configuration.rule is not Rule.BEACON:
            raise CertificateInvalid("draw", reason="by this rule no number is drawn")
        return self._share.sign(seed_bytes(certificate.view))

    def elect(
        self, certificate: ViewCertificate, seed: bytes = b""
    ) -> tuple[Leader, bytes] | Denied:
        """The leader that follows from ``certificate``, and this enclave's signature under it.

        Raises:
            CertificateInvalid: nothing follows from it, or ``seed`` is not what was drawn for it.
        """
        check_view(certificate, self._configuration, self._keys)
        check_seed(certificate.view, seed, self._configuration)
        newest = self._promises.newest
        before = NOTHING_BEFORE if newest is None else newest.hash
        if certificate.view.previous != before:
            return Denied(Reason.ANOTHER_LEADER_BEFORE)
        leader = leader_of(certificate.view, self._configuration, previous=newest, seed=seed)
        return leader, (self._share or self._signing).sign(leader.signing_bytes)

    def learn_leader(self, certificate: LeaderCertificate) -> None:
        """A newer leader was certified.

        Raises:
            CertificateInvalid: none was.
        """
        check_leader(certificate, self._configuration, self._keys)
        promises = rules.learn_leader(self._promises, certificate)
        if promises != self._promises:
            self._change(promises, newest=certificate)

    def grant(self, leader_hash: bytes, asked_ms: int, now_ms: int) -> Signed[Grant] | Denied:
        """Promise the newest leader not to vote for as long as its lease lasts."""
        grant = Grant(leader_hash, self._promises.source, asked_ms)
        judged = rules.judge_grant(self._promises, grant, self._configuration, now_ms)
        if isinstance(judged, Denied):
            return judged
        self._change(judged)
        return self._signed(grant)

    def hand_over(self, next_hash: bytes) -> Signed[Reservation] | Denied:
        """Stop voting, for the configuration ``next_hash``; the others are asked to keep that."""
        judged = rules.hand_over(self._promises, next_hash)
        if isinstance(judged, Denied):
            return judged
        self._change(judged)
        return self.reservation()

    def handover(self, now_ms: int) -> Signed[Handover] | Denied:
        """Say that it has stopped, once the others keep that."""
        judged = rules.judge_handover(self._promises, self._configuration, now_ms)
        return judged if isinstance(judged, Denied) else self._signed(judged)

    def resign(self) -> Signed[Resignation] | Denied:
        """Give up this enclave's own leadership."""
        newest = self._promises.newest
        if newest is None or newest.leader != self._promises.source:
            return Denied(Reason.NOT_THE_LEADER)
        return self._signed(Resignation(newest.hash, self._promises.source))

    def take_resignation(self, resignation: Signed[Resignation]) -> None:
        """The newest leader gave up its lease.

        Raises:
            StatementFalse: it did not say so.
        """
        source = resignation.what.source
        known = 0 <= source < self._configuration.count
        if not known or not resignation.is_genuine(self._keys):
            raise StatementFalse("take resignation", by=source)
        self._change(rules.take_resignation(self._promises, resignation))

    def _check_reservation(self, asked: Signed[Reservation]) -> None:
        said = asked.what
        if said.configuration_hash != self._configuration.hash:
            raise StatementFalse("check reservation", reason="another configuration")
        if not 0 <= said.source < self._configuration.count:
            raise StatementFalse("check reservation", reason="unknown member", got=said.source)
        if not asked.is_genuine(self._keys):
            raise StatementFalse("check reservation", by=said.source)

    def _change(
        self,
        promises: Promises,
        registry: Registry | None = None,
        newest: LeaderCertificate | None = None,
    ) -> None:
        """Durable first, and only then true."""
        sealed = Sealed(promises, registry or self._registry, newest or self._newest)
        if sealed == Sealed(self._promises, self._registry, self._newest):
            return
        self._store(sealed)
        self._promises = sealed.promises
        self._registry = sealed.registry
        self._newest = sealed.newest

    def _signed(self, what: S) -> Signed[S]:
        return Signed(what, self._signing.sign(what.signing_bytes))
