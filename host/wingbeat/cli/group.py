"""How every command ends: exit codes, error messages, closed pipes."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from wingbeat.errors import UsageError, WingbeatError

FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130


class Group(TyperGroup):
    """Ends with 0, 1 (failed), 2 (wrong use) or 130 (Ctrl-C), and one line on stderr.

    With `--json` an error is also a JSON object on stdout: its text and the name of its class.
    """

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run and exit; never returns."""
        given = list(sys.argv[1:] if args is None else args)
        _prepare_streams()
        try:
            code = super().main(given, prog_name, complete_var, False, windows_expand_args, **extra)
            code = code if isinstance(code, int) else 0
        except (KeyboardInterrupt, typer.Abort):
            code = INTERRUPTED
        except BrokenPipeError:
            code = FAILED
        except Exception as error:
            code = _report(error, "--json" in given)
        _flush_or_drop()
        sys.exit(code)


def _report(error: Exception, as_json: bool) -> int:
    message, code, hint = str(error), FAILED, ""
    if isinstance(error, UsageError):
        code = WRONG_USE
    elif isinstance(error, OSError):
        message = _of_os_error(error)
    elif hasattr(error, "format_message"):  # Typer's own: an unknown option, a missing argument.
        message, code = error.format_message(), getattr(error, "exit_code", WRONG_USE)
        context = getattr(error, "ctx", None)
        hint = f" (see '{context.command_path} --help')" if context else ""
    elif not isinstance(error, WingbeatError):
        traceback.print_exception(error)
        message = f"{type(error).__name__}: {error}"
        hint = "\nThis is a fault of Wingbeat, not yours: please report it with the lines above."
    print(f"wingbeat: error: {message}{hint}", file=sys.stderr)
    if as_json:
        print(json.dumps({"error": message, "kind": type(error).__name__}))
    return code


def _of_os_error(error: OSError) -> str:
    if error.filename is None or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}"


def _prepare_streams() -> None:
    """Survive a stream that is closed, or that cannot print every character."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace" if name == "stdout" else "backslashreplace")


def _flush_or_drop() -> None:
    """Flush stdout; if nobody reads it any more, keep Python from complaining at its exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
