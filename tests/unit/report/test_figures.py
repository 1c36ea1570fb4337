"""What is drawn is what was measured: read back from the figures' axes."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET
from collections.abc import Callable
from importlib.resources import as_file, files

import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from tests.support.values import numbers
from tests.unit.report.conftest import ANight

from sparsebench.analysis.compare import line_points
from sparsebench.analysis.csvfile import read_csv
from sparsebench.analysis.results import OnMachine, Results
from sparsebench.analysis.trials import from_trials
from sparsebench.contracts import Block, HostFacts, Trial
from sparsebench.report import drawing, figures, labels
from sparsebench.report.cost_figures import cost_graph

MakeTrial = Callable[..., Trial]
MakeHost = Callable[..., HostFacts]


@pytest.fixture(scope="module")
def study() -> Results:
    with as_file(files("sparsebench.report") / "study" / "throughput.csv") as path:
        return read_csv(path)


@pytest.fixture(scope="module")
def results(night: ANight) -> Results:
    return from_trials(night.trials, night.hosts, night.collections).lane("f32")


def measured(results: Results) -> list[OnMachine]:
    """One instance type was never launched."""
    return [part for part in results.by_machine() if len(part.cells)]


def bars(figure: Figure) -> dict[str, list[float]]:
    """Lengths of the bars of each engine."""
    (axes,) = figure.axes
    bars = [container for container in axes.containers if isinstance(container, BarContainer)]
    return {str(container.get_label()): [bar.get_width() for bar in container] for container in bars}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_the_studys_line_graph_has_the_studys_points(study: Results) -> None:
    (axes,) = figures.line_graph(line_points(study)).axes
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines) == ["ONNX Runtime", "OpenVINO", "DeepSparse", "DeepSparse (own tool)"]
    drawn = [round(y, 2) for y in numbers(lines["DeepSparse"].get_ydata())]
    assert drawn == [58.09, 54.21, 76.75, 80.08, 96.17, 147.48]
    ticks = [tick.get_text().split("\n")[0] for tick in axes.get_xticklabels()]
    assert ticks == ["t3.xlarge", "c4.xlarge", "m6a.xlarge", "m5.xlarge", "m5n.xlarge", "m7i.xlarge"]


def test_every_throughput_of_the_study_is_a_bar(study: Results) -> None:
    parts = study.by_machine()
    assert len(parts) == 6
    for _, cells, missing in parts:
        drawn = bars(figures.bar_graph(cells, missing))
        assert {name: len(lengths) for name, lengths in drawn.items()} == dict.fromkeys(drawn, 14)
        assert sorted(itertools.chain(*drawn.values())) == sorted(cells["mean_img_s"])


def test_a_cell_that_is_not_valid_has_no_bar_but_its_reason(make_trial: MakeTrial, make_host: MakeHost) -> None:
    trials = [
        make_trial(50.0),
        make_trial(variant="pruned", status="invalid"),
        make_trial(40.0, engine="openvino"),
        make_trial(engine="openvino", variant="pruned", status="absent"),
        make_trial(30.0, engine="onnxruntime"),
        make_trial(31.0, engine="onnxruntime", variant="pruned"),
    ]
    ((_, cells, missing),) = from_trials(trials, [make_host()]).by_machine()
    figure = figures.bar_graph(cells, missing)
    assert bars(figure) == {
        "ONNX Runtime": pytest.approx([30, 31]),
        "OpenVINO": pytest.approx([40]),
        "DeepSparse": pytest.approx([50]),
    }
    assert {"invalid", "absent"} <= set(texts(figure))


def test_a_disturbed_cell_has_no_bar_but_its_reason(
    make_trial: MakeTrial, make_block: Callable[..., Block], make_host: MakeHost
) -> None:
    trials = [
        make_trial(),
        make_trial(40.0, engine="openvino", variant="pruned"),
        make_trial(engine="openvino", blocks=tuple(make_block(5, round, foreign_cores=1.0) for round in range(8))),
    ]
    ((_, cells, missing),) = from_trials(trials, [make_host()]).by_machine()
    figure = figures.bar_graph(cells, missing)
    assert bars(figure) == {"OpenVINO": pytest.approx([40]), "DeepSparse": pytest.approx([50])}
    assert "disturbed" in texts(figure)


def drawn_interval(results: Results) -> tuple[float, float]:
    ((_, cells, missing),) = results.by_machine()
    (axes,) = figures.bar_graph(cells, missing).axes
    (errors,) = [artist for artist in axes.containers if isinstance(artist, ErrorbarContainer)]
    ((start, end),) = errors.lines[2][0].get_segments()
    return start[0], end[0]


def test_error_bars_are_95_percent_intervals(make_trial: MakeTrial, make_host: MakeHost) -> None:
    trials = [make_trial(speed, generation=index) for index, speed in enumerate((49.0, 50.0, 51.0))]
    results = from_trials(trials, [make_host()])
    (cell,) = results.cells.to_dict("records")
    assert figures.cut(results.cells) == 0
    assert drawn_interval(results) == pytest.approx((cell["low_img_s"], cell["high_img_s"]))


def test_a_very_wide_interval_is_cut_and_counted(make_trial: MakeTrial, make_host: MakeHost) -> None:
    results = from_trials([make_trial(40.0), make_trial(60.0, generation=1)], [make_host()])
    (cell,) = results.cells.to_dict("records")
    assert cell["high_img_s"] > 10 * cell["mean_img_s"]
    assert figures.cut(results.cells) == 1
    assert drawn_interval(results) == pytest.approx((cell["mean_img_s"] * 0.5, cell["mean_img_s"] * 1.5))


def test_the_line_graph_shows_the_interval_even_of_a_single_machine(make_trial: MakeTrial, make_host: MakeHost) -> None:
    trials = [make_trial(speed, generation=index) for index, speed in enumerate((49.0, 50.0, 51.0))]
    points = line_points(from_trials(trials, [make_host()]))
    (axes,) = figures.line_graph(points).axes
    (intervals,) = [artist for artist in axes.collections if isinstance(artist, LineCollection)]
    ((start, end),) = intervals.get_segments()
    assert (start[1], end[1]) == pytest.approx((points["low_img_s"].item(), points["high_img_s"].item()))


def test_above_the_highest_point_there_is_room_for_its_marker(make_trial: MakeTrial, make_host: MakeHost) -> None:
    trials = [make_trial(50.0), make_trial(50.5, engine="openvino")]
    points = line_points(from_trials(trials, [make_host()]))
    (axes,) = figures.line_graph(points).axes
    assert axes.get_ylim()[1] >= 1.05 * points["mean_img_s"].max()


def test_a_dashed_line_stands_between_networks(study: Results) -> None:
    _, cells, missing = study.by_machine()[0]
    (axes,) = figures.bar_graph(cells, missing).axes
    assert sum(line.get_linestyle() == "--" for line in axes.lines) == 7 - 1


def test_nothing_is_drawn_outside_its_axes(results: Results) -> None:
    for _, cells, missing in measured(results):
        rows = figures.fake_prune_rows(cells)
        for figure in (figures.bar_graph(cells, missing), figures.fake_prune_graph(rows)):
            for axes in figure.axes:
                left, right = axes.get_xlim()
                bottom, top = sorted(axes.get_ylim())
                assert axes.lines
                for line in axes.lines:
                    across, up = numbers(line.get_xdata()), numbers(line.get_ydata())
                    assert bottom <= min(up) <= max(up) <= top
                    assert left <= min(across) <= max(across) <= right


def test_the_fake_prune_graph_has_a_panel_an_engine_and_a_line_a_network(results: Results) -> None:
    _, cells, _ = measured(results)[0]
    figure = figures.fake_prune_graph(figures.fake_prune_rows(cells))
    assert [axes.get_title() for axes in figure.axes] == list(map(labels.engine, dict.fromkeys(cells["engine"])))
    means = cells.set_index(["engine", "network", "variant"])["mean_img_s"]
    for axes, engine in zip(figure.axes, dict.fromkeys(cells["engine"]), strict=True):
        lines = {str(artist.get_label()): artist[0] for artist in axes.containers}
        assert len(lines) == 7
        assert list(lines["VGG-19"].get_ydata()) == [
            means[engine, "vgg19", step] for step in ("base", "fake85", "fake99")
        ]


def test_a_network_without_a_valid_99_percent_has_no_line(results: Results) -> None:
    rows = figures.fake_prune_rows(results.cells)
    failed = rows[(rows["instance_type"] == "m7i.xlarge") & (rows["engine"] == "deepsparse")]
    assert "vgg19" not in set(failed["network"])
    assert "resnet50" in set(failed["network"])


def test_figures_name_the_real_cpu_of_an_emulated_instance(results: Results) -> None:
    claim = "emulated on AMD EPYC 9R14 96-Core Processor, not m7i.xlarge"
    _, emulated, missing = measured(results)[1]
    assert claim in figures.bar_graph(emulated, missing).legends[0].get_title().get_text()
    assert claim in figures.fake_prune_graph(figures.fake_prune_rows(emulated)).legends[0].get_title().get_text()
    (axes,) = figures.line_graph(line_points(results)).axes
    assert claim in axes.get_xticklabels()[1].get_text().replace("\n", " ")


def test_localhost_is_this_machine_and_not_emulated() -> None:
    row = {"instance_type": "localhost", "cpu_model": "AMD EPYC", "emulated": True}
    assert labels.machine(row) == "this machine (AMD EPYC)"
    assert not labels.is_emulated(row)


def test_a_network_without_any_number_is_drawn_with_its_reasons(make_trial: MakeTrial, make_host: MakeHost) -> None:
    lost = [make_trial(network="resnet50", engine=name, status="failed") for name in ("deepsparse", "openvino")]
    ((_, cells, missing),) = from_trials([make_trial(), *lost], [make_host()]).by_machine()
    figure = figures.bar_graph(cells, missing)
    assert texts(figure).count("failed") == 2
    assert "ResNet-50" in texts(figure)


def test_an_engine_keeps_its_colour_when_another_is_missing(study: Results) -> None:
    points = line_points(study)
    without = points[points["engine"] != "onnxruntime"]

    def colours(rows: pd.DataFrame) -> dict[object, object]:
        (axes,) = figures.line_graph(rows).axes
        return {line.get_label(): line.get_color() for line in axes.lines}

    assert colours(without).items() <= colours(points).items()


def test_who_points_at_a_point_is_told_its_number_and_interval() -> None:
    rows = pd.DataFrame(
        {
            "instance_type": ["m5.xlarge", "m7i.xlarge"] * 2,
            "cpu_model": '<Xeon> & "co"',
            "emulated": False,
            "network": "resnet50",
            "variant": "base",
            "engine": ["openvino"] * 2 + ["onnxruntime"] * 2,
            "usd_per_million": [0.42, 0.21, 1.0, 2.0],
            "low": [0.4, None, None, None],
            "high": [0.45, None, None, None],
        }
    )
    svg, _ = drawing.render(lambda: cost_graph(rows), "Costs", "here")
    titles = [element.text for element in ET.fromstring(svg).findall(".//{*}title")]
    assert titles == [
        "m5.xlarge, OpenVINO, base: 0.420 (0.400–0.450) USD a million inferences",
        "m7i.xlarge, OpenVINO, base: 0.210 USD a million inferences",
        "m5.xlarge, ONNX Runtime, base: 1.00 USD a million inferences",
        "m7i.xlarge, ONNX Runtime, base: 2.00 USD a million inferences",
    ]
    assert drawing.POINTED.encode() not in svg
