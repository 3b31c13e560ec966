"""`wingbeat convert`: from a trained model to the file that a board imports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from wingbeat.assemble import Module
from wingbeat.boards import board_named
from wingbeat.cli.files import load_array
from wingbeat.cli.options import (
    Json,
    complete_arch,
    complete_board,
    module_name,
    output_file,
    split_list,
)
from wingbeat.cli.output import Progress, bytes_table, described, emit, facts, in_words, warn
from wingbeat.convert import TYPECODES
from wingbeat.errors import DataError, FormatError, ModelError, UsageError
from wingbeat.forest.model import Forest
from wingbeat.net.model import Graph
from wingbeat.net.perceptron import Perceptron
from wingbeat.prefer import Choice, small_form, wide_form
from wingbeat.program import FORMAT_VERSION, Program

_MANY = 0.02
"""Share of rows that change their class, of which a user is told."""


class Missing(str, Enum):
    """Where NaN goes."""

    RIGHT = "right"
    FOLLOW = "follow"


class Prefer(str, Enum):
    """What matters more where layers have two forms."""

    SPEED = "speed"
    SIZE = "size"


class Ends(str, Enum):
    """What a net takes and gives."""

    INT8 = "int8"
    FLOAT = "float"


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A program (.wbp), a scikit-learn model (.skops), emlearn's .csv, or a net"
            " (.tflite).",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="NAME.mpy for boards, or NAME.wbp for a program that is the same for all.",
        ),
    ],
    arch: Annotated[
        str | None,
        typer.Option(help="Native code of the board.", autocompletion=complete_arch),
    ] = None,
    board: Annotated[
        str | None,
        typer.Option(help="The board, instead of --arch.", autocompletion=complete_board),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            help=f"What the model takes: {', '.join(TYPECODES)}. By default float32, or int16 for"
            " emlearn.",
            autocompletion=lambda: list(TYPECODES),
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="Names of the classes with commas between, instead of the model's own."),
    ] = None,
    rows: Annotated[
        Path | None,
        typer.Option(
            help="Feature rows (.npy), such as those of training: the class of each of them is"
            " kept when leaves are rounded. A perceptron needs them for its ranges."
        ),
    ] = None,
    targets: Annotated[
        Path | None,
        typer.Option(
            help="Perceptrons: true classes or values of the rows (.npy), to tell the accuracy"
            " before and after rounding to int8."
        ),
    ] = None,
    missing: Annotated[
        Missing,
        typer.Option(
            help="Where NaN goes in a float32 model: always right, or as in the source at the"
            " price of more nodes."
        ),
    ] = Missing.RIGHT,
    output_scale: Annotated[
        float | None,
        typer.Option(help="Regression: the value of one step of the output, such as 0.01."),
    ] = None,
    io: Annotated[
        Ends | None,
        typer.Option(
            help="Nets: what goes in and comes out, int8 in the net's own scale or float32."
            " By default as the file has it."
        ),
    ] = None,
    prefer: Annotated[
        Prefer | None,
        typer.Option(
            help="Nets: the fast form of each layer, or the one with fewer or shorter kernels. By"
            " default speed, if that fits the board."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="The module's name inside the file; by default that of the file."),
    ] = None,
    trust_pickle: Annotated[
        bool,
        typer.Option(
            "--trust-pickle", help="Load a .pkl or .joblib. That runs any code that is in it."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Turn a trained model into a .mpy that MicroPython imports."""
    output_file(output, (".mpy", ".wbp"))
    called = module_name(output.stem if name is None else name)
    target = _arch_of(output, arch, board)
    if output_scale is not None and not 0 < output_scale < float("inf"):
        raise UsageError(f"--output-scale {output_scale}: expected a number above 0")

    from wingbeat.sources import load_source

    with Progress(f"Converting {source.name}"):
        model = load_source(source, trust_pickle=trust_pickle)
        given = {
            "--dtype": dtype is not None,
            "--rows": rows is not None,
            "--targets": targets is not None,
            "--missing": missing is not Missing.RIGHT,
            "--output-scale": output_scale is not None,
        }
        if isinstance(model, Program):
            _refuse_options(
                {**given, "--io": io is not None},
                f"{source} is a program, whose numbers are fixed",
                "convert the model that it was made from",
            )
            program = _relabelled(model, split_list(labels, "--labels"), called)
        elif isinstance(model, Graph):
            _refuse_options(given, f"{source} is a net, whose numbers are fixed", "train it anew")
            program = _converted_net(model, source, called, labels, io)
        elif isinstance(model, Perceptron):
            of_trees = {each: given[each] for each in ("--missing", "--output-scale")}
            of_others = {**of_trees, "--io": io is not None}
            _refuse_options(of_others, f"{source} is a perceptron", "use --dtype for its ends")
            program = _converted_perceptron(model, source, called, dtype, labels, rows, targets)
        else:
            _refuse_options({"--targets": targets is not None}, f"{source} are trees", "use --rows")
            _refuse_options({"--io": io is not None}, "--io is for nets", "use --dtype")
            program = _converted(model, source, called, dtype, labels, rows, missing, output_scale)
        small = small_form(program)
        wide = None if target is None else wide_form(program, target)
        program = _chosen(prefer, program, small, wide, target, board)
        module = None if target is None else program.assemble(target)
    if module is None:
        program.save(output)
    else:
        module.save(output)
    leaves = program.meta.get("leaves", {})
    if leaves.get("rows_changed"):
        warn(
            f"rounding the leaves changes the class of {leaves['rows_changed']} of"
            f" {leaves['rows_checked']} rows: train with fewer or larger leaves"
        )
    _warn_of_rounding(program)
    document = _document(output, program, module, board)
    document["prefer"] = None if small is None else _traded(small, program, target)
    document["wide"] = None if wide is None or target is None else _widened(wide, program, target)
    emit(as_json, document, *_shown(document, program))


