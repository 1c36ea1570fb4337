"""A CSV like the study's is read, or refused with its line, column and value."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsebench.analysis.csvfile import read_csv
from sparsebench.errors import BadInput

HEADER = "instance_type,cpu_model,model,variant,engine,throughput_img_s"
ROW = "m5.xlarge,Intel Xeon,vgg19,base,deepsparse,7.5"


def write(folder: Path, *lines: str) -> Path:
    path = folder / "table.csv"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], r":1: the file is empty"),
        ([HEADER], r":2: no rows"),
        ([HEADER.replace("engine,", ""), "m5.xlarge,Intel Xeon,vgg19,base,7.5"], r":1: column engine is missing"),
        ([f"{HEADER},precison", f"{ROW},f32"], r":1: column 'precison' is unknown"),
        ([f"{HEADER},engine", f"{ROW},openvino"], r":1: column 'engine' is .* given twice"),
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
def test_a_wrong_file_names_line_column_and_value(tmp_path: Path, lines: list[str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read_csv(write(tmp_path, *lines))


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.csv: cannot be read: No such file"):
        read_csv(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="not a CSV file in UTF-8"):
        read_csv(tmp_path / "binary.csv")


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
