"""The compiled parts that modules are assembled from: one core and the kernels of each arch.

`ports/build.py` makes them; a wheel carries them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .errors import BuildError, UsageError

FOLDER = Path(__file__).parent / "_blobs"
INDEX = "index.json"


@dataclass(frozen=True)
class Kernel:
    """A relocation-free kernel.

    Attributes
    ----------
    code : bytes
        A multiple of 4 bytes.
    entry : int
        Offset of the entry point.
    """

    code: bytes
    entry: int


@dataclass(frozen=True)
class Blobs:
    """What is there for one architecture."""

    arch: str
    folder: Path
    entries: dict[str, int]

    def core(self, stream: bool = False) -> bytes:
        """The `.mpy` that programs and kernels are put into, those that take a stream or others."""
        return _read(self.folder / ("core_stream.mpy" if stream else "core.mpy"))

    def kernel(self, name: str) -> Kernel:
        """One kernel.

        Raises
        ------
        BuildError
            It is not there.
        """
        if name not in self.entries:
            raise BuildError(
                f"no kernel {name!r} for {self.arch}: run 'make build', or reinstall wingbeat"
            )
        return Kernel(_read(self.folder / f"{name}.bin"), self.entries[name])


def archs() -> tuple[str, ...]:
    """Architectures that modules can be assembled for.

    Raises
    ------
    BuildError
        Nothing was built.
    """
    return tuple(sorted(_index()))


def blobs_of(arch: str) -> Blobs:
    """The core and kernels of `arch`.

    Raises
    ------
    UsageError
        There is no such architecture.
    BuildError
        Nothing was built.
    """
    index = _index()
    if arch not in index:
        raise UsageError(f"no architecture {arch!r}: choose one of {', '.join(sorted(index))}")
    return Blobs(arch, FOLDER / arch, index[arch])


def _index() -> dict[str, dict[str, int]]:
    index: dict[str, dict[str, int]] = json.loads(_read(FOLDER / INDEX))
    return index


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BuildError(
            f"{path.name} is not there: run 'make build' in the source tree, or reinstall wingbeat"
        ) from error