def _chosen(
    prefer: Prefer | None,
    program: Program,
    small: Choice | None,
    wide: Choice | None,
    arch: str | None,
    board: str | None,
) -> Program:
    """The form that is asked for; else the fastest that fits the board's heap."""
    forms = [each.program for each in (wide,) if each is not None]
    forms.append(program)
    if small is not None and prefer is not Prefer.SPEED:
        forms.append(small.program)
    if prefer is Prefer.SIZE:
        return forms[-1]
    if arch is None or board is None:
        return forms[0]
    from wingbeat.check import heap_need

    limit = board_named(board).heap
    for form in forms:
        if limit is None or heap_need(form.assemble(arch)).total <= limit:
            return form
    return forms[-1]


def _widened(wide: Choice, program: Program, arch: str) -> dict[str, Any]:
    known = [trade.cycles for trade in wide.trades if trade.cycles is not None]
    return {
        "chosen": program is wide.program,
        "bytes": -wide.bytes_saved(arch),
        "instructions": sum(known) if len(known) == len(wide.trades) else None,
        "layers": [asdict(trade) for trade in wide.trades],
    }


def _widened_in_words(widened: dict[str, Any]) -> str:
    """What weights of two bytes cost and bought."""
    instructions = widened["instructions"]
    time = "" if instructions is None else f" and {instructions:+,.0f} instructions (estimated)"
    chosen = "yes" if widened["chosen"] else "no; they would be"
    return f"{chosen}: {widened['bytes']:+,} bytes{time}"


def _traded(choice: Choice, program: Program, arch: str | None) -> dict[str, Any]:
    known = [trade.cycles for trade in choice.trades if trade.cycles is not None]
    return {
        "chosen": "size" if program is choice.program else "speed",
        "bytes_of_size": None if arch is None else -choice.bytes_saved(arch),
        "cycles_of_size": sum(known) if len(known) == len(choice.trades) else None,
        "kernels_without": list(choice.without),
        "kernels_instead": list(choice.instead),
        "layers": [asdict(trade) for trade in choice.trades],
    }


