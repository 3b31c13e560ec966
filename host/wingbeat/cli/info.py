"""`wingbeat info`: what is inside of a module or a program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from wingbeat.assemble import Module
from wingbeat.cli.files import load_file
from wingbeat.cli.options import Json, output_file
from wingbeat.cli.output import described, emit, in_words
from wingbeat.describe import describe
from wingbeat.memory import blocks, drawn, live_bytes
from wingbeat.program import FORMAT_VERSION, Call, Program
from wingbeat.reference import Cast, ForestWalk, Leaves, Probability, Shift, WindowStats
from wingbeat.stream import pace_of

_SHOWN = 8
_DRAWN = 48  # most characters of a line that shows the arena
_BESIDE = 57  # characters for it and the operator's name, in 80
_LEAVES = {
    Leaves.PAIRS: "votes, up to 16 classes",
    Leaves.WIDE: "votes, any number of classes",
    Leaves.VALUES: "values",
}


def info(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A module (.mpy) or a program (.wbp).")
    ],
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="A picture of the arena over the operators."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell what is inside of a .mpy or .wbp file."""
    if plot is not None:
        output_file(plot, (".png",))
    loaded = load_file(file)
    module = loaded if isinstance(loaded, Module) else None
    program = loaded.program if isinstance(loaded, Module) else loaded
    document = _document(file, program, module)
    shown: list[RenderableType] = [_tree(document, program)]
    if len(program.calls) > 1:
        shown.append(_arena(program))
    if plot is not None:
        from wingbeat.plots import arena_over_operators

        arena_over_operators(program, plot)
        document["plot"] = str(plot)
    emit(as_json, document, *shown)


def _document(file: Path, program: Program, module: Module | None) -> dict[str, Any]:
    document: dict[str, Any] = {
        "file": str(file),
        "kind": "program" if module is None else "module",
        "arch": None if module is None else module.arch,
        "name": program.name,
        "format": FORMAT_VERSION,
        "hash": program.hash,
        "input": described(program.input),
        "output": described(program.output),
        "decision": program.decision.name.lower(),
        "labels": program.labels,
        "stream": _stream(program) if program.takes_stream else None,
        "arena": program.arena,
        "live": live_bytes(program),
        "tensors": [asdict(block) for block in blocks(program)],
        "operators": _operators(program, module),
    }
    size = {"file": file.stat().st_size}
    if module is None:
        document["bytes"] = {"program": len(program.encode()), **size}
        document["meta"] = {key: value for key, value in program.meta.items() if key != "layers"}
    else:
        document["bytes"] = {
            "core": module.core_size,
            "kernels": module.kernel_sizes,
            "program": module.program_size,
            "constants": module.constants_size,
            **size,
        }
    return document


def _stream(program: Program) -> dict[str, Any]:
    pace = pace_of(program)
    return {
        "channels": program.channels,
        "rate": program.rate,
        "window": pace.window,
        "hop": float(pace.hop) if pace.hop.denominator > 1 else int(pace.hop),
    }


def _operators(program: Program, module: Module | None) -> list[dict[str, Any]]:
    rows = [_operator(call, program, module) for call in program.calls]
    layers = program.meta.get("layers")
    if isinstance(layers, list) and len(layers) == len(rows):
        for row, layer in zip(rows, layers, strict=True):
            row["layer"] = str(layer)
    return rows


def _operator(call: Call, program: Program, module: Module | None) -> dict[str, Any]:
    operator = call.operator
    row: dict[str, Any] = {
        "kernel": operator.KERNEL,
        "opcode": int(operator.OPCODE),
        "operands": list(call.operands),
        "parameters": len(operator.encode()),
    }
    if module is not None:
        row["kernel_bytes"] = module.kernel_sizes[operator.KERNEL]
    if isinstance(operator, ForestWalk):
        row |= {
            "trees": len(operator.roots),
            "nodes": operator.n_nodes,
            "blocks": len(operator.blocks),
            "features": operator.n_features,
            "outputs": operator.n_outputs,
            "leaves": operator.leaves.name.lower(),
            "leaf_bits": _leaf_bits(operator, program),
        }
    elif isinstance(operator, WindowStats):
        row |= {
            "samples": operator.n_samples,
            "channels": operator.n_channels,
            "statistics": list(operator.statistics),
        }
    elif isinstance(operator, Probability):
        row |= {"scores": operator.n_scores, "fraction_bits": operator.fraction_bits}
    elif isinstance(operator, Shift):
        row |= {"elements": operator.n_elements, "bits": operator.shift}
    elif isinstance(operator, Cast):
        row |= {"elements": operator.n_elements, "from": operator.typecode}
    else:
        row["what"] = describe(operator)
    return row


