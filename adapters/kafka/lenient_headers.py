"""Makes aiokafka read records whose header names are not UTF-8.

Kafka takes any bytes as a header's name, aiokafka raises ``UnicodeDecodeError`` for the whole answer of the broker: one
such record would stop its partition for good, with no way around it.
"""

import struct
from collections.abc import Iterator
from typing import SupportsIndex

import aiokafka.consumer.fetcher
from aiokafka.record.default_records import DefaultRecord, DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.legacy_records import LegacyRecordBatch

# The offset and length in front of each batch, and where in it the version of its format stands.
_LENGTH = struct.Struct(">qi")
_VERSION_AT = 16
_CURRENT_VERSION = 2


class LenientRecords:
    """The batches of a broker's answer; takes the place of aiokafka's ``MemoryRecords``."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._at = 0

    def size_in_bytes(self) -> int:
        return len(self._data)

    def has_next(self) -> bool:
        """Whether another whole batch follows; the last one may be cut off."""
        rest = len(self._data) - self._at
        return rest > _VERSION_AT and rest >= self._next_size()

    def next_batch(self) -> "LenientBatch | LegacyRecordBatch":
        end = self._at + self._next_size()
        data = self._data[self._at : end]
        self._at = end
        version = data[_VERSION_AT]
        return LenientBatch(data) if version >= _CURRENT_VERSION else LegacyRecordBatch(data, version)

    def _next_size(self) -> int:
        _, length = _LENGTH.unpack_from(self._data, self._at)
        return _LENGTH.size + int(length)


class LenientBatch:
    """A batch that is decoded fast, or where that fails once more with lenient header names."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._batch = DefaultRecordBatch(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[DefaultRecord]:
        try:
            return iter(list(self._batch))
        except UnicodeDecodeError:
            batch = _DefaultRecordBatchPy(self._data)
            iter(batch)  # decompresses the records
            batch._buffer = _LenientBytes(batch._buffer)  # noqa: SLF001 - the names are decoded from slices of it
            return iter(list(batch))


class _LenientBytes(bytearray):
    """Bytes that decode to some text whatever they hold."""

    def __getitem__(self, at: SupportsIndex | slice) -> object:  # type: ignore[override] # one type for both kinds
        found = super().__getitem__(at)
        return _LenientBytes(found) if isinstance(found, bytearray) else found

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)


def accept_any_header_name() -> None:
    """Have all aiokafka consumers of this process read such records, the names' other bytes escaped."""
    aiokafka.consumer.fetcher.MemoryRecords = LenientRecords
