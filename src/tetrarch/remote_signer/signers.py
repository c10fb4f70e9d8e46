"""Several remote signers: which of them has which share, and who is asked when one does not answer.

Each share is asked for at the signers that list its public key, in the order of the
configuration; those that failed lately come last. What a signer refuses by its slashing
protection is asked of no other: it may know something that the other one does not.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

from tetrarch.observability.logs import Log
from tetrarch.remote_signer.client import Answer, Unfit
from tetrarch.remote_signer.errors import (
    RemoteSharesMissing,
    RemoteSignerAway,
    RemoteSignerFailed,
)

CHECK_INTERVAL_S = 10.0
START_RETRY_S = 1.0
ASIDE_S = 30.0  # how long one is asked last after a false signature
SHARES_NAMED_MAX = 16


class OneSigner(Protocol):
    """A ``client.RemoteSigner``."""

    @property
    def name(self) -> str:
        """Its address, for people."""
        ...

    async def sign(self, share: bytes, body: bytes) -> Answer:
        """Ask for one signature."""
        ...

    async def public_keys(self) -> frozenset[bytes]:
        """What it can sign with. Raises RemoteSignerFailed."""
        ...


class SignerMeter(Protocol):
    """Counts; metrics in production."""

    def up(self, signer: str, *, up: bool) -> None:
        """The signer answers, or it does not."""
        ...

    def answered(self, signer: str, kind: str, result: str, duration_s: float) -> None:
        """One request ended: signature, refused or unfit."""
        ...

    def lied(self, signer: str) -> None:
        """A signature of it was false."""
        ...


class _State:
    """What is known of one signer."""

    def __init__(self, signer: OneSigner) -> None:
        self.signer = signer
        self.keys: frozenset[bytes] = frozenset()
        self.up: bool | None = None
        self.aside_until_s = 0.0


class Signers:
    """``start`` once, then ``run`` beside; ``ask`` for signatures."""

    def __init__(
        self,
        signers: Sequence[OneSigner],
        *,
        shares: Iterable[bytes],
        log: Log,
        meter: SignerMeter,
        check_interval_s: float = CHECK_INTERVAL_S,
    ) -> None:
        """``shares``: this node's public shares, all of which must be somewhere."""
        self._states = tuple(_State(signer) for signer in signers)
        self._shares = frozenset(shares)
        self._log = log
        self._meter = meter
        self._check_interval_s = check_interval_s

    async def start(self, *, wait_s: float) -> None:
        """Ask every signer for its keys until each share has one, for at most ``wait_s``.

        Raises:
            RemoteSignerAway: a share has none, and some signer does not answer.
            RemoteSharesMissing: a share has none, and all signers answer.
        """
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + wait_s
        while True:
            await self.check()
            missing = self.missing()
            if not missing:
                return
            away = [state.signer.name for state in self._states if not state.up]
            named = ",".join("0x" + share.hex() for share in missing[:SHARES_NAMED_MAX])
            if not away:
                raise RemoteSharesMissing("find remote signers", shares=named, missing=len(missing))
            if loop.time() >= give_up_s:
                raise RemoteSignerAway(
                    "find remote signers", away=",".join(away), missing=len(missing), shares=named
                )
            await asyncio.sleep(START_RETRY_S)

    async def run(self) -> None:
        """Ask again and again who is up and has which keys."""
        while True:
            await asyncio.sleep(self._check_interval_s)
            await self.check()

    async def check(self) -> None:
        """Ask every signer at once."""
        async with asyncio.TaskGroup() as tasks:
            for state in self._states:
                tasks.create_task(self._check(state))

    def missing(self) -> tuple[bytes, ...]:
        """Our shares that no signer lists, ascending."""
        held = frozenset[bytes]().union(*(state.keys for state in self._states))
        return tuple(sorted(self._shares - held))

    def trouble(self) -> str | None:
        """Why the node cannot sign with all its shares now; for readiness."""
        held = frozenset[bytes]().union(*(state.keys for state in self._states if state.up))
        lacking = len(self._shares - held)
        return f"{lacking} of {len(self._shares)} shares have no remote signer" if lacking else None

    async def ask(
        self,
        share: bytes,
        kind: str,
        body: bytes,
        *,
        avoid: frozenset[str] = frozenset(),
    ) -> tuple[Answer, str]:
        """The answer that counts, and who gave it.

        A signature or a refusal ends the search; who only cannot is followed by the next one.

        Args:
            share: public key of our share.
            kind: for the metrics.
            body: the request's JSON; every signer gets the same bytes.
            avoid: names of signers that are not to be asked.
        """
        last: tuple[Answer, str] = Unfit("no remote signer has this share"), ""
        final = True
        loop = asyncio.get_running_loop()
        for state in self._candidates(share):
            if state.signer.name in avoid:
                continue
            started_s = loop.time()
            answer = await state.signer.sign(share, body)
            last = answer, state.signer.name
            result = type(answer).__name__.lower()
            self._meter.answered(state.signer.name, kind, result, loop.time() - started_s)
            if not isinstance(answer, Unfit):
                self._note(state, None)
                return last
            final = final and answer.final
            if answer.key_unknown:
                self._lose(state, frozenset({share}))
            elif not answer.final:
                self._note(state, answer.reason)
        answer, name = last
        if isinstance(answer, Unfit) and answer.final and not final:
            return Unfit(answer.reason), name  # another one may do it later
        return last

    def distrust(self, name: str) -> None:
        """It gave a false signature: ask it last for a while."""
        self._meter.lied(name)
        for state in self._states:
            if state.signer.name == name:
                state.aside_until_s = asyncio.get_running_loop().time() + ASIDE_S

    def _candidates(self, share: bytes) -> list[_State]:
        now_s = asyncio.get_running_loop().time()
        having = [state for state in self._states if share in state.keys]
        return sorted(having, key=lambda state: (state.aside_until_s > now_s, not state.up))

    async def _check(self, state: _State) -> None:
        try:
            keys = await state.signer.public_keys()
        except RemoteSignerFailed as error:
            self._note(state, str(error.fields["reason"]))
            return
        self._lose(state, state.keys - keys)
        state.keys = keys
        self._note(state, None)

    def _lose(self, state: _State, keys: frozenset[bytes]) -> None:
        """It has ``keys`` no longer; the next check may find them again."""
        lost = keys & state.keys & self._shares
        state.keys -= keys
        if lost:
            self._log.warning("remote_signer_lost_keys", signer=state.signer.name, keys=len(lost))

    def _note(self, state: _State, trouble: str | None) -> None:
        """Remember whether the signer is up; tell when that changes."""
        up = trouble is None
        if state.up is not up:
            name = state.signer.name
            if up:
                ours = len(state.keys & self._shares)
                self._log.info("remote_signer_up", signer=name, shares=ours)
            else:
                self._log.warning("remote_signer_down", signer=name, reason=trouble)
            self._meter.up(name, up=up)
        state.up = up
