"""MicroPython as a process of this computer, or of an emulator of one: script in, output out."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from wingbeat.errors import DeviceError, TargetError
from wingbeat.targets import Execution, device_error

_LAST_WORDS = 200


def run_process(
    name: str,
    command: Sequence[str],
    script: str,
    *,
    folder: Path,
    environment: Mapping[str, str],
    timeout: float,
) -> Execution:
    """Run a command that takes a script from its standard input.

    Parameters
    ----------
    name : str
        The target's, for messages.
    folder : Path
        Where it runs.
    timeout : float
        Seconds.

    Raises
    ------
    DeviceError
        The script ended with an exception: a status of 1 and a traceback in the error output, or
        another status from ``sys.exit``.
    TargetError
        The process cannot be started, did not end in time or was ended by a signal.
    """
    try:
        done = subprocess.run(
            command,
            input=script.encode(),
            capture_output=True,
            cwd=folder,
            env=dict(environment),
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TargetError(
            f"{name}: the script did not end within {timeout:g} s; killed it"
        ) from None
    except OSError as error:
        raise TargetError(f"{name}: cannot start {command[0]}: {error}") from error
    stdout = done.stdout.decode(errors="replace")
    if done.returncode == 0:
        return Execution(stdout)
    stderr = done.stderr.decode(errors="replace")
    if done.returncode < 0:
        said = f" ({stderr.strip()[-_LAST_WORDS:]})" if stderr.strip() else ""
        raise TargetError(
            f"{name}: MicroPython died with {_signal_name(-done.returncode)}{said}; "
            f"its last words: {stdout[-_LAST_WORDS:]!r}"
        )
    raised = device_error(stderr) if done.returncode == 1 else None
    raise raised or DeviceError("SystemExit", str(done.returncode))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
