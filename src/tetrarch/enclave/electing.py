"""One enclave's part in one election: its keys, its seal on disk, and whom it has met.

The keys are made here, for one configuration, and never leave. A state that was lost is therefore a new
member, whom the others refuse (``KeyChanged``); a state that is *older* than it should be
has its keys, and may not vote before the others told it what it had promised (``election.promises``).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Self, TypeAlias

import msgspec

from tetrarch.attestation.policy import Demand, Policy, appraise
from tetrarch.attestation.tpm_structures import NAME_SIZE_BYTES
from tetrarch.attestation.verifier import decode_evidence, encode_evidence, verify
from tetrarch.crypto.hpke import KEY_SIZE_BYTES, OpeningKey
from tetrarch.election import voter
from tetrarch.election.cluster_key import ClusterShare
from tetrarch.election.configuration import Configuration
from tetrarch.election.counting import Counting, must_count
from tetrarch.election.hello import (
    NONCE_SIZE_BYTES,
    Appraisal,
    Hello,
    HelloInvalid,
    KeyChanged,
    MemberUnattested,
    PublicKey,
    check_hello,
    check_shown,
)
from tetrarch.election.keys import MemberKeys, SigningKey
from tetrarch.election.quorums import MEMBERS_MAX
from tetrarch.election.requests import perform
from tetrarch.election.sealed_calls import open_request, place_of
from tetrarch.election.statements import Signed
from tetrarch.election.values import BOOT_SIZE_BYTES, Count, Value
from tetrarch.election.voter import Sealed, Voter
from tetrarch.enclave.election_files import ElectionFiles
from tetrarch.enclave.errors import CounterMissing, SealInvalid
from tetrarch.enclave.host import Host
from tetrarch.enclave.opening import open_keys
from tetrarch.enclave.seal_secret import SealSecret
from tetrarch.enclave.sealed_keys import SealedKeys
from tetrarch.enclave.sealed_state import SealedState
from tetrarch.entropy import Entropy
from tetrarch.errors import ConfigInvalid, OperatorError
from tetrarch.storage.lock import OwnerLock

NONCES_MAX = 256  # of hellos under way; the oldest is forgotten first
_STATE_VERSION = 1

Secret: TypeAlias = Annotated[
    bytes, msgspec.Meta(min_length=KEY_SIZE_BYTES, max_length=KEY_SIZE_BYTES)
]


class KeptElection(Value, frozen=True):
    """All that is sealed. ``pinned``: the members' signing keys, by index.

    ``counted_by``: the name of the TPM's key that tells its counter, from its birth on, or nothing;
    ``count``: the value that belongs to this state (``election.counting``).
    """

    version: int
    signing_secret: Secret
    opening_secret: Secret
    pinned: Annotated[tuple[PublicKey | None, ...], msgspec.Meta(max_length=MEMBERS_MAX)]
    sealed: Sealed
    counted_by: Annotated[bytes, msgspec.Meta(max_length=NAME_SIZE_BYTES)] = b""
    count: Count = 0


class Electing:
    """``open`` it; then ``say_hello``, ``take_hello`` and ``ask`` as often as needed."""

    def __init__(
        self,
        *,
        configuration: Configuration,
        kept: KeptElection,
        store: Callable[[KeptElection], None],
        close: Callable[[], None],
        host: Host,
        share: ClusterShare | None = None,
        accepts_cold_start: bool = False,
    ) -> None:
        self.is_older = False  # than the newest one there was, as its counter shows
        self._counting = _counting_of(kept, host)
        self._host = host
        self._configuration = configuration
        self._kept = kept
        self._store = store
        self._close = close
        self._signing = SigningKey(kept.signing_secret)
        self._opening = OpeningKey(kept.opening_secret)
        self._keys = MemberKeys(kept.pinned)
        self._nonces: dict[bytes, None] = {}
        self._voter = Voter(
            kept.sealed,
            configuration=configuration,
            signing=self._signing,
            keys=self._keys,
            store=self._store_sealed,
            share=share,
            accepts_cold_start=accepts_cold_start,
        )

    @classmethod
    def open(
        cls,
        *,
        files: ElectionFiles,
        configuration: Configuration,
        source: int,
        host: Host,
        accepts_cold_start: bool = False,
    ) -> Self:
        """Begin a life: the first one if the folder holds none of this configuration.

        Raises:
            StorageInUse: another enclave has this state open.
            SealInvalid, SealSecretWrong, SealSecretMissing: it cannot be read, or the sealed keys.
            ShareFileMissing, ShareInvalid, PasswordWrong, ShareSwapped: of the shared key.
            CounterMissing, TpmFailed: its counter cannot be.
            FolderNotWritable: nor written.
        """
        if not 0 <= source < configuration.count:
            raise ConfigInvalid("open election", field="source", got=source)
        opened_share = _open_share(configuration, source, files, host)
        name = configuration.hash.hex()[:16]
        path = files.folder / f"election-{name}.sealed"
        lock = OwnerLock.acquire(files.folder / f"election-{name}.lock")
        try:
            state = _open_state(path, configuration, source, files.secret, host)
            kept = state.found or _counted(_born(configuration, source, host.entropy), host)
            electing = cls(
                configuration=configuration,
                kept=kept,
                store=state.store,
                close=lock.release,
                host=host,
                share=opened_share,
                accepts_cold_start=accepts_cold_start,
            )
            if state.found is None:
                state.store(kept)
            else:
                electing.begin()
        except BaseException:
            lock.release()
            raise
        return electing

    @property
    def signing_key(self) -> bytes:
        """32 bytes, public."""
        return self._signing.public

    @property
    def sealing_key(self) -> bytes:
        """32 bytes, public: requests are sealed to it."""
        return self._opening.public

    @property
    def pinned(self) -> tuple[bytes | None, ...]:
        """The members' signing keys, by index; its own is one of them."""
        return self._keys.raw

    @property
    def boot(self) -> bytes:
        """32 bytes that name this start."""
        return self._voter.promises.boot

    def begin(self) -> None:
        """A life after another one: it recovers before it votes, unless its state is the newest."""
        is_newest = self._counting is not None and self._counting.is_newest()
        self.is_older = self._counting is not None and not is_newest
        boot, now_ms = self._host.entropy(BOOT_SIZE_BYTES), self._host.now_ms()
        self._voter.begin(boot, now_ms, is_newest=is_newest)

    def challenge(self) -> bytes:
        """A nonce that one hello may answer."""
        nonce = self._host.entropy(NONCE_SIZE_BYTES)
        self._nonces[nonce] = None
        if len(self._nonces) > NONCES_MAX:
            del self._nonces[next(iter(self._nonces))]
        return nonce

    def say_hello(self, *, session: bytes, nonce: bytes) -> Signed[Hello]:
        """Show who this is, to whom drew ``nonce``, in ``session`` (``hello.session_of``)."""
        said = Hello(
            configuration_hash=self._configuration.hash,
            source=self._voter.promises.source,
            signing_key=self.signing_key,
            sealing_key=self.sealing_key,
            boot=self.boot,
            session=session,
            nonce=nonce,
        )
        if self._configuration.attestation is not Demand.OFF:
            evidence = self._host.attester.evidence(
                said.bound(self._configuration), self._signing.sign
            )
            said = msgspec.structs.replace(said, evidence=encode_evidence(evidence))
        return Signed(said, self._signing.sign(said.signing_bytes))

    def take_hello(self, hello: Signed[Hello], *, session: bytes) -> Appraisal:
        """Another member shows who it is: its key is pinned, durably, at first contact.

        Raises:
            HelloInvalid: it does not show that, now and here.
            MemberUnattested: its evidence is not accepted, where that is required.
            KeyChanged: this member had another key before.
        """
        said = hello.what
        nonce = self._use_nonce(said)
        check_hello(hello, self._configuration, session=session, nonce=nonce)
        if said.source == self._voter.promises.source:
            raise HelloInvalid("check hello", reason="it is this node's own name")
        appraisal = self._appraise(said)
        known = self._keys.raw[said.source]
        if known is not None and known != said.signing_key:
            raise KeyChanged(
                "check hello",
                member=self._configuration.members[said.source],
                pinned=known.hex(),
                got=said.signing_key.hex(),
            )
        if known is None:
            raw = self._keys.raw
            pinned = (*raw[: said.source], said.signing_key, *raw[said.source + 1 :])
            self._change(msgspec.structs.replace(self._kept, pinned=pinned), counted=True)
            self._keys.pin(said.source, said.signing_key)
        return appraisal

    def attest_hello(self, hello: Signed[Hello], *, session: bytes) -> Appraisal:
        """As ``take_hello``, of who may have another configuration: its evidence alone is judged.

        Raises:
            HelloInvalid: it does not show who it is, now and here.
            MemberUnattested: its evidence is not accepted, where that is required.
        """
        nonce = self._use_nonce(hello.what)
        check_shown(hello, self._configuration, session=session, nonce=nonce)
        return self._appraise(hello.what)

    def _use_nonce(self, said: Hello) -> bytes:
        if said.nonce not in self._nonces:
            raise HelloInvalid("check hello", reason="answers no nonce that is open")
        del self._nonces[said.nonce]
        return said.nonce

    def _appraise(self, said: Hello) -> Appraisal:
        c = self._configuration
        if c.attestation is Demand.OFF:
            return Appraisal()
        claims, refusal, now_s = None, "", self._host.wall_s()
        try:
            evidence = decode_evidence(said.evidence)
            claims = verify(evidence, signing_key=said.signing_key, now_s=now_s)
            appraise(claims, Policy(allowed=c.allowed), bound=said.bound(c), now_s=now_s)
        except OperatorError as error:
            if c.attestation is Demand.REQUIRE:
                member = c.members[said.source]
                raise MemberUnattested(
                    "check hello", member=member, why=error.code, **error.fields
                ) from None
            refusal = str(error)
        if claims is None:
            return Appraisal(refusal=refusal)
        details = ", ".join(f"{name}: {value}" for name, value in claims.details.items())
        return Appraisal(claims.back_end, claims.measurement.hex(), details, refusal)

    def ask(self, sealed: bytes) -> bytes:
        """Do what a sealed request asks; its sealed answer.

        Raises:
            SealedTextInvalid, BytesInvalid: it asks nothing of this start of this enclave.
            CertificateInvalid, StatementFalse: what it carries proves nothing.
        """
        place = place_of(self._configuration.hash, self.signing_key, self.boot)
        request, seal_answer = open_request(sealed, self._opening, place=place)
        return seal_answer(perform(self._voter, request, self._host.now_ms()))

    def close(self) -> None:
        """Let another process have the state."""
        self._close()

    def _store_sealed(self, sealed: Sealed) -> None:
        counted = must_count(self._kept.sealed, sealed)
        self._change(msgspec.structs.replace(self._kept, sealed=sealed), counted=counted)

    def _change(self, kept: KeptElection, *, counted: bool) -> None:
        if self._counting is None:
            self._store(kept)
        else:
            self._counting.seal(
                lambda count: self._store(msgspec.structs.replace(kept, count=count)),
                counted=counted,
            )
        self._kept = kept


