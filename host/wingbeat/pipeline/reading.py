"""Pipelines from TOML: presets and files, with an error that names the place of what is wrong."""

from __future__ import annotations

import difflib
import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from wingbeat.augment import AugmentOptions
from wingbeat.errors import FormatError, UsageError
from wingbeat.stages import STAGES, JoinStage, Stage

from .options import AfterOptions, ModelOptions
from .pipeline import Pipeline

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_KEYS: Mapping[str, tuple[str, ...]] = {
    "stream": ("rate", "channels", "scale", "pad", "stage", "after", "augment"),
    "rows": ("dtype",),
    "image": ("pixels", "size", "stage"),
}
"""What a pipeline's file may say for each kind of input."""

_INPUTS = {"stream": "a stream", "rows": "rows of a table", "image": "an image"}

_LARGEST = 1e9  # of a number in a file
_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def presets() -> tuple[str, ...]:
    """Names that `load_pipeline` knows."""
    folder = files("wingbeat") / "presets"
    return tuple(sorted(each.name[:-5] for each in folder.iterdir() if each.name.endswith(".toml")))


def load_pipeline(source: Path | str) -> Pipeline:
    """Read a preset by its name, or a .toml file.

    Raises
    ------
    FormatError
        The file is not TOML, or something in it is unknown or missing; the message names it and
        the nearest that is known.
    UsageError
        There is no such preset or file, or a value is out of range.
    """
    text = str(source)
    if text in presets():
        content = (files("wingbeat") / "presets" / f"{text}.toml").read_text()
        return parse_pipeline(content, text)
    path = Path(source)
    if not path.exists():
        raise UsageError(
            f"no pipeline {text!r}: expected a .toml file, or one of {', '.join(presets())}"
        )
    try:
        return parse_pipeline(path.read_text(), path.name)
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: not a text file: {error}") from error


def parse_pipeline(text: str, name: str) -> Pipeline:
    """The pipeline that a TOML text describes; see `load_pipeline`."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also of numbers and lists too long for Python
        raise FormatError(f"{name}: not TOML: {error}") from error
    _check_keys(name, document, {"input", "split", "model", *sum(_KEYS.values(), ())})
    source = str(document.get("input", "stream"))
    known = _KEYS.get(source, ())
    wrong = [key for key in document if key not in ("input", "split", "model", *known)]
    if source in _KEYS and wrong:
        raise FormatError(f"{name}: {', '.join(wrong)}: not for {_INPUTS[source]}; leave it out")
    of_time = source not in ("rows", "image")
    if of_time and "rate" not in document:
        raise FormatError(f"{name}: expected rate = SAMPLES A SECOND; add it")
    rate = document.get("rate", 0.0)
    if not _fits(rate, float) or (of_time and not rate > 0):
        raise FormatError(f"{name}: rate = {_short(rate)}: expected a number above 0")
    listed = document.get("stage", [])
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise FormatError(f"{name}: expected stages as [[stage]] tables")
    stages = tuple(_stage(f"{name}, stage {number}", each) for number, each in enumerate(listed, 1))
    model = document.get("model", {})
    options = _made(f"{name}, model", ModelOptions, model)
    keys = ("channels", "scale", "pad", "input", "dtype", "split", "pixels", "size")
    others = {key: document[key] for key in keys if key in document}
    hints = {**get_type_hints(Pipeline), "split": str}
    for key, value in others.items():
        if not _fits(value, hints[key]):
            raise FormatError(f"{name}: {key} = {_short(value)}: expected {_told(hints[key])}")
    if "after" in document:
        others["after"] = _made(f"{name}, after", AfterOptions, document["after"])
    if "augment" in document:
        others["augment"] = _made(f"{name}, augment", AugmentOptions, document["augment"])
    return Pipeline(name, float(rate), stages, options, **others)


def _stage(where: str, table: Any) -> Stage:
    if not isinstance(table, dict):
        raise FormatError(f"{where}: expected a table, got {table!r}")
    kind = str(table.get("kind", ""))
    if kind not in STAGES:
        near = difflib.get_close_matches(kind, STAGES, 1)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        raise FormatError(f"{where}: kind = {kind!r}: expected one of {', '.join(STAGES)}{guess}")
    where = f"{where} ({kind})"
    given = {key: value for key, value in table.items() if key != "kind"}
    if STAGES[kind] is JoinStage:
        _check_keys(where, given, {"branch"})
        return JoinStage(_branches(where, given.get("branch", [])))
    made: Stage = _made(where, STAGES[kind], given)
    return made


def _branches(where: str, listed: Any) -> tuple[tuple[Stage, ...], ...]:
    """A branch is one stage, or a table with a list of stages."""
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise FormatError(f"{where}: expected branches as [[stage.branch]] tables")
    branches = []
    for number, table in enumerate(listed, 1):
        place = f"{where}, branch {number}"
        if "stage" in table:
            _check_keys(place, table, {"stage"})
            if not isinstance(table["stage"], list) or not table["stage"]:
                raise FormatError(f"{place}: expected stage = [{{kind = ...}}, ...]")
            branches.append(tuple(_stage(place, each) for each in table["stage"]))
        else:
            branches.append((_stage(place, table),))
    return tuple(branches)


def _made(where: str, kind: type[Any], table: Any) -> Any:
    if not isinstance(table, dict):
        raise FormatError(f"{where}: expected a table, got {table!r}")
    _check_keys(where, table, {each.name for each in fields(kind)})
    hints = get_type_hints(kind)
    for each in fields(kind):
        if each.name not in table:
            if each.default is MISSING:
                raise FormatError(f"{where}: expected {each.name} = ...; add it")
        elif not _fits(table[each.name], hints[each.name]):
            raise FormatError(
                f"{where}: {each.name} = {_short(table[each.name])}: expected"
                f" {_told(hints[each.name])}"
            )
    try:
        return kind(**table)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value of a TOML file is of a parameter's type."""
    if get_origin(hint) in (Union, types.UnionType):
        return any(_fits(value, each) for each in get_args(hint))
    if get_origin(hint) is Sequence:
        return isinstance(value, list) and all(_fits(each, get_args(hint)[0]) for each in value)
    if isinstance(value, bool):
        return hint is bool
    if isinstance(value, int | float) and not abs(value) <= _LARGEST:
        return False
    return isinstance(value, (int, float) if hint is float else hint)


def _short(value: Any) -> str:
    """A value for a message; Python makes no text of whole numbers of thousands of digits."""
    return (
        f"about 2^{value.bit_length()}"
        if isinstance(value, int) and value.bit_length() > 64
        else repr(value)
    )


def _told(hint: Any) -> str:
    """The same in words."""
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_told(each) for each in get_args(hint) if each is not type(None))
    if get_origin(hint) is Sequence:
        return f"a list, each {_told(get_args(hint)[0])}"
    return _WORDS[hint]


def _check_keys(where: str, table: Mapping[str, Any], known: set[str]) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            guess = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
            raise FormatError(f"{where}: {key!r} is unknown; {guess}")
