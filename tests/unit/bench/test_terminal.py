"""How a trial reads in one line."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from tests.golden import FOLDER

from sparsebench.bench.terminal import busy, convergence, live, result, table, without_reference
from sparsebench.contracts import Absence, BenchRequest, Block, Parity, Trial

MakeTrial = Callable[..., Trial]
MakeBlock = Callable[..., Block]
MakeParity = Callable[..., Parity]


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
        (
            "absent",
            {
                "absence": Absence(
                    reason="unsupported_network", detail="Exception from core.cpp:84:\n\n-- failed for: If"
                )
            },
            "absent (unsupported_network): Exception from core.cpp:84: failed for: If",
        ),
        ("failed", {"error": "said nothing for 6 s"}, "failed: said nothing for 6 s"),
        (
            "failed",
            {"error": "exit code 1\nTraceback:\n  line 3\nKeyError: 'x'"},
            "failed: exit code 1: KeyError: 'x'",
        ),
    ],
)
def test_a_result_is_one_line(make_trial: MakeTrial, status: str, evidence: dict[str, Any], line: str) -> None:
    assert result(make_trial(81.26, status=status, **evidence)) == line


def test_an_output_that_is_not_finite_is_told(make_trial: MakeTrial, make_parity: MakeParity) -> None:
    trial = make_trial(status="invalid", parity=make_parity(relative=None, same_top1=0))

    assert result(trial) == "invalid: output is not finite, tolerance 0.001; same top-1: 0 of 8"


def test_disturbed_blocks_are_counted(make_trial: MakeTrial, make_block: MakeBlock) -> None:
    trial = make_trial(blocks=(make_block(50, 0), make_block(50, 1, foreign_cores=0.9)))

    assert result(trial) == "    50.0 img/s, 1 of 2 blocks disturbed"


def test_the_table_leaves_disturbed_blocks_out_and_says_so(make_trial: MakeTrial, make_block: MakeBlock) -> None:
    quick, slow = make_block(100, 0), make_block(10, 1, foreign_cores=0.9)
    trials: list[Trial] = [
        make_trial(engine="openvino", generation=number, blocks=(quick, slow)) for number in range(2)
    ] + [make_trial(50, engine="onnxruntime", generation=number) for number in range(2)]

    text = printed(table(trials, "tiny"))

    first, second = (line.split() for line in text.splitlines()[3:5])
    assert first[:4] == ["openvino", "f32", "100.0", "1"]
    assert second[:3] == ["onnxruntime", "f32", "50.0"]
    assert "0.50 ± 0.0%" in text
    assert "2 of 4 blocks are left out as disturbed" in text


def test_blocks_that_enter_although_they_were_disturbed_are_not_said_to_be_left_out(
    make_trial: Callable[..., Trial], make_block: Callable[..., Block]
) -> None:
    tolerated = make_block(50, 0, foreign_cores=0.9).model_copy(update={"tolerated": True})

    text = printed(table([make_trial(blocks=(tolerated, make_block(50, 1, foreign_cores=0.9)))], "tiny"), 120)

    assert "1 of 2 blocks are left out as disturbed" in text
    assert "1 of 2 blocks enter although disturbed: the host was never quiet beside them" in text


def test_a_long_title_is_one_line_where_the_terminal_has_room(make_trial: Callable[..., Trial]) -> None:
    title = f"{'a-network-with-a-long-name' * 3}.onnx [dense], batch 1, 2 threads"

    assert title in printed(table([make_trial()], title), 120)


def test_the_table_fits_into_80_columns(make_trial: MakeTrial) -> None:
    trials = [make_trial(1234.5 + number, engine="deepsparse.benchmark", generation=number) for number in range(3)]
    trials += [make_trial(1100.0 + 9 * number, engine="onnxruntime", generation=number) for number in range(3)]

    assert "…" not in printed(table(trials, "tiny"))


def test_the_tail_is_what_was_shown_whatever_the_width(make_trial: MakeTrial) -> None:
    with live(Console(width=20, file=StringIO())) as audience:
        audience.on_trial(make_trial(81.26), 1, 2)
        audience.on_trial(make_trial(status="failed", error="killed by SIGKILL"), 2, 2)

        assert [line.split("  ")[-1].strip() for line in audience.tail] == ["81.3 img/s", "failed: killed by SIGKILL"]


def test_a_machine_that_was_busy_is_called_so(make_trial: MakeTrial, make_block: MakeBlock) -> None:
    quiet = make_trial(blocks=(make_block(50, 0), make_block(50, 1, foreign_cores=0.9)), generation=0)
    disturbed = [
        make_block(50, number, foreign_cores=0.9).model_copy(update={"tolerated": True}) for number in range(3)
    ]

    assert busy([make_trial(50)]) is None
    assert busy([quiet, make_trial(50, generation=1)]) is None
    assert (busy([quiet, make_trial(blocks=tuple(disturbed), generation=1)]) or "").startswith(
        "this machine was busy: 4 of 5 blocks were disturbed (most often other processes took 0.9 of a core); end what"
    )


def test_a_reference_that_failed_is_told_once_whichever_engines_wait_for_it(make_trial: MakeTrial) -> None:
    file, error = StringIO(), "no reference output from ONNX Runtime: exit code 1\nTraceback\nFail: no such index"
    trials = [make_trial(status="failed", error=error, engine=engine) for engine in ("onnxruntime", "openvino")]
    with live(Console(width=200, file=file)) as audience:
        for number, trial in enumerate(trials, 1):
            audience.on_trial(trial, number, 2)

    assert file.getvalue().count("no such index") == 1
    assert without_reference(trials) == "no reference output from ONNX Runtime: exit code 1: Fail: no such index"
    assert without_reference([*trials, make_trial(50)]) is None


def test_a_file_that_is_no_variant_is_called_what_it_is(make_trial: MakeTrial) -> None:
    file = StringIO()
    with live(Console(width=200, file=file), "80% sparse") as audience:
        audience.on_trial(make_trial(50), 1, 1)

    assert "80% sparse" in file.getvalue()
    assert "base" not in file.getvalue()


def test_of_what_is_no_classifier_no_top_class_is_told(make_trial: MakeTrial, make_parity: MakeParity) -> None:
    parity = make_parity(relative=0.2, same_top1=0).model_copy(update={"least_top1": 0})

    assert result(make_trial(status="invalid", parity=parity)) == "invalid: differs by 2.0e-01, tolerance 0.001"


def printed(content: object, width: int = 80) -> str:
    console = Console(width=width, record=True, file=StringIO())
    console.print(content)
    return console.export_text()


def test_processes_that_were_disturbed_are_no_verdicts(make_trial: MakeTrial, make_block: MakeBlock) -> None:
    request = BenchRequest.from_json((FOLDER / "BenchRequest" / "1.json").read_bytes())

    def trials(noisy: int) -> list[Trial]:
        block = make_block(50, 0, foreign_cores=0.9).model_copy(update={"tolerated": True})
        return [
            make_trial(engine=engine, generation=number, **({"blocks": (block,)} if number < noisy else {}))
            for number in range(7)
            for engine in ("onnxruntime", "openvino")
        ]

    assert convergence(trials(2), request).endswith("only 5 of them undisturbed, too few for a verdict")
    assert "undisturbed" not in convergence(trials(1), request)