def _traded_in_words(traded: dict[str, Any]) -> str:
    """What the choice between size and speed cost and bought."""
    cost = traded["cycles_of_size"]
    time = "" if cost is None else f" and {cost:+,.0f} cycles (estimated, Cortex-M0+)"
    saved = traded["bytes_of_size"]
    size = "smaller kernels" if saved is None else f"{saved:+,} bytes"
    instead = " and ".join(traded["kernels_instead"])
    kernels = f", {instead} instead of" if instead else ", without"
    kernels = f"{kernels} {', '.join(traded['kernels_without'])}"
    chosen = "size" if traded["chosen"] == "size" else "speed; --prefer size would be"
    return f"{chosen}: {size}{time}{kernels}"


def _trades_table(name: str, layers: list[dict[str, Any]], unit: str) -> Table:
    """What another form of each layer costs and buys."""
    table = Table("operator", name)
    table.add_column("bytes", justify="right")
    table.add_column(unit, justify="right")
    for trade in layers:
        cycles = "" if trade["cycles"] is None else f"{trade['cycles']:+,.0f}"
        what = Text(trade["what"])
        table.add_row(str(trade["layer"] + 1), what, f"{trade['program_bytes']:+,}", cycles)
    return table


def _arch_of(output: Path, arch: str | None, board: str | None) -> str | None:
    if output.suffix == ".wbp":
        if arch or board:
            raise UsageError(
                f"{output} is a program, the same for all boards: drop --arch and --board, or write"
                f" {output.stem}.mpy"
            )
        return None
    if arch and board:
        raise UsageError("expected one of --arch and --board, got both")
    from wingbeat.blobs import blobs_of

    if arch:
        return blobs_of(arch).arch
    if board:
        return board_named(board).arch

    from wingbeat.blobs import archs
    from wingbeat.boards import boards

    raise UsageError(
        f"{output} is made for one kind of board: say which with --board ({', '.join(boards())}) or"
        f" --arch ({', '.join(archs())})"
    )


def _refuse_options(given: Mapping[str, bool], why: str, instead: str) -> None:
    wrong = [option for option, used in given.items() if used]
    if wrong:
        raise UsageError(f"{why}: drop {', '.join(wrong)}, or {instead}")


def _converted_net(
    net: Graph, source: Path, name: str, labels: str | None, io: Ends | None
) -> Program:
    from wingbeat.net.convert import convert_graph

    try:
        return convert_graph(
            net,
            name=name,
            labels=split_list(labels, "--labels"),
            io=None if io is None else io.value,
            meta={"source": source.name},
        )
    except (FormatError, ModelError) as error:
        raise type(error)(f"{source}: {error}") from error


def _converted_perceptron(
    model: Perceptron,
    source: Path,
    name: str,
    dtype: str | None,
    labels: str | None,
    rows: Path | None,
    targets: Path | None,
) -> Program:
    from wingbeat.convert import convert as convert_model

    if rows is None:
        raise UsageError(
            f"{source} is a perceptron, which becomes int8: give feature rows, such as those of"
            " training, with --rows ROWS.npy"
        )
    return convert_model(
        model,
        name=name,
        dtype=dtype,
        labels=split_list(labels, "--labels"),
        rows=load_array(rows),
        targets=None if targets is None else load_array(targets, texts=True),
        meta={"source": source.name},
    )


def _warn_of_rounding(program: Program) -> None:
    """Say so where int8 costs a perceptron more than a little."""
    found = program.meta.get("quantization", {})
    changed = found.get("classes_changed", 0)
    if changed > _MANY * found.get("rows", 0):
        remedy = (
            "let features be float32, so that each has a scale of its own"
            if program.input.typecode == "b"
            else "give more rows, of all classes, or train with a larger alpha"
        )
        warn(f"int8 changes the class of {changed} of {found['rows']} rows: {remedy}")


def _relabelled(program: Program, labels: tuple[str, ...] | None, name: str) -> Program:
    if labels is not None and len(labels) != len(program.labels):
        raise UsageError(f"{len(labels)} labels, but the model has {len(program.labels)} classes")
    return replace(program, name=name, labels=program.labels if labels is None else labels)


