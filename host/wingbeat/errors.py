"""Every error that Wingbeat raises on purpose.

    WingbeatError                 base of all; the command line prints it and exits with 1
    +-- UsageError                the call itself is wrong (exit code 2)
    +-- DataError                 recordings or tables that cannot be read or used
    +-- ModelError                a model that cannot be converted
    |   +-- UnsupportedModelError a kind of model, or an option of it, that has no operator here
    +-- FormatError               a .wbp or .mpy file that is damaged or of another version
    +-- BuildError                kernels or cores are missing, or a compiler failed
    +-- TargetError               a board or an emulator did not do what it was asked to
        +-- DeviceError           the code on the target raised an exception
        +-- TransportError        the way to a board does not work, or broke

Each message says what was expected, what came, and the remedy.
"""


class WingbeatError(Exception):
    """Base of all errors that Wingbeat raises on purpose."""


class UsageError(WingbeatError):
    """The call is wrong: an option, an argument, a combination of them."""


class DataError(WingbeatError):
    """Recordings or tables that cannot be read or used."""


class ModelError(WingbeatError):
    """A model that cannot be converted as it is."""


class UnsupportedModelError(ModelError):
    """A kind of model, or an option of it, that has no operator here."""


class FormatError(WingbeatError):
    """A file that is damaged, cut short, or of another format version."""


class BuildError(WingbeatError):
    """Kernels or cores are missing, or building them failed."""


class TargetError(WingbeatError):
    """A board or an emulator did not do what it was asked to."""


class DeviceError(TargetError):
    """Code on the target raised an exception.

    Parameters
    ----------
    exception : str
        Name of the exception's type on the target, such as ``"ValueError"``.
    message : str
        Its text.
    """

    def __init__(self, exception: str, message: str) -> None:
        super().__init__(f"{exception} on the target: {message}")
        self.exception = exception
        self.message = message


class TransportError(TargetError):
    """The way to a board does not work, or broke.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    message : str
    """

    NOT_FOUND, BUSY, PERMISSION = "not found", "busy", "permission denied"
    VANISHED, SILENT = "vanished", "no MicroPython"
    KINDS = (NOT_FOUND, BUSY, PERMISSION, VANISHED, SILENT)

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
