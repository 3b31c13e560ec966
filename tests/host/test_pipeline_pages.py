"""The tables of docs/streams.md have every key of a pipeline's file, and no other."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from wingbeat.augment import AugmentOptions
from wingbeat.pipeline import AfterOptions, ModelOptions, Pipeline, parse_pipeline
from wingbeat.stages import PICTURE_STAGES, STAGES

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (
    (DOCS / "streams.md").read_text().partition("## Pipelines")[2].partition("## On the board")[0]
)


def rows(text: str) -> list[list[str]]:
    """Cells of the rows of a table that start with a word in backticks."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def words(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", cell))


def names(kind: Any) -> set[str]:
    return {each.name for each in fields(kind)}


@pytest.mark.parametrize("page", ["streams.md", "images.md"])
def test_table_of_stages(page: str) -> None:
    text = PAGE if page == "streams.md" else (DOCS / page).read_text()
    table = text.partition("### Stages")[2].partition("### Model")[0]
    found = {cells[0].strip("| `"): cells[1] for cells in rows(table)}
    of_pictures = page == "images.md"
    assert list(found) == [
        kind for kind, each in STAGES.items() if (each in PICTURE_STAGES) == of_pictures
    ]
    for kind, cell in found.items():
        assert words(cell) == names(STAGES[kind]), kind


@pytest.mark.parametrize(
    ("begin", "end", "kind"),
    [
        ("### Model", "### Copies", ModelOptions),
        ("### Copies", "### Detections", AugmentOptions),
        ("### Detections", "", AfterOptions),
    ],
)
def test_tables_of_parameters(begin: str, end: str, kind: Any) -> None:
    table = PAGE.partition(begin)[2]
    table = table.partition(end)[0] if end else table
    assert set().union(*(words(cells[0]) for cells in rows(table))) == names(kind)


def test_table_of_the_top() -> None:
    table = PAGE.partition("### Stages")[0]
    found = set().union(*(words(cells[0]) for cells in rows(table)))
    assert found == names(Pipeline) - {"name", "stages", "model", "after", "augment"}


@pytest.mark.parametrize("page", ["streams.md", "data.md", "images.md"])
def test_files_on_pages_are_pipelines(page: str) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    assert blocks
    for text in blocks:
        pipeline = parse_pipeline(text, page)
        if pipeline.input == "stream":
            assert pipeline.features(3)[1].width == 3 * 3 + 5 * 3 + 1
