"""The commands that documents name, as a reader would type them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
PROGRAM = re.compile(r"(make|sparsebench|airflow|aws|pre-commit|git|python|(\.venv|\.envs/\w+)/bin/\w+)$")


@dataclass(frozen=True)
class Command:
    """A command that a document has. arguments: without the variables before them. whole: from a block, so that it can
    be typed as it is; in a sentence the required arguments may be left out."""

    document: str
    arguments: tuple[str, ...]
    whole: bool

    @property
    def program(self) -> str:
        return self.arguments[0]

    def __str__(self) -> str:
        return f"{self.document}: {' '.join(self.arguments)}"


def commands() -> list[Command]:
    return [command for document in DOCUMENTS for command in _of(document.name, document.read_text())]


def _of(document: str, text: str) -> Iterator[Command]:
    fences = re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S)
    fenced = [block for language, block in fences if language in ("", "sh", "bash")]
    text = re.sub(r"^```.*?^```\n", "", text, flags=re.M | re.S)
    indented = re.findall(r"(?<=\n\n)((?: {4,}.*\n|\n(?= {4}))+)", text)
    for block in (*fenced, *indented):
        for line in block.replace("\\\n", " ").splitlines():
            for part in _parts(line):
                yield Command(document, part, whole=True)
    for span in re.findall(r"`([^`]+)`", text):
        arguments = _without_variables(" ".join(span.split()))
        if len(arguments) > 1 and PROGRAM.match(arguments[0]):
            yield Command(document, arguments, whole=False)


def _parts(line: str) -> Iterator[tuple[str, ...]]:
    """Of a line of shell: what it calls, what it calls inside of that, and what comes after a pipe."""
    line = line.strip()
    inner = re.search(r"\$\((.*)\)", line)
    if inner:
        yield from _parts(inner[1])
        line = line.replace(inner[0], "VALUE")
    for part in re.split(r" \| ", line):
        if arguments := _without_variables(part):
            yield arguments


def _without_variables(text: str) -> tuple[str, ...]:
    try:
        tokens = shlex.split(text, comments=True)
    except ValueError:  # an apostrophe: words, not a command
        return ()
    while tokens and re.match(r"\w+=", tokens[0]):
        tokens.pop(0)
    return tuple(tokens)
