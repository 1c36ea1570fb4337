"""How an engine scales with threads: by processes that took turns."""

from __future__ import annotations

import io
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from sparsebench.bench.host import host_facts
from sparsebench.bench.scaling import hosts_of, scaling
from sparsebench.contracts import Trial
from sparsebench.errors import BadInput

ROOT = Path(__file__).parents[3]


def rows(trials: dict[int, list[Trial]]) -> list[list[str]]:
    screen = Console(file=io.StringIO(), width=120)
    screen.print(scaling(trials, "of a file"))
    lines = screen.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return [re.split(r"\s{2,}", line.strip()) for line in lines if " f32 " in line]


def test_twice_the_threads_are_compared_generation_by_generation(make_trial: Callable[..., Trial]) -> None:
    drift = (1.0, 1.5, 0.7, 1.2, 0.9, 1.1)  # of the host, which is common to both
    trials = {
        threads: [
            make_trial(100 * times * factor, generation=generation, threads=threads)
            for generation, factor in enumerate(drift)
        ]
        for threads, times in ((1, 1.0), (2, 1.6))
    }
    one, two = rows(trials)
    assert one[:3] == ["deepsparse", "f32", "1"]
    assert len(one) == 4
    assert two[2] == "2"
    assert two[4:] == ["1.60 (1.60–1.60)", "80%"]
    low, high = map(float, re.findall(r"\((.*)–(.*)\)", two[3])[0])
    assert high / low > 1.5  # the host's drift is in the throughput itself


def test_an_engine_that_has_no_number_with_few_threads_has_no_times(make_trial: Callable[..., Trial]) -> None:
    trials = {1: [make_trial(status="failed", threads=1)], 2: [make_trial(threads=2)]}
    assert [len(row) for row in rows(trials)] == [4]


def test_as_many_threads_as_there_are_cores_for() -> None:
    most = host_facts().threads or 1
    assert [(host.threads, len(host.cpus) >= 1) for host in hosts_of(f"1, {most},1", "--threads")] == [
        (threads, True) for threads in sorted({1, most})
    ]
    for text in ("0", str(most + 1), "two", "1.5", "-1"):
        with pytest.raises(BadInput, match=f"--threads: {text!r} is not one of 1 to {most}"):
            hosts_of(text, "--threads")
    with pytest.raises(BadInput, match="--threads: ',' names none"):
        hosts_of(",", "--threads")


@pytest.mark.slow
def test_a_file_is_measured_with_each_number_of_threads(make_network: Callable[..., Path]) -> None:
    most = host_facts().threads or 1
    file = make_network("--input", "batch,3,224,224")
    command = [str(ROOT / ".envs/bench/bin/python"), "-m", "sparsebench.bench", "model", str(file)]
    command += ["--engines", "onnxruntime", "--threads", f"1,{most}"]
    path = os.pathsep.join(map(str, (ROOT / "tests/support/brief", ROOT / "include")))
    environment = os.environ | {"PYTHONPATH": path, "COLUMNS": "120"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if most > 1:
        table = done.stdout[done.stdout.index("by threads") :]
        assert re.findall(r"onnxruntime +f32 +(\d+) ", table) == ["1", str(most)]
        assert re.search(rf"onnxruntime +f32 +{most} .*%", table)
