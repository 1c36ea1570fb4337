"""What a year of nights costs, in time and memory: to find its changes, to open *Reports*, and to plan a sweep.

    .venv/bin/python -m benchmarks.a_year --trials 20
    .venv/bin/python -m benchmarks.a_year --trials 5 --s3

A store of made-up nights whose ratios and summaries are there, as a report leaves them, and with --trials as many files
for each instance type and night; in the middle one engine gets slower on one instance type. With --s3 it is a bucket of
the emulated cloud, on which each request takes longer.
"""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from typing import Annotated, get_args

import numpy as np
import typer

from benchmarks.made_up import card, host
from benchmarks.places import Requests, place
from sparsebench import catalog
from sparsebench.contracts import Manifest, NightRatio, NightRatios, NightSpeed, Variant, sha256
from sparsebench.fleet.nights import Sweep
from sparsebench.fleet.plan import Run, plan_sweep
from sparsebench.report import changes
from sparsebench.store import Store, Unreadable

ENGINES = ("deepsparse", "deepsparse.benchmark", "onnxruntime", "openvino")
VARIANTS: tuple[Variant, ...] = get_args(Variant)[:2]
SPREAD, ERROR = 0.015, 0.01
"""Of a ratio's log: standard deviation between nights, and standard error of one."""


def fill(store: Store, nights: int, types: int, trials: int = 0) -> int:
    """Put the nights into a store; how many ratios each has."""
    rng = np.random.default_rng(1)
    instance_types = [f"x{number}.xlarge" for number in range(types)]
    networks = list(catalog.networks())
    files = [(network, variant) for network in networks for variant in VARIANTS]
    pairs = [(network, (v, a), (v, b)) for network, v in files for a, b in combinations(ENGINES, 2)]
    pairs += [(network, (VARIANTS[1], engine), (VARIANTS[0], engine)) for network in networks for engine in ENGINES]
    for index in range(nights):
        night = (date(2026, 1, 1) + timedelta(days=index)).isoformat()
        digest = sha256(b"")
        store.freeze(
            Manifest.freeze(
                night=night,
                frozen_at=datetime(2026, 1, 1, tzinfo=UTC),
                protocol=catalog.protocols()["quick"],
                models=(),
                image="ami",
                payload=digest,
                bench_lock=digest,
            )
        )
        ratios, speeds = [], []
        for instance_type in instance_types:
            store.put_host(night, host(instance_type))
            is_slow = index >= nights // 2 and instance_type == instance_types[0]
            for network, a, b in pairs:
                size = 0.08 * ((b[1] == "openvino") - (a[1] == "openvino")) if is_slow else 0.0
                ratios.append(
                    NightRatio(
                        instance_type=instance_type,
                        network=network,
                        precision="f32",
                        variant_a=a[0],
                        engine_a=a[1],
                        variant_b=b[0],
                        engine_b=b[1],
                        log_ratio=size + rng.normal(0, SPREAD),
                        error=ERROR,
                    )
                )
            speeds += [
                NightSpeed(
                    instance_type=instance_type,
                    network=network,
                    variant=variant,
                    engine=engine,
                    precision="f32",
                    log_img_s=4 + rng.normal(0, SPREAD),
                    error=ERROR,
                )
                for network, variant in files
                for engine in ENGINES
            ]
        of_night = NightRatios(night=night, scenario="latency", ratios=tuple(ratios), speeds=tuple(speeds))
        store.put_night_ratios(of_night)
        store.put_report(night, "summary.json", json.dumps({"says": [], "machines": [], "counts": ""}).encode())
        for instance_type in instance_types:
            for number in range(trials):
                store.write(f"nights/{night}/trials/{instance_type}/cell/job-{number}.json", b"{}")
    return len(ratios)


def main(
    nights: Annotated[int, typer.Option(help="That are in the store.")] = 365,
    types: Annotated[int, typer.Option(help="Instance types, each of them in every night.")] = 6,
    trials: Annotated[int, typer.Option(help="Files of each instance type in every night.")] = 0,
    s3: Annotated[bool, typer.Option(help="The store is a bucket of the emulated cloud.")] = False,
    delay_ms: Annotated[float, typer.Option(help="That each request to it takes longer.")] = 20,
) -> None:
    """Make the nights, and find what changed in them."""
    with place(s3, delay_ms) as where:
        store, unreadable = Store(where.uri), list[Unreadable]()
        ratios = fill(store, nights, types, trials)
        where.slow_down()
        wall, cpu = time.perf_counter(), time.process_time()
        changed, _ = changes.find(store, unreadable)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        every_day = _every_day(store)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for event in changed.events:
        print(changes.sentence(event))
    print(
        f"{nights} nights of {ratios} ratios: {len(changed.events)} found in {cpu:.1f} s of CPU time ({wall:.1f} s), "
        f"{peak_mib:.0f} MiB at the peak"
    )
    print("\n".join(every_day))


def _every_day(store: Store) -> list[str]:
    """What people wait for: the page of all reports, and the plan of a sweep of six instance types."""
    os.environ["SPARSEBENCH_STORE"] = store.uri
    from sparsebench_airflow import report_page  # Airflow reads its configuration as it is imported

    file = store.put_artifact(b"a network")
    store.put_model_card(card("vgg19", "base").model_copy(update={"artifact": file}))
    names = tuple(catalog.cpu_instance_types())[1:7]
    sweep, now = Sweep(instance_types=names), datetime(2027, 2, 1, tzinfo=UTC)
    run = Run("benchmark_sweep", "run", "ami-1")
    steps: dict[str, Callable[[], object]] = {
        "Reports": report_page.nights,
        "the first plan of a night": lambda: plan_sweep(store, sweep, "2027-02-01", run, now, "quick"),
        "the next": lambda: plan_sweep(store, sweep, "2027-02-01", run, now, "quick"),
    }
    requests, said = Requests(), []
    for name, step in steps.items():
        before = requests.number
        wall, cpu = time.perf_counter(), time.process_time()
        step()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        asked = requests.number - before
        said.append(f"{name}: {cpu:.2f} s of CPU time ({wall:.2f} s){f', {asked} requests' if asked else ''}")
    return said


if __name__ == "__main__":
    typer.run(main)
