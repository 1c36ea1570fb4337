"""What is kept of a program's output."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sparsebench.instance.tail import CHARACTERS, LINES, Tail
from sparsebench.store import Store

pytestmark = pytest.mark.slow


def keep(store: Store, *files: Path) -> subprocess.CompletedProcess[str]:
    named = [item for file in files for item in ("--file", str(file))]
    module = "sparsebench.instance.keep_output"
    command = [sys.executable, "-m", module, "--store", store.uri, "--path", store.output_path("a-job"), *named]
    return subprocess.run(command, capture_output=True, text=True)


def test_files_are_put_into_the_store_one_after_the_other(tmp_path: Path) -> None:
    store = Store((tmp_path / "store").as_uri())
    first, second = tmp_path / "output.txt", tmp_path / "errors.txt"
    first.write_bytes(b"[1/1] tiny\n\xff\n")
    second.write_text("error: no space\n")

    done = keep(store, first, second)

    assert (done.returncode, done.stderr) == (0, "")
    assert store.read("outputs/a-job.txt") == b"[1/1] tiny\n\xff\nerror: no space\n"


def test_what_cannot_be_kept_is_one_line_that_says_why(tmp_path: Path) -> None:
    store = Store((tmp_path / "store").as_uri())
    file = tmp_path / "output.txt"
    file.write_text("x")
    store.write("outputs", b"a file where a folder should be")

    for done, reason in ((keep(store, file), "cannot write"), (keep(store, tmp_path / "none"), "No such file")):
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: the output was not kept: ")
        assert reason in line


def test_a_tail_has_the_last_lines_and_no_long_ones() -> None:
    tail = Tail()
    for number in range(LINES):
        tail.add(f"{number}\nand {number}")
    tail.add("x" * (CHARACTERS + 1))

    assert len(tail.lines) == LINES
    assert tail.lines[-2:] == (f"and {LINES - 1}", "x" * CHARACTERS)
