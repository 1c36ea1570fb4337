"""How a trial reads in one line."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from sparsebench.bench.terminal import live, result, table
from sparsebench.contracts import Absence, Trial


@pytest.mark.parametrize(
    ("status", "evidence", "line"),
    [
        ("measured", {}, "    81.3 img/s"),
        ("invalid", {}, "invalid: differs by 2.0e-01, tolerance 0.001; same top-1: 3 of 8"),
        (
            "absent",
            {"absence": Absence(reason="cpu_feature", detail="it needs AVX2")},
            "absent (cpu_feature): it needs AVX2",
        ),
        ("failed", {"error": "said nothing for 6 s"}, "failed: said nothing for 6 s"),
        (
            "failed",
            {"error": "exit code 1\nTraceback:\n  line 3\nKeyError: 'x'"},
            "failed: exit code 1: KeyError: 'x'",
        ),
    ],
)
def test_a_result_is_one_line(make_trial, status, evidence, line):
    assert result(make_trial(81.26, status=status, **evidence)) == line


def test_an_output_that_is_not_finite_is_told(make_trial, make_parity):
    trial = make_trial(status="invalid", parity=make_parity(relative=None, same_top1=0))

    assert result(trial) == "invalid: output is not finite, tolerance 0.001; same top-1: 0 of 8"


def test_disturbed_blocks_are_counted(make_trial, make_block):
    trial = make_trial(blocks=(make_block(50, 0), make_block(50, 1, foreign_cores=0.9)))

    assert result(trial) == "    50.0 img/s, 1 of 2 blocks disturbed"


def test_the_table_leaves_disturbed_blocks_out_and_says_so(make_trial, make_block):
    quick, slow = make_block(100, 0), make_block(10, 1, foreign_cores=0.9)
    trials: list[Trial] = [
        make_trial(engine="openvino", generation=number, blocks=(quick, slow)) for number in range(2)
    ] + [make_trial(50, engine="onnxruntime", generation=number) for number in range(2)]

    text = printed(table(trials, "tiny"))

    first, second = (line.split() for line in text.splitlines()[3:5])
    assert first[:4] == ["openvino", "f32", "100.0", "1"]
    assert second[:3] == ["onnxruntime", "f32", "50.0"]
    assert "0.50 ± 0.0%" in text
    assert "2 of 4 blocks were disturbed and are left out" in text


def test_the_table_fits_into_80_columns(make_trial):
    trials = [make_trial(1234.5 + number, engine="deepsparse.benchmark", generation=number) for number in range(3)]
    trials += [make_trial(1100.0 + 9 * number, engine="onnxruntime", generation=number) for number in range(3)]

    assert "…" not in printed(table(trials, "tiny"))


def test_the_tail_is_what_was_shown_whatever_the_width(make_trial):
    with live(Console(width=20, file=StringIO())) as audience:
        audience.on_trial(make_trial(81.26), 1, 2)
        audience.on_trial(make_trial(status="failed", error="killed by SIGKILL"), 2, 2)

        assert [line.split("  ")[-1].strip() for line in audience.tail] == ["81.3 img/s", "failed: killed by SIGKILL"]


def printed(content: object) -> str:
    console = Console(width=80, record=True, file=StringIO())
    console.print(content)
    return console.export_text()