def _open_state(
    path: Path, configuration: Configuration, source: int, secret: SealSecret, host: Host
) -> SealedState[KeptElection]:
    bound_to = configuration.hash + source.to_bytes(2, "big")
    state = SealedState.open(
        path, KeptElection, secret=secret, bound_to=bound_to, what="election", host=host
    )
    kept = state.found
    if kept is not None and (
        kept.version != _STATE_VERSION or len(kept.pinned) != configuration.count
    ):
        raise SealInvalid("read election", path=path, version=kept.version)
    return state


def _open_share(
    configuration: Configuration, source: int, files: ElectionFiles, host: Host
) -> ClusterShare | None:
    """The share that the configuration says this member has, sealed or in its keystore."""
    key, share, sealed = configuration.cluster_key, files.share, files.sealed
    if (key is None) != (share is None):
        raise ConfigInvalid(
            "open election", field="share", expected="one where members share a key"
        )
    if key is None or share is None:
        return None
    if share.public_share != key.public_shares[source]:
        raise ConfigInvalid("open election", field="share", reason="of another member")
    keys = None if sealed is None else SealedKeys.open(sealed, host.entropy, host.read)
    return ClusterShare(open_keys((share,), keys)[share.pubkey])


def _born(configuration: Configuration, source: int, entropy: Entropy) -> KeptElection:
    signing_secret = entropy(KEY_SIZE_BYTES)
    own = SigningKey(signing_secret).public
    pinned = tuple(own if index == source else None for index in range(configuration.count))
    return KeptElection(
        version=_STATE_VERSION,
        signing_secret=signing_secret,
        opening_secret=entropy(KEY_SIZE_BYTES),
        pinned=pinned,
        sealed=voter.born(configuration, source, entropy(BOOT_SIZE_BYTES)),
    )


def _counted(kept: KeptElection, host: Host) -> KeptElection:
    """A member that is born where there is a TPM is counted by it for all its lives."""
    if host.counters is None:
        return kept
    count = host.counters.of(kept.signing_secret).define()
    return msgspec.structs.replace(kept, counted_by=host.counters.name, count=count)


def _counting_of(kept: KeptElection, host: Host) -> Counting | None:
    """Without its counter a counted state is not opened: what it went on to would be unknown to it.

    Nor is another one with a counter: its older states have none, and would pass for the newest.
    """
    here = b"" if host.counters is None else host.counters.name
    if here != kept.counted_by:
        expected = kept.counted_by.hex() or "none"
        raise CounterMissing("open election", counted_by=expected, got=here.hex() or "none")
    if host.counters is None:
        return None
    return Counting(host.counters.of(kept.signing_secret), kept.count)
