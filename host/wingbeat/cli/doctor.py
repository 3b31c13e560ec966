"""`wingbeat doctor`: what is connected, and what is wrong with it."""

from __future__ import annotations

from typing import Any

import typer
from rich.text import Text

from wingbeat.board import Facts, ask, native_works, problem_of, usable_arch
from wingbeat.cli.options import Json, PortOption, ViaOption
from wingbeat.cli.output import emit, facts, say
from wingbeat.errors import TargetError, TransportError
from wingbeat.transport import list_ports, open_transport


def doctor(port: PortOption = None, via: ViaOption = "mpremote", as_json: Json = False) -> None:
    """Look at each board that is connected, and say what is wrong and what to do."""
    ports = [found.device for found in list_ports()] if port is None else [port]
    if not ports:
        open_transport(None, via)
    reports = [_examined(device, via) for device in ports]
    shown: list[Any] = []
    for report in reports:
        shown += [Text(report["port"]), facts(_in_words(report)), Text("")]
    emit(as_json, {"boards": reports}, *shown[:-1])
    ill = [report for report in reports if report["problem"]]
    for report in ill:
        say(f"wingbeat: error: {report['port']}: {report['problem']}")
    if ill:
        raise typer.Exit(1)


def _examined(port: str, via: str) -> dict[str, Any]:
    report: dict[str, Any] = {"port": port, "native_code": None, "problem": None, "kind": None}
    try:
        with open_transport(port, via) as transport:
            found = ask(transport)
            report |= found.to_json()
            report["problem"] = problem_of(found)
            if report["problem"] is None:
                report["native_code"] = native_works(transport, usable_arch(found))
                if not report["native_code"]:
                    report["problem"] = _why_not(found)
            transport.start()
    except TransportError as error:
        report |= {"problem": str(error), "kind": error.kind}
    except TargetError as error:
        report["problem"] = str(error)
    return report


def _why_not(found: Facts) -> str:
    if found.disk_free < 3 * max(1, found.disk_block) + 4096:
        return (
            f"the file system has {found.disk_free} bytes free, too few for a model: remove files"
        )
    return (
        f"a native module for {found.arch} does not run on {found.machine} with MicroPython"
        f" {found.version}: install the newest firmware from micropython.org/download"
    )


def _in_words(report: dict[str, Any]) -> dict[str, str]:
    if "machine" not in report:
        return {"board": f"not reached ({report['kind'] or 'no answer'})"}
    major, minor = report["mpy_version"]
    native = {True: "loads and runs", False: "does not run", None: "not tried"}
    return {
        "board": report["machine"] + (" (emulated)" if report["emulated"] else ""),
        "firmware": f"MicroPython {report['version']}",
        ".mpy": f"version {major}.{minor}, {report['arch'] or 'no native code'}",
        "heap": f"{report['heap_free']} bytes free, {report['heap_largest']} in one piece",
        "files": f"{report['disk_free']} bytes free of {report['disk_size']}",
        "ROMFS": f"{report['rom_size']} bytes" if report["rom_size"] else "none",
        "native code": native[report["native_code"]],
    }