def _leaf_bits(operator: ForestWalk, program: Program) -> int:
    leaves = program.meta.get("leaves")
    if isinstance(leaves, dict) and isinstance(leaves.get("bits"), int):
        return int(leaves["bits"])
    if operator.leaves is Leaves.VALUES:
        values = [value for block in operator.blocks for value in block.leaves]
        return max((value.bit_length() + 1 for value in values), default=0)
    return operator.full_weight.bit_length()


def _tree(document: dict[str, Any], program: Program) -> Tree:
    what = f"module for {document['arch']}" if document["arch"] else "program for any board"
    tree = Tree(Text(f"{document['file']}: {what}"))
    tree.add(Text(f"name {program.name}, format {document['format']}, hash {document['hash']}"))
    tree.add(Text(f"input {in_words(program.input)}"))
    tree.add(Text(f"output {in_words(program.output)}; predict: {document['decision']}"))
    if document["stream"]:
        _add_stream(tree, document["stream"], program)
    tree.add(Text(f"arena {program.arena} bytes"))
    if program.labels:
        tree.add(Text(f"{len(program.labels)} labels: {', '.join(program.labels)}"))
    sizes = document["bytes"]
    branch = tree.add(Text(f"file of {sizes['file']} bytes"))
    if "core" in sizes:
        branch.add(Text(f"core {sizes['core']}"))
        for kernel, size in sizes["kernels"].items():
            branch.add(Text(f"kernel {kernel} {size}"))
        branch.add(Text(f"program {sizes['program']}"))
        branch.add(Text(f"labels, info, texts {sizes['constants']}"))
    else:
        branch.add(Text(f"program {sizes['program']}"))
    branch = tree.add(Text("operators"))
    for number, row in enumerate(document["operators"], 1):
        detail = _in_words(row)
        head = f"{number} {row['kernel']}: parameters {row['parameters']} bytes"
        branch.add(Text(f"{head}; {detail}" if detail else head))
    if document.get("meta"):
        _grow(tree.add(Text("made from")), document["meta"])
    return tree


def _add_stream(tree: Tree, stream: Mapping[str, Any], program: Program) -> None:
    channels, rate = stream["channels"], stream["rate"]
    often = "" if rate is None else f" at {rate:g} a second"
    what = f"{program.input.dtype.name} samples of {channels} channel{'s'[: channels > 1]}"
    branch = tree.add(Text(f"stream of {what}{often}"))
    for key, text in (("window", "the first result after"), ("hop", "then one every")):
        lasts = "" if rate is None else f" ({stream[key] / rate:.3g} s)"
        branch.add(Text(f"{text} {stream[key]:g} samples{lasts}"))


def _arena(program: Program) -> Table:
    live = live_bytes(program)
    table = Table("", "operator", "live bytes", f"arena of {program.arena} bytes", box=None)
    table.columns[0].justify = table.columns[2].justify = "right"
    table.caption = "r read, w written, b both in place, s scratch, - held for later, . free"
    table.caption_justify = "left"
    longest = max(len(call.operator.KERNEL) for call in program.calls)
    for number, line in enumerate(drawn(program, min(_DRAWN, _BESIDE - longest))):
        kernel = program.calls[number].operator.KERNEL
        peak = " (peak)" if live[number] == max(live) else ""
        table.add_row(str(number + 1), Text(kernel), f"{live[number]}{peak:7}", Text(line))
    return table


def _grow(tree: Tree, facts: Mapping[str, Any]) -> None:
    for key, value in facts.items():
        if isinstance(value, Mapping) and (len(value) <= _SHOWN or key == "training"):
            _grow(tree.add(Text(key)), value)
        elif isinstance(value, (Mapping, list)) and (
            len(value) > _SHOWN or any(isinstance(item, (dict, list)) for item in value)
        ):
            tree.add(Text(f"{key}: {len(value)} entries (see --json)"))
        elif isinstance(value, float):
            tree.add(Text(f"{key}: {value:.4g}"))
        else:
            tree.add(Text(f"{key}: {value if isinstance(value, str) else json.dumps(value)}"))


def _in_words(row: dict[str, Any]) -> str:
    if "trees" in row:
        kind = _LEAVES[Leaves[row["leaves"].upper()]]
        return (
            f"{row['trees']} trees, {row['nodes']} nodes in {row['blocks']} blocks; leaves:"
            f" {kind}, {row['leaf_bits']} bits"
        )
    if "statistics" in row:
        return f"{row['samples']} samples x {row['channels']} channels: " + ", ".join(
            row["statistics"]
        )
    if "what" in row:
        _, _, name = row.get("layer", "").partition(" (")
        return f"{row['what']}; {name.removesuffix(')')}" if name else str(row["what"])
    known = ("kernel", "opcode", "operands", "parameters", "kernel_bytes")
    return ", ".join(f"{key} {value}" for key, value in row.items() if key not in known)