def _converted(
    forest: Forest,
    source: Path,
    name: str,
    dtype: str | None,
    labels: str | None,
    rows: Path | None,
    missing: Missing,
    output_scale: float | None,
) -> Program:
    from wingbeat.convert import convert as convert_model

    if output_scale is not None and forest.task != "regress":
        raise UsageError("--output-scale is for regression, this model tells classes: drop it")
    x = None if rows is None else load_array(rows)
    if x is not None and (x.ndim != 2 or x.shape[1] != forest.n_features):
        raise DataError(
            f"{rows} has the shape {list(x.shape)}: the model takes [rows, {forest.n_features}]"
        )
    return convert_model(
        forest,
        name=name,
        dtype=dtype,
        labels=split_list(labels, "--labels"),
        rows=x,
        missing=missing.value,
        output_scale=output_scale,
        meta={"source": source.name},
    )


def _document(
    output: Path, program: Program, module: Module | None, board: str | None
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "file": str(output),
        "name": program.name,
        "arch": module.arch if module else None,
        "board": board,
        "format": FORMAT_VERSION,
        "hash": program.hash,
        "input": described(program.input),
        "output": described(program.output),
        "decision": program.decision.name.lower(),
        "labels": program.labels,
        "arena": program.arena,
        "leaves": program.meta.get("leaves"),
        "quantization": program.meta.get("quantization"),
    }
    document["bytes"] = (
        {
            "core": module.core_size,
            "kernels": module.kernel_sizes,
            "program": module.program_size,
            "constants": module.constants_size,
            "file": len(module.data),
        }
        if module
        else {"program": len(program.encode()), "file": output.stat().st_size}
    )
    return document


def _shown(document: dict[str, Any], program: Program) -> list[Any]:
    sizes = document["bytes"]
    where = f" for {document['arch']}" if document["arch"] else ", a program for any board"
    rows = {
        "input": in_words(program.input),
        "output": in_words(program.output),
        "arena": f"{program.arena} bytes",
        "leaves": leaves_in_words(program.meta.get("leaves")),
        "int8": quantization_in_words(program.meta.get("quantization")),
        "hash": program.hash,
    }
    if document["prefer"]:
        rows["prefers"] = _traded_in_words(document["prefer"])
    if document["wide"]:
        rows["wide weights"] = _widened_in_words(document["wide"])
    shown: list[Any] = [Text(f"{document['file']}{where}")]
    shown.append(facts({key: value for key, value in rows.items() if value}))
    if document["prefer"] and document["prefer"]["chosen"] == "size":
        shown.append(_trades_table("with --prefer size", document["prefer"]["layers"], "cycles"))
    if document["wide"] and document["wide"]["chosen"]:
        shown.append(_trades_table("with wide weights", document["wide"]["layers"], "instructions"))
    if "core" in sizes:
        parts = {"core": sizes["core"]}
        parts |= {f"kernel {name}": size for name, size in sizes["kernels"].items()}
        parts |= {"program": sizes["program"], "labels, info, texts": sizes["constants"]}
        shown.append(bytes_table(parts))
    else:
        shown.append(Text(f"program of {sizes['program']} bytes"))
    return shown


def leaves_in_words(leaves: Any) -> str:
    """What rounding the leaves cost, for a person."""
    if not isinstance(leaves, dict) or "bits" not in leaves:
        return ""
    text = f"rounded to {leaves['bits']} bits"
    if leaves.get("rows_checked"):
        text += (
            f"; classes compared on {leaves['rows_checked']} rows, {leaves['rows_changed']} changed"
        )
    if "largest_error_in_steps" in leaves:
        text += f"; output within {leaves['largest_error_in_steps']:.4g} steps of the model's"
    return text


def quantization_in_words(quantization: Any) -> str:
    """What int8 changed, for a person."""
    if not isinstance(quantization, dict) or "rows" not in quantization:
        return ""
    text = f"outputs within {quantization['largest_difference']:.3g} of the model's"
    if "classes_changed" in quantization:
        text += f"; {quantization['classes_changed']} of {quantization['rows']} rows change class"
    for what in ("accuracy", "error"):
        if f"{what}_before" in quantization:
            before, after = (quantization[f"{what}_{when}"] for when in ("before", "after"))
            text += f"; {what} {before:.4g} before, {after:.4g} after"
    return text
