"""The containers of one fork by their names in the specification."""

from collections.abc import Iterator, Mapping

from tetrarch.ssz.container import Container
from tetrarch.ssz.descriptor import SszType


class TypeTable:
    """Immutable: ``types.BeaconBlock`` is the fork's descriptor of that name.

    A fork's file builds its table from the one before with ``extended``.
    """

    def __init__(self, containers: Mapping[str, Container]) -> None:
        self._containers = dict(containers)

    def __getattr__(self, name: str) -> Container:
        try:
            return self.__dict__["_containers"][name]  # type: ignore[no-any-return]  # __dict__ is untyped
        except KeyError:
            raise AttributeError(f"this fork has no type {name}") from None

    def __contains__(self, name: str) -> bool:
        return name in self._containers

    def __iter__(self) -> Iterator[Container]:
        return iter(self._containers.values())

    def extended(self, *containers: Container) -> "TypeTable":
        """A table with containers added, or replaced where the name is known."""
        return TypeTable(self._containers | {each.name: each for each in containers})


def changed(base: Container, **fields: SszType) -> Container:
    """``base`` with fields replaced in place, and new ones appended in the given order."""
    return Container(base.name, base.fields | fields)
