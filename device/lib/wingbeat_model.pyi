"""Types of what a model's module offers on the board, for editors.

`wingbeat deploy --stub` writes one of these for your model, named as its module is.
"""

from array import array
from typing import Any

class Model:
    """A model, ready to run. Nothing is allocated after it is made.

    Parameters
    ----------
    arena : buffer, optional
        Working memory: writable, 4-byte aligned, at least ``info["arena"]`` bytes. By default it
        is allocated.

    Raises
    ------
    ValueError
        The file is damaged, or the buffer does not do.
    MemoryError
        There is not enough heap in one piece.
    """

    labels: tuple[str, ...]
    scale: float
    info: dict[str, Any]

    def __init__(self, arena: bytearray | memoryview = ..., /) -> None: ...
    def predict(self, window: array[Any] | bytes | bytearray | memoryview, /) -> int:
        """Return the class number, or the value in steps of `scale`.

        Raises
        ------
        ValueError, TypeError
            The window is not what the model takes; the text says what it takes.
        """

    def run(
        self,
        window: array[Any] | bytes | bytearray | memoryview,
        out: array[Any] | bytearray | memoryview,
        /,
    ) -> None:
        """Write the raw outputs into `out`: the real values are ``out * scale``.

        Raises
        ------
        ValueError, TypeError
            The window or `out` is not what the model takes; the text says what it takes.
        """

    def push(
        self,
        block: array[Any] | bytes | bytearray | memoryview,
        out: array[Any] | bytearray | memoryview = ...,
        /,
    ) -> int | None:
        """Take the next samples of a stream, any number. Only models that take a stream have it.

        Returns
        -------
        int or None
            The last result that was due, as `predict` returns it (True if the model makes no
            decision), whose raw outputs are in `out` if it is given; None if no result was due.
            Push no more than ``info["input"][1][0]`` samples at once to miss none.

        Raises
        ------
        ValueError, TypeError
            The block or `out` is not what the model takes; the text says what it takes.
        """

    def reset(self) -> None:
        """Forget the stream so far. Only models that take a stream have it."""
