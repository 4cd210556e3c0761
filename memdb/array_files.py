"""Files of NumPy arrays under MEMDB_HOME, and NumPy's format anywhere: judged before anything is read.

NumPy itself makes room for whatever shape a head claims, and reads an archive that is named .npy as one.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from memdb import files

MOST_BYTES = 4 << 30  # of an archive, unpacked
_MOST_MEMBERS = 20_000
_MOST_HEAD = 10_000


@contextmanager
def arrays(path: Path, *others: Path, most: int = MOST_BYTES) -> Iterator[Mapping[str, NDArray[Any]] | None]:
    """The arrays of an .npz file, (n, d) or other shapes, read when looked at; None where there is no file.

    Sizes are judged before anything is unpacked.

    Args:
        path: the file.
        others: what is set aside with it.
        most: bytes of all arrays.

    Raises:
        DamagedFile: it is damaged, also where its arrays are not what the caller expects; it was set aside.
    """
    with files.opened(path, most, *others) as file, files.reading(path, *others):
        if file is None:
            yield None
            return
        with zipfile.ZipFile(file) as archive:
            yield _Arrays(archive, most)


def array(path: Path, *, most: int = MOST_BYTES) -> NDArray[Any] | None:
    """The array of an .npy file, (n, d) or of another shape; None where there is no file.

    Raises:
        DamagedFile: it is none; it was set aside.
    """
    with files.opened(path, most) as file, files.reading(path):
        return None if file is None else read_array(file, os.fstat(file.fileno()).st_size)


def read_array(file: IO[bytes], size: int) -> NDArray[Any]:
    """One array, (n, d) or of another shape, in NumPy's format, whose head is judged before anything is read.

    Args:
        file: at its beginning.
        size: bytes that there are.

    Raises:
        ValueError: it is none, holds objects, or less or more than its shape says.
    """
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        head = np.lib.format.read_array_header_1_0(file, max_header_size=_MOST_HEAD)
    elif version == (2, 0):
        head = np.lib.format.read_array_header_2_0(file, max_header_size=_MOST_HEAD)
    else:
        raise ValueError(f"version {version[0]}.{version[1]} of NumPy's format is not read")
    shape, columns_first, dtype = head
    if dtype.hasobject:
        raise ValueError("it holds objects")
    if any(type(length) is not int or length < 0 for length in shape) or not dtype.itemsize:
        raise ValueError(f"it has the shape {str(shape)[:80]}")
    wanted = prod(shape) * dtype.itemsize
    if wanted != size - file.tell():
        raise ValueError(
            f"its shape {str(shape)[:80]} needs {wanted:,} bytes, and {size - file.tell():,} follow"
        )
    raw = file.read(wanted)
    if len(raw) != wanted:
        raise ValueError("it ends too early")
    flat = np.frombuffer(bytearray(raw), dtype)
    return flat.reshape(shape, order="F" if columns_first else "C")


def checked(
    array: NDArray[Any],
    kinds: str,
    *shape: int | None,
    least: float = -np.inf,
    most: float = np.inf,
    gaps: bool = False,
) -> NDArray[Any]:
    """An array of a file, (n,), (n, d) or of another shape, if it is what its reader takes it for.

    Args:
        array: as it was read.
        kinds: of numbers, as NumPy's `dtype.kind` has them: "f", "iu".
        shape: its lengths; None where any will do.
        least: its smallest value.
        most: its largest value.
        gaps: NaN stands for what there is not.

    Raises:
        ValueError: it is not.
    """
    fits = len(shape) == array.ndim and all(w in (None, n) for w, n in zip(shape, array.shape, strict=True))
    if array.dtype.kind not in kinds or not fits:
        raise ValueError(f"an array of {array.dtype} has the shape {str(array.shape)[:80]}")
    values = array[~np.isnan(array)] if gaps else array
    if values.size and not (least <= values.min() and values.max() <= most):
        raise ValueError(f"its values run from {array.min()} to {array.max()}")
    return array


class _Arrays(Mapping[str, NDArray[Any]]):
    def __init__(self, archive: zipfile.ZipFile, most: int) -> None:
        members = archive.infolist()
        size = sum(member.file_size for member in members)
        if len(members) > _MOST_MEMBERS or size > most:
            raise ValueError(f"it holds {len(members):,} arrays of {size:,} bytes")
        self._archive = archive
        self._members = {member.filename.removesuffix(".npy"): member for member in members}

    def __getitem__(self, name: str) -> NDArray[Any]:
        member = self._members[name]
        with self._archive.open(member) as file:
            return read_array(file, member.file_size)

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)
