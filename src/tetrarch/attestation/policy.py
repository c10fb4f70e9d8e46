"""Which evidence is good enough: a list of what may run where. Pure."""

import hmac
from dataclasses import dataclass
from enum import StrEnum

from tetrarch.attestation.claims import BackEnd, Claims
from tetrarch.attestation.errors import EvidenceForeign, EvidenceRefused, EvidenceStale
from tetrarch.errors import ConfigInvalid

AGE_S_MAX = 600.0
CLOCK_SKEW_S_MAX = 60.0
MEASUREMENT_SIZES_BYTES = frozenset({32, 48})
# What makers call firmware with no known hole, or with one that software inside can close itself.
STATUSES = ("up-to-date", "UpToDate", "SWHardeningNeeded")


class Demand(StrEnum):
    """What becomes of a peer without evidence that the policy accepts."""

    OFF = "off"  # nobody asks
    RECORD = "record"  # it is named, and may stay
    REQUIRE = "require"  # it is refused


@dataclass(frozen=True, slots=True, order=True)
class Allowed:
    """One program on one back end, from a security version on.

    Its text is ``BACK_END:MEASUREMENT[:VERSION]``, as ``sev-snp:9a3f...:2``.
    """

    back_end: BackEnd
    measurement: bytes
    security_version_min: int = 0

    @classmethod
    def parse(cls, text: str) -> "Allowed":
        """Read the text form.

        Raises:
            ConfigInvalid: it is none; says why.
        """
        back_end, _, rest = text.partition(":")
        measurement, _, version = rest.partition(":")
        try:
            allowed = cls(BackEnd(back_end), bytes.fromhex(measurement), int(version or "0"))
        except ValueError:
            raise _not_allowed(text, "not BACK_END:HEX[:VERSION]") from None
        if len(allowed.measurement) not in MEASUREMENT_SIZES_BYTES:
            raise _not_allowed(text, "a measurement has 32 or 48 bytes")
        if allowed.security_version_min < 0:
            raise _not_allowed(text, "a version is not negative")
        return allowed

    def __str__(self) -> str:
        return f"{self.back_end}:{self.measurement.hex()}:{self.security_version_min}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a node accepts of others. ``software`` counts only where it is listed."""

    allowed: tuple[Allowed, ...]
    statuses: tuple[str, ...] = STATUSES
    age_s_max: float = AGE_S_MAX


def appraise(claims: Claims, policy: Policy, *, bound: bytes, now_s: float) -> Allowed:
    """Hold ``claims`` against ``policy``; return the entry that allows them.

    Args:
        claims: of evidence whose signatures are right.
        policy: the reference values.
        bound: what the evidence must be about, ``binding.report_data``.
        now_s: since 1970.

    Raises:
        EvidenceForeign: it is about something else.
        EvidenceStale: it, or its maker's statements, are not of now.
        EvidenceRefused: the policy does not want it; says which rule.
    """
    back_end = claims.back_end
    if not hmac.compare_digest(claims.bound, bound):
        raise EvidenceForeign("appraise evidence", back_end=back_end)
    _check_age(claims, policy, now_s)
    if claims.is_debug:
        raise EvidenceRefused("appraise evidence", back_end=back_end, reason="debug mode")
    if claims.status not in policy.statuses:
        raise EvidenceRefused(
            "appraise evidence",
            back_end=back_end,
            reason="the hardware's status",
            status=claims.status,
            advisories=",".join(claims.advisories),
        )
    same = [
        entry
        for entry in policy.allowed
        if (entry.back_end, entry.measurement) == (back_end, claims.measurement)
    ]
    if not same:
        raise EvidenceRefused(
            "appraise evidence",
            back_end=back_end,
            reason="not a listed measurement",
            measurement=claims.measurement.hex(),
        )
    for entry in same:
        if claims.security_version >= entry.security_version_min:
            return entry
    raise EvidenceRefused(
        "appraise evidence",
        back_end=back_end,
        reason="an older security version",
        security_version=claims.security_version,
        minimum=min(entry.security_version_min for entry in same),
    )


def _check_age(claims: Claims, policy: Policy, now_s: float) -> None:
    if claims.issued_s is not None:
        age_s = now_s - claims.issued_s
        if not -CLOCK_SKEW_S_MAX <= age_s <= policy.age_s_max:
            raise EvidenceStale(
                "appraise evidence",
                back_end=claims.back_end,
                age_s=round(age_s),
                maximum_s=policy.age_s_max,
            )
    if claims.fresh_until_s is not None and now_s > claims.fresh_until_s:
        raise EvidenceStale(
            "appraise evidence", back_end=claims.back_end, reason="its maker's statements expired"
        )


def _not_allowed(text: str, reason: str) -> ConfigInvalid:
    return ConfigInvalid("read attestation policy", entry=text[:200], reason=reason)
