"""The report as a contract: the types that write ``report.json`` are the types its JSON Schema is made from.

Rates are calls per 100 calls, with the number of calls they are of and a 95 % Wilson interval; where there is no call
to take a rate of, the rate is null, never zero. Seconds are rounded to a millisecond, rates to four decimals.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from callscan.records import Speaker, Status

SCHEMA_VERSION = "1.0"
"""Grows by a minor step when a field is added, by a major one when a field changes its meaning or goes."""

Count = Annotated[int, Meta(ge=0)]
Per100 = Annotated[float, Meta(ge=0, le=100, description="calls per 100 calls")]
Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, description="seconds")]
Probability = Annotated[float, Meta(ge=0, le=1, description="probability")]
Day = Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d$", description="a day, ISO 8601, in the time of the metadata")]


class Interval(Struct, frozen=True, kw_only=True):
    """95 % Wilson interval of a rate, in calls per 100."""

    low: Per100
    high: Per100


class Label(Struct, frozen=True, kw_only=True):
    """A name to show, in both languages."""

    fr: str
    en: str


class Coverage(Struct, frozen=True, kw_only=True):
    """What became of every recording: ``discovered`` is the sum of the others."""

    discovered: Count
    scanned: Annotated[int, Meta(ge=0, description="transcribed in full")]
    no_speech: Annotated[int, Meta(ge=0, description="heard in full, nobody speaks")]
    degraded: Annotated[int, Meta(ge=0, description="transcribed in part")]
    quarantined: Annotated[int, Meta(ge=0, description="failed; the reason is in failures")]
    duplicate: Annotated[int, Meta(ge=0, description="the same bytes as another recording, counted there")]
    deferred: Annotated[int, Meta(ge=0, description="still being written, left for the next run")]


class FailureReason(Struct, frozen=True, kw_only=True):
    """How many recordings ended with one status for one reason."""

    status: Status
    reason: str
    meaning: str
    calls: Count


class Failure(Struct, frozen=True, kw_only=True):
    """One recording that was not scanned in full."""

    call_id: str
    uri: str
    status: Status
    reason: str
    detail: str


class Evidence(Struct, frozen=True, kw_only=True):
    """The words behind a count: which call, which second, who, what was said, by which pattern of which lexicon."""

    call_id: str
    key: Annotated[str, Meta(description="SHA-256 of the recording")]
    uri: str
    start: Seconds
    end: Seconds
    speaker: Speaker
    speaker_known: bool
    quote: str
    context: Annotated[str, Meta(description="the segment that the quote begins in")]
    pattern: str
    lexicon: Annotated[str, Meta(description="digest of the lexicon that found it")]
    probability: Probability


class BySpeaker(Struct, frozen=True, kw_only=True):
    """An issue as one speaker said it."""

    speaker: Speaker
    calls: Count
    hits: Count


class ByPattern(Struct, frozen=True, kw_only=True):
    """An issue as one pattern found it."""

    pattern: str
    calls: Count
    hits: Count


class Cell(Struct, frozen=True, kw_only=True):
    """An issue among the calls that share one value of one column; ``value`` is null where the column is empty."""

    value: str | None
    calls: Count
    of: Annotated[int, Meta(ge=0, description="calls the rate is taken of")]
    hits: Count
    calls_per_100: Per100 | None
    interval: Interval | None


class Arc(Struct, frozen=True, kw_only=True):
    """The friction arc: hits by the third of the call they start in."""

    start: Count
    middle: Count
    end: Count


class Trend(Struct, frozen=True, kw_only=True):
    """The last seven days with calls against the 28 days before them."""

    since: Day
    recent: Cell
    before: Cell
    ratio: Annotated[float, Meta(ge=0)] | None
    p_value: Probability


class Issue(Struct, frozen=True, kw_only=True):
    """How often one thing was said, and the proof."""

    id: str
    label: Label
    severity: Annotated[int, Meta(description="weight that the lexicon gives it, 1 is the least")]
    speaker: Annotated[Speaker | None, Meta(description="who must have said it; null: anyone")]
    calls: Annotated[int, Meta(ge=0, description="calls with at least one counted hit")]
    of: Annotated[int, Meta(ge=0, description="calls the rate is taken of: scanned, and degraded with a transcript")]
    calls_per_100: Per100 | None
    interval: Interval | None
    hits: Annotated[int, Meta(ge=0, description="counted hits")]
    flagged: Annotated[dict[str, int], Meta(description="hits kept as evidence and not counted, by flag")]
    speaker_unknown: Annotated[int, Meta(ge=0, description="counted hits whose speaker could not be told")]
    speakers: list[BySpeaker]
    patterns: list[ByPattern]
    arc: Arc
    trend: Trend | None
    alerted: Annotated[list[Day], Meta(description="days on which the rate of all calls was at level warning or alarm")]
    by: Annotated[dict[str, list[Cell]], Meta(description="cells by column: day, hour, weekday, queue, agent, ...")]
    examples: list[Evidence]


class Alert(Struct, frozen=True, kw_only=True):
    """A rate that rose beyond chance, with the arithmetic that says so."""

    level: Literal["watch", "warning", "alarm"]
    issue: str
    column: Annotated[str, Meta(description="the metadata column of the slice, empty for all calls")]
    value: Annotated[str, Meta(description="the value of the slice, empty for all calls")]
    day: Day
    since: Annotated[str, Meta(description="first day of the window in which the rise is clearest")]
    calls: Annotated[int, Meta(ge=0, description="calls with the issue in that window")]
    of: Annotated[int, Meta(ge=0, description="calls scanned in that window")]
    expected: Annotated[float, Meta(ge=0, description="calls with the issue that the baseline leads to expect")]
    ratio: Annotated[Annotated[float, Meta(ge=0)] | None, Meta(description="calls / expected; null: nothing expected")]
    baseline_calls: Count
    baseline_of: Count
    baseline_since: Day
    baseline_until: Day
    dispersion: Annotated[float, Meta(ge=1, description="variance over mean of the daily counts of the baseline")]
    statistic: Literal["ears", "cusum"]
    ears_p: Probability
    cusum: Annotated[float, Meta(ge=0, description="log-likelihood ratio CUSUM")]
    cusum_p: Probability
    p_value: Annotated[float, Meta(ge=0, le=1, description="of the series, both statistics allowed for")]
    q_value: Annotated[float, Meta(ge=0, le=1, description="Benjamini-Hochberg, over the series of this column")]
    series: Annotated[int, Meta(ge=1, description="series of this column, tested on that day")]
    examples: list[Evidence]


class Measure(Struct, frozen=True, kw_only=True):
    """One interaction measure over the calls it could be taken of."""

    name: str
    unit: Literal["share", "seconds", "words_per_minute", "count"]
    calls: Count
    mean: float | None
    median: float | None
    p90: float | None


class Speakers(Struct, frozen=True, kw_only=True):
    """How it is known who speaks, in calls; the first four sum to the calls of the report."""

    channels: Annotated[int, Meta(ge=0, description="a channel for each side")]
    diarised: Annotated[int, Meta(ge=0, description="one channel, voices told apart and named")]
    unnamed: Annotated[int, Meta(ge=0, description="one channel, voices told apart, none could be named")]
    unknown: Annotated[int, Meta(ge=0, description="one channel, not diarised: patterns of one side cannot be told")]
    swapped: Annotated[int, Meta(ge=0, description="of channels: each sounds like the other side's")]


class Disagreement(Struct, frozen=True, kw_only=True):
    """What callers say ("I already called") beside what their numbers say, in calls."""

    both: Annotated[int, Meta(ge=0, description="said it, and the number called before")]
    spoken_only: Annotated[int, Meta(ge=0, description="said it, no earlier call from the number")]
    number_only: Annotated[int, Meta(ge=0, description="the number called before, nobody said it")]
    neither: Count
    unknown: Annotated[int, Meta(ge=0, description="no number, no start time, or too early in the archive")]


class RepeatContact(Struct, frozen=True, kw_only=True):
    """Repeat contact by caller number within ``days`` days, beside the spoken one."""

    days: Annotated[int, Meta(ge=1)]
    issue: Annotated[str, Meta(description="the issue that stands for spoken repeat contact")]
    calls: Annotated[int, Meta(ge=0, description="calls with a caller number and a start time")]
    repeats_seen: Annotated[int, Meta(ge=0, description="of these, with an earlier call in the archive")]
    repeat: Annotated[Cell, Meta(description="repeat contacts, of the calls the archive reaches days days back from")]
    resolved: Annotated[Cell, Meta(description="first-contact resolution: first calls not followed by another in time")]
    undecided: Annotated[int, Meta(ge=0, description="first calls too recent to know")]
    table: Disagreement


class Quartile(Struct, frozen=True, kw_only=True):
    """The calls of one quarter of an operational column, and each issue among them."""

    quartile: Annotated[int, Meta(ge=1, le=4)]
    low: float
    high: float
    of: Count
    issues: Annotated[dict[str, Cell], Meta(description="by issue id")]


class Operation(Struct, frozen=True, kw_only=True):
    """An operational column (wait time, transfers) beside the issues."""

    column: str
    calls: Annotated[int, Meta(ge=0, description="calls that have a number there")]
    quartiles: list[Quartile]


class Metadata(Struct, frozen=True, kw_only=True):
    """How the table of metadata met the calls."""

    rows: Count
    rows_without_call: Count
    calls_without_row: Count
    ambiguous: Annotated[int, Meta(ge=0, description="rows that fit several calls, or whose call several rows fit")]


class Slice(Struct, frozen=True, kw_only=True):
    """One value of a column and the calls scanned that have it."""

    value: str | None
    of: Count


class Work(Struct, frozen=True, kw_only=True):
    """What listening took, all workers and all scans of the archive together.

    Measured by the clock, and by how the calls fell into batches: the same recordings scanned again give other figures,
    the same archive the same ones.
    """

    audio_seconds: Annotated[float, Meta(ge=0, description="seconds of audio that were decoded")]
    worker_seconds: Annotated[float, Meta(ge=0, description="seconds of all workers, from shard to shard")]
    realtime_factor: Annotated[float, Meta(ge=0, description="audio seconds a worker second")] | None
    stages: Annotated[
        dict[str, float],
        Meta(description="seconds by stage, all threads; stages run side by side, so they sum to more than the time"),
    ]
    windows: Annotated[int, Meta(ge=0, description="windows decoded, each time it was")]
    padding_share: Annotated[float, Meta(ge=0, le=1, description="encoder frames that hold no sound")] | None
    batch_fill: Annotated[float, Meta(ge=0, le=1, description="windows of the places in their batches")] | None


class Cost(Struct, frozen=True, kw_only=True):
    """What was heard, and what that took: null where the archive does not say."""

    audio_seconds: Annotated[float, Meta(ge=0, description="seconds of audio in the calls scanned")]
    speech_seconds: Annotated[float, Meta(ge=0, description="seconds of speech, all channels")]
    words: Count
    work: Work | None


class Cut(Struct, frozen=True, kw_only=True):
    """Which calls the report is about, as it was asked for."""

    since: Day | None
    until: Annotated[Day | None, Meta(description="last day, included")]
    where: Annotated[dict[str, str], Meta(description="column and the value it must have")]
    undated: Annotated[int, Meta(ge=0, description="recordings without a start time; a choice of days leaves them out")]


class LexiconInfo(Struct, frozen=True, kw_only=True):
    """What counted."""

    digest: str
    issues: Count


class Report(Struct, frozen=True, kw_only=True):
    """Everything that a scan found, completeness first."""

    schema_version: str
    callscan: Annotated[str, Meta(description="version of callscan")]
    lexicon: LexiconInfo
    cut: Cut
    coverage: Coverage
    calls: Annotated[int, Meta(ge=0, description="denominator: calls scanned, and degraded calls with a transcript")]
    complete: Annotated[bool, Meta(description="no recording is quarantined or deferred, none degraded")]
    first_day: Day | None
    last_day: Day | None
    failure_reasons: list[FailureReason]
    failures: list[Failure]
    failures_left_out: Annotated[int, Meta(ge=0, description="failures beyond those listed; all are in calls.parquet")]
    metadata: Metadata | None
    slices: Annotated[dict[str, list[Slice]], Meta(description="denominators, by column")]
    issues: list[Issue]
    alerts: list[Alert]
    alert_series: Annotated[int, Meta(ge=0, description="series tested on the last day; 0: the history is too short")]
    speakers: Speakers
    interaction: list[Measure]
    repeat_contact: RepeatContact | None
    operations: list[Operation]
    cost: Cost
