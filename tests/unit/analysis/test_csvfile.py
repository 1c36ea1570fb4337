"""A CSV like the study's is read, or refused with its line, column and value."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsebench.analysis.csvfile import quoted, read_csv, unquoted
from sparsebench.errors import BadInput
from sparsebench.report.tables.formatting import csv

HEADER = "instance_type,cpu_model,model,variant,engine,throughput_img_s"
ROW = "m5.xlarge,Intel Xeon,vgg19,base,deepsparse,7.5"


def write(folder: Path, *lines: str) -> Path:
    path = folder / "table.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], r":1: the file is empty"),
        ([HEADER], r":2: no rows"),
        ([HEADER.replace("engine,", ""), "m5.xlarge,Intel Xeon,vgg19,base,7.5"], r":1: column engine is missing"),
        ([f"{HEADER},precison", f"{ROW},f32"], r":1: column 'precison' is unknown"),
        ([f"{HEADER},engine", f"{ROW},openvino"], r":1: column 'engine' is given twice"),
        ([HEADER, ROW, ROW.replace("7.5", "fast").replace("base", "pruned")], r":3: throughput_img_s is 'fast'"),
        ([HEADER, ROW.replace("7.5", "nan")], r":2: throughput_img_s is 'nan'; expected a number"),
        ([HEADER, ROW.replace("7.5", "inf")], r":2: throughput_img_s is 'inf'; expected a number"),
        ([HEADER, ROW.replace("7.5", "0")], r":2: throughput_img_s is '0'; expected a number above 0"),
        ([HEADER, ROW.replace("7.5", "-3")], r":2: throughput_img_s is '-3'; expected a number above 0"),
        ([HEADER, ROW.replace("base", "prunned")], r":2: variant is 'prunned'; expected one of base, pruned"),
        ([HEADER, ROW.replace("Intel Xeon", " ")], r":2: cpu_model is empty"),
        ([HEADER, ROW + ",1"], r":2: has 7 fields; expected 6"),
        ([f"{HEADER},precision", f"{ROW},bf16"], r":2: precision is 'bf16'; expected one of f32, native"),
        ([f"{HEADER},emulated", f"{ROW},maybe"], r":2: emulated is 'maybe'; expected one of true"),
        ([f"{HEADER},repeat", f"{ROW},1.5"], r":2: repeat is '1.5'; expected a whole number"),
        ([HEADER, ROW, ROW], r":3: the same cell and repeat as in .*:2, network 'vgg19'"),
        ([HEADER, ROW.replace("vgg19", '"vgg19')], r"not a CSV file"),
    ],
)
def test_a_wrong_file_names_line_column_and_value(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        read_csv(write(tmp_path, *lines))


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.csv: cannot be read: No such file"):
        read_csv(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="not a CSV file in UTF-8"):
        read_csv(tmp_path / "binary.csv")


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (f"{HEADER}\n{ROW}\n".encode("utf-16"), "it is in UTF-16"),
        (f"{HEADER}\n{ROW}\n".encode("utf-16-le"), "it is in UTF-16"),
        (f"{HEADER}\r\n{ROW}\r\n".encode("utf-8-sig"), None),
        (f"sep=,\n{HEADER}\n{ROW}\n".encode(), None),
        (f"sep=;\n{HEADER}\n{ROW}\n".replace(",", ";").encode(), "separated by semicolons"),
        (f"{HEADER}\n{ROW}\n".replace(",", ";").replace("7.5", "7,5").encode(), "decimal commas"),
        (f"{HEADER}\n{ROW}\n".replace(",", "\t").encode(), "separated by tabs"),
        (f"{HEADER.upper()}\n{ROW}\n".encode(), "names are written otherwise"),
        (
            f"{HEADER.replace('throughput_img_s', 'Throughput (img/s)')}\n{ROW}\n".encode(),
            "names are written otherwise",
        ),
        (f",{HEADER}\n0,{ROW}\n".encode(), "left out: one without a name"),
        (f"{HEADER},Batch\n{ROW},1\n".encode(), "left out: 'Batch'"),
        (f"{HEADER}\n{ROW.replace('7.5', chr(34) + '7,5' + chr(34))}\n".encode(), "decimal commas"),
        (f"{HEADER}\n{ROW.replace('base', 'Base')},,\n".encode(), None),
    ],
)
def test_how_spreadsheets_write_it_is_read_and_said(tmp_path: Path, data: bytes, note: str | None) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(data)

    results = read_csv(path)

    (row,) = results.repeats.to_dict("records")
    assert (row["instance_type"], row["cpu_model"], row["network"], row["variant"]) == (
        "m5.xlarge", "Intel Xeon", "vgg19", "base",
    )  # fmt: skip
    assert (row["engine"], row["throughput_img_s"]) == ("deepsparse", 7.5)
    assert bool(results.notes) == bool(note)
    assert note is None or note in "; ".join(results.notes)


@pytest.mark.parametrize("word", ["TRUE", "True", "1", "yes", "WAHR"])
def test_other_words_for_true_and_f32(tmp_path: Path, word: str) -> None:
    results = read_csv(write(tmp_path, f"{HEADER},precision,emulated", f"{ROW},FP32,{word}"))

    assert results.lanes == ["f32"]
    assert results.repeats["emulated"].all()


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (["7,5", "8.5"], r":2: throughput_img_s is '7,5', and other numbers are written otherwise; write numbers with"),
        (["1,234", "8,500"], r":2: throughput_img_s is '1,234', which may be a thousand or a little more than one"),
        (["1.234,5", "8"], r":2: throughput_img_s is '1.234,5', and other numbers"),
        (["7,5,0", "8,5"], r":2: throughput_img_s is '7,5,0'; write numbers with a decimal point"),
    ],
)
def test_a_number_that_may_mean_two_things_is_refused_with_what_to_do(
    tmp_path: Path, numbers: list[str], message: str
) -> None:
    rows = [ROW.replace("7.5", f'"{number}"').replace("vgg19", f"net{i}") for i, number in enumerate(numbers)]

    with pytest.raises(BadInput, match=message):
        read_csv(write(tmp_path, HEADER, *rows))


def test_a_file_in_another_encoding_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(f"{HEADER}\n{ROW}\n".replace("Xeon", "Xéon").encode("cp1252"))

    with pytest.raises(BadInput, match=r"not a CSV file in UTF-8 or UTF-16: .*save it as 'CSV UTF-8'"):
        read_csv(tmp_path / "table.csv")


def test_optional_columns_give_lanes_emulation_and_repeats(tmp_path: Path) -> None:
    results = read_csv(
        write(
            tmp_path,
            f"{HEADER},precision,emulated,repeat",
            f"{ROW},f32,true,1",
            f"{ROW.replace('7.5', '9.5')},f32,True,2",
            f"{ROW.replace('7.5', '30')},native,true,1",
        )
    )
    assert results.lanes == ["f32", "native"]
    (cell,) = results.lane("f32").cells.to_dict("records")
    assert (cell["median_img_s"], cell["mean_img_s"], cell["processes"]) == (
        8.5,
        pytest.approx(math.sqrt(7.5 * 9.5)),
        2,
    )
    assert pd.isna(cell["blocks"])
    assert cell["emulated"]


def test_without_a_precision_column_the_lane_is_unstated(tmp_path: Path) -> None:
    assert read_csv(write(tmp_path, HEADER, ROW)).lanes == ["unstated"]


@pytest.mark.parametrize(
    "text", ["=1+1", "@SUM(A1)", "-2+3", "+cmd|' /C calc'!A0", "\tx", "\n=1", "＝1+1", "＋1", "－1", "＠x"]
)
def test_a_text_that_a_spreadsheet_would_run_is_written_so_that_it_is_shown_and_reads_back(text: str) -> None:
    frame = pd.DataFrame({"a": [text, "plain", None], "b": [-1.5, 2, 3]}).astype({"a": "str"})
    first, plain, _ = csv(frame).decode().removeprefix("a,b\n").rsplit("\n", 3)[:3]
    assert first.lstrip('"').startswith(f"'{text[0]}")
    assert first.endswith(",-1.5")
    assert plain == "plain,2.0"
    assert unquoted(str(quoted(text))) == text


def test_a_cpus_name_that_looks_like_a_formula_is_read_back(tmp_path: Path) -> None:
    results = read_csv(write(tmp_path, HEADER, ROW.replace("Intel Xeon", "'=Xeon")))
    assert list(results.cells["cpu_model"]) == ["=Xeon"]


@given(text=st.text(max_size=12).filter(lambda text: not set(text) & set('\r\n",\x00\ufeff')))
def test_a_throughput_is_a_positive_number_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = write(tmp_path_factory.mktemp("csv"), HEADER, ROW.replace("7.5", text))
    try:
        value = read_csv(path).repeats["throughput_img_s"].item()
    except BadInput as error:
        assert "throughput_img_s" in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert value == float(text)
        assert 0 < value < math.inf
