"""Answers a node's calls about its election; holds the one election of this enclave."""

from dataclasses import replace
from pathlib import Path

import msgspec

from tetrarch.election import codec
from tetrarch.election.documents import read_configuration
from tetrarch.election.hello import Appraisal
from tetrarch.enclave.attesting import Attester
from tetrarch.enclave.electing import Electing
from tetrarch.enclave.election_files import ElectionFiles
from tetrarch.enclave.election_messages import (
    TEXT_MAX,
    AskElection,
    AttestHello,
    Challenge,
    ElectionAnswer,
    ElectionCall,
    ElectionOpened,
    Met,
    OpenElection,
    Said,
    SayHello,
    TakeHello,
)
from tetrarch.enclave.errors import FrameInvalid
from tetrarch.enclave.host import Host
from tetrarch.enclave.seal_secret import SealSecret
from tetrarch.enclave.tpm_counter import TpmCounters
from tetrarch.errors import InputInvalid


class ElectionCalls:
    """``answer`` calls, ``close`` at the end."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._electing: Electing | None = None

    @property
    def is_open(self) -> bool:
        """Whether ``OpenElection`` was answered."""
        return self._electing is not None

    def attest_by(self, attester: Attester, counters: TpmCounters | None) -> None:
        """Have a TPM vouch for this enclave, and count its states, in an election not yet open.

        Raises:
            InputInvalid: it is.
        """
        if self._electing is not None:
            raise InputInvalid("choose attester", reason="the election is open already")
        self._host = replace(self._host, attester=attester, counters=counters)

    def answer(self, call: ElectionCall) -> ElectionAnswer:
        """Do what ``call`` asks.

        Raises:
            TetrarchError: it cannot, or must not, be done.
        """
        if isinstance(call, OpenElection):
            return self._open(call)
        electing = self._electing
        if electing is None:
            raise FrameInvalid("ask enclave", reason="the election is not open")
        match call:
            case Challenge():
                return Said(electing.challenge())
            case SayHello(session=session, nonce=nonce):
                return Said(codec.encode(electing.say_hello(session=session, nonce=nonce)))
            case TakeHello(hello=hello, session=session):
                return _met(electing.take_hello(codec.decode_hello(hello), session=session))
            case AttestHello(hello=hello, session=session):
                return _met(electing.attest_hello(codec.decode_hello(hello), session=session))
            case AskElection(sealed=sealed):
                return Said(electing.ask(sealed))

    def close(self) -> None:
        """Let another process have the state."""
        if self._electing is not None:
            self._electing.close()
            self._electing = None

    def _open(self, call: OpenElection) -> ElectionOpened:
        if self._electing is not None:
            raise InputInvalid("open election", reason="it is open already")
        configuration, _ = read_configuration(call.configuration)
        electing = Electing.open(
            files=ElectionFiles(
                Path(call.folder), SealSecret.of(call.secret), call.share, call.sealed
            ),
            configuration=configuration,
            source=call.source,
            host=self._host,
            accepts_cold_start=call.accepts_cold_start,
        )
        self._electing = electing
        return ElectionOpened(
            electing.signing_key,
            electing.sealing_key,
            electing.boot,
            electing.pinned,
            electing.is_older,
        )


def _met(appraisal: Appraisal) -> Met:
    return Met(*(text[:TEXT_MAX] for text in msgspec.structs.astuple(appraisal)))
