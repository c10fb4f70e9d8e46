"""What ``msgspec`` raises for bytes that are not what they should be. Pure.

``UnicodeDecodeError`` is for text that is not UTF-8, which a ``DecodeError`` does not cover;
``RecursionError`` for values that are nested too deeply.
"""

from typing import Final

import msgspec

UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
