"""A set of sequence numbers from 1, kept as ranges: small however many numbers it holds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

Range = tuple[int, int]
"""First and last number, both included."""


class SequenceSet:
    """Numbers that were seen, acknowledged or stored; grows with its gaps, not with its numbers."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def add(self, first: int, last: int | None = None) -> None:
        """Put in `first` to `last` (`first` alone without it); an empty range adds nothing."""
        last = first if last is None else last
        if first > last:
            return
        begin = self._index(first - 1)
        if begin < 0 or self._lasts[begin] < first - 1:
            begin += 1
        end = self._index(last + 1)
        if begin <= end:
            first = min(first, self._firsts[begin])
            last = max(last, self._lasts[end])
        self._firsts[begin : end + 1] = [first]
        self._lasts[begin : end + 1] = [last]

    def update(self, other: SequenceSet) -> None:
        """Put in all of `other`."""
        for first, last in other.ranges():
            self.add(first, last)

    def ranges(self) -> Iterator[Range]:
        """The ranges, rising; there is a gap between any two."""
        return zip(self._firsts, self._lasts, strict=True)

    def missing(self, first: int, last: int) -> list[Range]:
        """What of `first` to `last` is not in the set, as ranges."""
        found: list[Range] = []
        index = max(0, self._index(first))
        while first <= last and index < len(self._firsts):
            low, high = self._firsts[index], self._lasts[index]
            if low > last:
                break
            if first < low:
                found.append((first, low - 1))
            first = max(first, high + 1)
            index += 1
        if first <= last:
            found.append((first, last))
        return found

    @property
    def up_to(self) -> int:
        """The number up to which all from 1 are in the set, 0 when 1 is not."""
        return self._lasts[0] if self._firsts and self._firsts[0] <= 1 else 0

    @property
    def last(self) -> int:
        """The highest number, 0 when the set is empty."""
        return self._lasts[-1] if self._lasts else 0

    @property
    def range_count(self) -> int:
        """How many ranges there are."""
        return len(self._firsts)

    def __contains__(self, number: int) -> bool:
        index = self._index(number)
        return index >= 0 and number <= self._lasts[index]

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges())

    def _index(self, number: int) -> int:
        """Index of the last range that begins at or before `number`, -1 when there is none."""
        return bisect_right(self._firsts, number) - 1
