"""Figures of saved results in the docs. `python -m devtools.lab.chapters` writes them anew.

In prose a figure is a link, whose title says which one it is: [6.41 s](results/3.json "one queue: median wait"). The
result of a lab, with its chart, stands between the lines [//]: # (result 3) and [//]: # (end), which no page shows.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from devtools.lab.result import FOLDER, Result, load
from devtools.lab.table import markdown_table
from devtools.processes import ROOT

CITATION = re.compile(r'\[([^\]]*)\]\(((?:[\w./-]*/)?results/[1-9](?:-rabbitmq)?\.json) "([^"]+)"\)')
BLOCK = re.compile(r"(\[//\]: # \(result ([1-9](?:-rabbitmq)?)\)\n).*?(\n\[//\]: # \(end\))", re.DOTALL)


def fill(text: str, folder: Path, results: Path = FOLDER) -> str:
    """The text with the saved figures. folder: that of the document. Raises KeyError, FileNotFoundError."""

    def cite(found: re.Match[str]) -> str:
        path, key = found.group(2), found.group(3)
        return f'[{load(results / Path(path).name).cite(key)}]({path} "{key}")'

    def show(found: re.Match[str]) -> str:
        begin, name, end = found.groups()
        return f"{begin}\n{block(load(results / f'{name}.json'), name, folder)}{end}"

    return CITATION.sub(cite, BLOCK.sub(show, text))


def block(result: Result, name: str, folder: Path) -> str:
    to_results = "results" if folder.name == "docs" else "docs/results"
    return (
        f"![{result.question} {result.sentence}]({to_results}/{name}.svg)\n\n{markdown_table(result)}\n\n"
        f"{result.sentence}\n\n`{result.command}` ({result.source})\n"
    )


def documents() -> Iterator[Path]:
    """Every Markdown file that may cite a result."""
    yield ROOT / "README.md"
    yield from sorted((ROOT / "docs").rglob("*.md"))


def main() -> None:
    for path in documents():
        before = path.read_text()
        if (after := fill(before, path.parent)) != before:
            path.write_text(after)
            print(f"{path.relative_to(ROOT)}: figures written anew")


if __name__ == "__main__":
    main()
