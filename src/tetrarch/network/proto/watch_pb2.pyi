from tetrarch.network.proto import types_pb2 as _types_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class BlockSubscriptionRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TipSubscriptionRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SyncMultiverseRequest(_message.Message):
    __slots__ = ()
    FROM_FIELD_NUMBER: _ClassVar[int]
    def __init__(self, **kwargs) -> None: ...
