"""Media types of requests and answers: JSON or SSZ. Pure.

Source: RFC 9110, sections 8.3 and 12.5.1.
"""

JSON = "application/json"
SSZ = "application/octet-stream"
_RANGES_MAX = 32


def media_type(content_type: str) -> str:
    """``application/json; charset=utf-8`` without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def choose(accept: str, offered: tuple[str, ...]) -> str | None:
    """The offered type of the highest quality, or None where all are refused.

    Without a header, and between equals, the order of ``accept``'s own naming counts, then the
    order of ``offered``: put JSON first.
    """
    ranges = _parse(accept)
    if not ranges:
        return offered[0]
    best: tuple[float, int, int] | None = None
    chosen: str | None = None
    for place, kind in enumerate(offered):
        quality, named_at = _quality(kind, ranges)
        rank = (quality, -named_at, -place)
        if quality > 0 and (best is None or rank > best):
            best, chosen = rank, kind
    return chosen


def _parse(accept: str) -> list[tuple[str, float]]:
    ranges = []
    for item in accept.split(",")[:_RANGES_MAX]:
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        if not name:
            continue
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                quality = _parse_quality(value.strip())
        ranges.append((name, quality))
    return ranges


def _parse_quality(text: str) -> float:
    """A weight in [0, 1]; what is none counts as 0: never guess that a type is wanted."""
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0 <= value <= 1 else 0.0


def _quality(kind: str, ranges: list[tuple[str, float]]) -> tuple[float, int]:
    """Weight and place of the most specific range that covers ``kind``."""
    for candidate in (kind, kind.partition("/")[0] + "/*", "*/*"):
        for place, (name, quality) in enumerate(ranges):
            if name == candidate:
                return quality, place if candidate == kind else len(ranges)
    return 0.0, len(ranges)
