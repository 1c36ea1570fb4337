"""What nights say together: the ratios that are watched, and where they changed."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from sparsebench.contracts.base import VARIANTS_SINCE, Contract, Name, Night, Stored, Variant
from sparsebench.contracts.formats import since
from sparsebench.contracts.protocol import Precision, Scenario


class WatchedRatio(Contract):
    """A's throughput over B's, of two treatments that take turns: two engines on one file, or a file and its base in
    one engine."""

    network: Name
    precision: Precision
    variant_a: Variant = Field(json_schema_extra=VARIANTS_SINCE)
    engine_a: Name
    variant_b: Variant = Field(json_schema_extra=VARIANTS_SINCE)
    engine_b: Name


MAX_LOG_RATIO = 50.0


class NightRatio(WatchedRatio):
    """A ratio as it was on the hosts of a night."""

    instance_type: Name
    log_ratio: float
    error: float = Field(ge=0, description="standard error of the log")


class NightSpeed(Contract):
    """A cell's throughput as it was on the hosts of a night. Hosts differ from night to night: it stands beside what
    is watched, and is not watched itself."""

    instance_type: Name
    network: Name
    variant: Variant = Field(json_schema_extra=VARIANTS_SINCE)
    engine: Name
    precision: Precision
    log_img_s: float
    error: float = Field(ge=0, description="standard error of the log")


class NightRatios(Stored):
    """nights/<night>/ratios.json: what the history needs of a night. It is drawn from the trials, as the report is, and
    again whenever that is."""

    night: Night
    scenario: Scenario
    ratios: tuple[NightRatio, ...]
    speeds: tuple[NightSpeed, ...] = Field(default=(), json_schema_extra=since(4))

    @model_validator(mode="after")
    def _each_ratio_is_one_and_is_there_once(self) -> Self:
        seen = set()
        for ratio in self.ratios:
            if abs(ratio.log_ratio) > MAX_LOG_RATIO:
                raise ValueError(f"log_ratio is {ratio.log_ratio:g}: nothing is that much faster")
            if (key := tuple(ratio.model_dump(exclude={"log_ratio", "error"}).values())) in seen:
                raise ValueError(f"the ratio of {', '.join(map(str, key))} is there twice")
            seen.add(key)
        for speed in self.speeds:
            if abs(speed.log_img_s) > MAX_LOG_RATIO:
                raise ValueError(f"log_img_s is {speed.log_img_s:g}: nothing is that fast, or that slow")
        return self


class ChangedInput(Contract):
    """What differs between two nights that follow each other on an instance type. Empty: that night had none."""

    night: Night = Field(description="the later of the two")
    what: str
    before: str
    after: str


class ChangedSeries(WatchedRatio):
    """A series that changed."""

    first: Night = Field(description="that is different")
    times: float = Field(gt=0, description="the ratio since then, over what it was")
    low: float = Field(gt=0, description="of its 95 % interval")
    high: float = Field(gt=0)
    p: float = Field(ge=0, le=1, description="of Student's test, of this series alone")
    instance_type: Name | None = Field(
        default=None, description="that it is of; None: the event's", json_schema_extra=since(2)
    )


class Event(Contract):
    """Series that changed on the same night, and have an engine, or a file, in common."""

    instance_type: Name = Field(description="of the first of the series")
    scenario: Scenario
    engine: Name | None = Field(description="whose series changed; None: a file's did")
    network: Name | None = Field(description="of the file; None: an engine's series changed")
    variant: Variant | None = Field(json_schema_extra=VARIANTS_SINCE)
    direction: Literal["faster", "slower"]
    times: float = Field(gt=0, description="its speed over what it was, in the first of the series")
    low: float = Field(gt=0, description="of its 95 % interval")
    high: float = Field(gt=0)
    first: Night = Field(description="that is different")
    earliest: Night = Field(description="that may be the first")
    latest: Night = Field(description="that may be the first")
    told: Night = Field(description="by which it had held long enough")
    chance: float = Field(
        ge=0, description="how many such changes Student's test expects among all series and nights if there were none"
    )
    series: tuple[ChangedSeries, ...] = Field(min_length=1, description="the surest first")
    differs: tuple[ChangedInput, ...] = Field(description="in inputs and hosts, around the first night")
    told_at: AwareDatetime | None = Field(default=None, description="when people were told; None: they were not yet")
    stands: bool = Field(default=True, description="False: since nights were measured again, it is no change any more")

    @property
    def instance_types(self) -> tuple[str, ...]:
        """Those of its series, the surest first."""
        return tuple(dict.fromkeys(series.instance_type or self.instance_type for series in self.series))

    @model_validator(mode="after")
    def _it_is_of_an_engine_or_of_a_file(self) -> Self:
        if self.engine is None and (self.network is None or self.variant is None):
            raise ValueError("engine is None: expected one, or a network and its variant")
        return self


class Changes(Stored):
    """history/changes.json: every change that the nights show, the first first. It is replaced as nights come."""

    nights: int = Field(ge=0, description="that were looked at")
    series: int = Field(ge=0)
    events: tuple[Event, ...]
