"""What every vocabulary can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ostinato._lean_dataclass import lean_dataclass
from ostinato.errors import ArgumentError, DataError, ModelFileError, OstinatoError

Ids = NDArray[np.int32]
Setting = str | bool | int
LARGEST = 2**31 - 1


class Stored(NamedTuple):
    """A vocabulary as data for a model file.

    Args:
        settings: Plain values.
        tensors: int64 and uint8 arrays by the names in `Vocabulary.tensor_axes`.
    """

    settings: dict[str, Setting]
    tensors: dict[str, NDArray[Any]]


class Encoded(NamedTuple):
    """Several texts or tunes as one row of ids.

    Args:
        ids: `[n]`, one after the other.
        lengths: `[texts]`, how many ids belong to each.
        unknown: How many ids are the unknown symbol.
    """

    ids: Ids
    lengths: NDArray[np.int64]
    unknown: int


@lean_dataclass(frozen=True, kw_only=True)
class Vocabulary(ABC):
    """A frozen map from symbols to whole numbers `0 … size - 1` and back.

    The special symbols come first: unknown (if the vocabulary has one), then start and end of an item (if `items`).

    Args:
        items: There are symbols for the start and the end of an item; continuous text needs none.
    """

    items: bool = False

    tensor_axes: ClassVar[dict[str, int]] = {}
    """Number of axes of each tensor that `store` gives."""

    @property
    def has_unknown(self) -> bool:
        """True if symbols that the vocabulary does not know become one special symbol, False if they are an error."""
        return False

    @property
    def specials(self) -> tuple[str, ...]:
        """Names of the special symbols, by their ids."""
        return ("unknown",) * self.has_unknown + ("start", "end") * self.items

    @property
    def unknown_id(self) -> int | None:
        """The id of the unknown symbol, if there is one."""
        return 0 if self.has_unknown else None

    @property
    def start_id(self) -> int | None:
        """The id of the start of an item, if there is one."""
        return int(self.has_unknown) if self.items else None

    @property
    def end_id(self) -> int | None:
        """The id of the end of an item, if there is one."""
        return int(self.has_unknown) + 1 if self.items else None

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of ids, the special ones included."""

    @abstractmethod
    def encode(self, source: Any) -> Ids:
        """The ids `[n]` of one text or tune, without start and end."""

    def encode_each(self, sources: Sequence[Any]) -> list[Ids]:
        """The ids of several texts or tunes, each by itself."""
        return [self.encode(source) for source in sources]

    @abstractmethod
    def decode(self, ids: ArrayLike) -> Any:
        """The text or tune that ids `[n]` stand for; start and end stand for nothing."""

    @property
    @abstractmethod
    def settings(self) -> dict[str, Setting]:
        """What `store` keeps beside tensors."""

    @abstractmethod
    def store(self) -> Stored:
        """The vocabulary as data; `restore` rebuilds it."""

    @classmethod
    @abstractmethod
    def from_stored(cls, stored: Stored) -> Self:
        """Rebuild from data whose names `restore` has checked; refuses by any `OstinatoError` or `ValueError`."""

    def encode_item(self, source: Any) -> Ids:
        """The ids `[n + 2]` of one item between its start and its end."""
        if self.start_id is None or self.end_id is None:
            raise ArgumentError(
                "the vocabulary must have symbols for the start and end of items",
                got="items=False",
                fix="Fit it with items=True.",
            )
        return np.concatenate([[self.start_id], self.encode(source), [self.end_id]]).astype(np.int32)

    def encode_all(self, sources: Iterable[Any]) -> Encoded:
        """All ids of several texts or tunes, each between its start and its end if `items`."""
        rows = [self.encode_item(source) if self.items else self.encode(source) for source in sources]
        ids = np.concatenate([np.empty(0, np.int32), *rows])
        return Encoded(ids, np.array([len(row) for row in rows], dtype=np.int64), self.count_unknown(ids))

    def count_unknown(self, ids: ArrayLike) -> int:
        """How many of the ids are the unknown symbol."""
        return 0 if self.unknown_id is None else int((self.checked(ids) == self.unknown_id).sum())

    def checked(self, ids: ArrayLike) -> Ids:
        """`ids` as int32 `[n]`.

        Raises:
            DataError: `dtype`, they are not whole numbers in one row; `id`, some are below 0 or not below `size`.
        """
        array = np.asarray(ids)
        if array.size == 0 and array.ndim == 1:
            return np.empty(0, np.int32)
        if array.dtype.kind not in "iu" or array.ndim != 1:
            raise DataError(
                "ids must be whole numbers [n]",
                got=f"dtype {array.dtype}, shape {array.shape}",
                fix="Pass one sequence of integers.",
                code="dtype",
            )
        bad = np.flatnonzero((array < 0) | (array >= self.size))
        if bad.size:
            raise DataError(
                f"ids must lie in 0 … {self.size - 1}",
                got=str(array[bad[0]]),
                fix="Pass ids of this vocabulary.",
                where=[f"position {i}" for i in bad[:5]],
                count=int(bad.size),
                code="id",
            )
        return array.astype(np.int32)


def restore(cls: type[Vocabulary], settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Vocabulary:
    """Rebuild a vocabulary from what its `store` gave, after a file brought it back.

    Args:
        cls: Its class, from `VOCABULARIES`.
        settings: Its settings.
        tensors: Its tensors.

    Raises:
        ModelFileError: Code `vocabulary`: names, types or values are not those of such a vocabulary.
    """
    got = {name: array.ndim for name, array in tensors.items()}
    if got != cls.tensor_axes:
        raise _refuse(f"the tensors of a vocabulary must be {cls.tensor_axes}", str(got)[:200])
    try:
        made = cls.from_stored(Stored(dict(settings), dict(tensors)))
    except ModelFileError:
        raise
    except (OstinatoError, ValueError, TypeError, KeyError) as error:
        raise _refuse("a stored vocabulary must be complete and valid", ascii(str(error)[:200])) from None
    again = made.settings
    if again != settings or any(type(v) is not type(settings[k]) for k, v in again.items()):
        raise _refuse(f"the settings of a vocabulary must be {sorted(again)}", ascii(sorted(settings))[:200])
    return made


def _refuse(rule: str, got: str) -> ModelFileError:
    return ModelFileError(rule, got=got, fix="Save the model again.", code="vocabulary")


def stored_ints(stored: Stored, name: str) -> NDArray[np.int64]:
    """An int64 tensor of a vocabulary.

    Raises:
        ModelFileError: It is of another type or holds values outside 0 … 2**31 - 1.
    """
    array = stored.tensors[name]
    if array.dtype != np.int64 or (array.size and (array.min() < 0 or array.max() > LARGEST)):
        raise _refuse(f"the tensor {name!r} must hold int64 values from 0 to {LARGEST}", str(array.dtype))
    return array
