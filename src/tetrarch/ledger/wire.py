"""Explicit bytes: integers big-endian, lists after their count, nothing optional and nothing free. Pure."""

from typing import Final

from tetrarch.errors import PeerFault

U8_MAX: Final = 2**8 - 1
U32_MAX: Final = 2**32 - 1
U64_MAX: Final = 2**64 - 1


class BytesInvalid(PeerFault):
    """Bytes that are not what stands there."""

    code = "ledger_bytes_invalid"


class Writer:
    """Appends; ``data`` has it all."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    @property
    def data(self) -> bytes:
        """What was written so far."""
        return b"".join(self._parts)

    def u8(self, value: int) -> "Writer":
        """One byte."""
        return self.raw(value.to_bytes(1, "big"))

    def u32(self, value: int) -> "Writer":
        """Four bytes."""
        return self.raw(value.to_bytes(4, "big"))

    def u64(self, value: int) -> "Writer":
        """Eight bytes."""
        return self.raw(value.to_bytes(8, "big"))

    def raw(self, data: bytes) -> "Writer":
        """As they are; their size is known to who reads them."""
        self._parts.append(data)
        return self

    def sized(self, data: bytes) -> "Writer":
        """After their size, of four bytes."""
        return self.u32(len(data)).raw(data)


class Reader:
    """Reads on; ``end`` says that all was read."""

    __slots__ = ("_data", "_place", "_what")

    def __init__(self, data: bytes, *, what: str) -> None:
        """``what``: as errors name it."""
        self._data = data
        self._place = 0
        self._what = what

    @property
    def place(self) -> int:
        """How much was read."""
        return self._place

    def raw(self, size_bytes: int) -> bytes:
        """So many bytes.

        Raises:
            BytesInvalid: there are fewer.
        """
        begin, self._place = self._place, self._place + size_bytes
        if self._place > len(self._data):
            raise BytesInvalid(f"read {self._what}", got_bytes=len(self._data), needed=self._place)
        return self._data[begin : self._place]

    def u8(self, *, lowest: int = 0, highest: int = U8_MAX) -> int:
        """One byte."""
        return self._within(int.from_bytes(self.raw(1), "big"), lowest, highest)

    def u32(self, *, lowest: int = 0, highest: int = U32_MAX) -> int:
        """Four bytes."""
        return self._within(int.from_bytes(self.raw(4), "big"), lowest, highest)

    def u64(self, *, lowest: int = 0, highest: int = U64_MAX) -> int:
        """Eight bytes."""
        return self._within(int.from_bytes(self.raw(8), "big"), lowest, highest)

    def sized(self, *, highest: int) -> bytes:
        """Bytes after their size."""
        return self.raw(self.u32(highest=highest))

    def end(self) -> None:
        """Nothing follows.

        Raises:
            BytesInvalid: something does.
        """
        if self._place != len(self._data):
            left = len(self._data) - self._place
            raise BytesInvalid(f"read {self._what}", bytes_left=left)

    def _within(self, value: int, lowest: int, highest: int) -> int:
        if not lowest <= value <= highest:
            raise BytesInvalid(f"read {self._what}", got=value, lowest=lowest, highest=highest)
        return value
