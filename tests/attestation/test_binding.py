"""Evidence of one enclave, node, life or question is no evidence for another."""

import hashlib
from dataclasses import replace

import pytest
from tests.attestation.test_policy import NONCE, SUBJECT

from tetrarch.attestation.binding import report_data
from tetrarch.errors import InvariantBroken

BOUND = report_data(SUBJECT, NONCE)


def test_bytes_are_those_that_every_release_makes() -> None:
    parts = (
        SUBJECT.signing_key,
        SUBJECT.sealing_key,
        b"node1",
        SUBJECT.configuration_hash,
        SUBJECT.incarnation,
        NONCE,
    )
    text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    assert hashlib.sha512(b"tetrarch attestation v1" + text).digest() == BOUND


def test_everything_is_bound() -> None:
    others = (
        replace(SUBJECT, signing_key=b"x" * 32),
        replace(SUBJECT, sealing_key=b"x" * 32),
        replace(SUBJECT, node="node2"),
        replace(SUBJECT, configuration_hash=b"x" * 32),
        replace(SUBJECT, incarnation=b"x" * 32),
    )
    assert BOUND not in {report_data(other, NONCE) for other in others}


def test_bytes_do_not_slip_from_one_field_to_the_next() -> None:
    slipped = replace(SUBJECT, sealing_key=SUBJECT.sealing_key + b"n", node="ode1")
    assert report_data(slipped, NONCE) != BOUND
    assert report_data(SUBJECT, b"m" * 32) != BOUND
    assert len(BOUND) == 64
    with pytest.raises(InvariantBroken):
        report_data(SUBJECT, b"short")
