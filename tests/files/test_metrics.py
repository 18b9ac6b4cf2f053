"""The text of Prometheus: read back by a parser that knows nothing of how it was written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkops.errors import ExitCode, UsageError
from bulkops.files.metrics import MetricsFile, Sample, render, samples_of

Parsed = dict[tuple[str, frozenset[tuple[str, str]]], float]

_LINE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)')
_LABEL = re.compile(r'([a-z]+)="((?:[^"\\\n]|\\["\\n])*)"')
_STATUS: dict[str, Any] = {
    "rows": 100,
    "settled": 60,
    "statuses": {"succeeded": 50, "failed": 10},
    "pending": 5,
    "parked": 2,
    "calls": 70,
    "planned_calls": 120,
    "retries": 3,
    "throttled": 1,
    "in_flight": 4,
    "slots": 8,
    "concurrency": 20,
    "credits": {"spent": 70, "left": 30, "day": 500, "leave": 100},
    "held": {"window": "outside"},
    "refusals": [{"status": "failed", "code": "A", "lines": 10, "example": "x"}],
    "end": {"seconds": 12.5, "basis": "b"},
}


def parse(text: str) -> Parsed:
    """Read the format as its page describes it; every metric has its type before its samples."""
    found: Parsed = {}
    typed: set[str] = set()
    *lines, last = text.split("\n")
    assert last == ""
    for line in lines:
        if line.startswith("# TYPE "):
            name, kind = line.removeprefix("# TYPE ").split(" ")
            assert name not in typed
            assert kind in {"gauge", "counter"}
            typed.add(name)
        elif not line.startswith("# HELP "):
            match = _LINE.fullmatch(line)
            assert match, line
            name, labels, value = match.groups()
            assert name in typed
            key = (name, frozenset((n, unescaped(v)) for n, v in _LABEL.findall(labels or "")))
            assert key not in found
            found[key] = float(value)
    return found


def unescaped(value: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], value)


def value_of(parsed: Parsed, name: str, **labels: str) -> float | None:
    """The one sample of a name that has these labels, whatever others it has."""
    wanted = set(labels.items())
    found = [value for (each, has), value in parsed.items() if each == name and wanted <= has]
    assert len(found) <= 1
    return found[0] if found else None


@given(st.text(), st.text())
def test_whatever_a_label_holds_comes_back(run: str, reason: str) -> None:
    """Quotes, line ends and backslashes are escaped; nothing else of the text is touched."""
    clean = run.encode(errors="replace").decode()
    text = render(samples_of({"held": {reason: "words"}}, {"run": run}))
    (key,) = parse(text)
    assert ("run", clean) in key[1]
    assert ("reason", reason.encode(errors="replace").decode()) in key[1]


@given(st.floats() | st.integers(-(10**18), 10**18))
def test_every_number_is_one_of_the_format(value: float) -> None:
    """Also those that are none."""
    ((_, found),) = parse(render([Sample("bulkops_rows", value, {})])).items()
    assert found == pytest.approx(float(value), nan_ok=True)


def test_a_status_is_there_with_all_it_says() -> None:
    """Lines by status (those without too), calls, credits, holds; each with run and job."""
    parsed = parse(render(samples_of(_STATUS, {"run": "r", "job": "j"})))
    assert all({("run", "r"), ("job", "j")} <= labels for _, labels in parsed)
    assert {
        "succeeded": 50.0,
        "failed": 10.0,
        "unknown": 0.0,
    } == {
        status: value_of(parsed, "bulkops_lines", status=status)
        for status in ("succeeded", "failed", "unknown")
    }
    told = {
        "bulkops_calls_total": 70.0,
        "bulkops_throttled_total": 1.0,
        "bulkops_calls_in_flight": 4.0,
        "bulkops_credits_left": 30.0,
        "bulkops_held": 1.0,
        "bulkops_refused_lines": 10.0,
        "bulkops_seconds_to_end": 12.5,
    }
    assert told == {name: value_of(parsed, name) for name in told}


def test_what_is_not_known_is_left_out() -> None:
    """A time to the end that nobody knows is no zero."""
    status = {**_STATUS, "end": {"seconds": None, "basis": "held"}}
    assert value_of(parse(render(samples_of(status, {}))), "bulkops_seconds_to_end") is None
    assert {} == parse(render(samples_of({}, {})))


def test_the_file_says_how_it_ended_and_when_it_last_went_well(tmp_path: Path) -> None:
    """Over runs and processes: the last success stays until the next one."""
    path = tmp_path / "bulkops.prom"

    def written(run: str, now: float, ended: ExitCode | None) -> Parsed:
        MetricsFile(path, {"run": run, "job": "nightly"}).write({}, now=now, ended=ended)
        assert sorted(tmp_path.iterdir()) == [path]
        return parse(path.read_text(encoding="utf-8"))

    success = "bulkops_last_success_timestamp_seconds"
    first = written("a", 1000.5, None)
    assert (1.0, None, None) == (
        value_of(first, "bulkops_up"),
        value_of(first, "bulkops_exit_code"),
        value_of(first, success),
    )
    assert 2000.5 == value_of(written("a", 2000.5, ExitCode.OK), success)
    assert 2000.5 == value_of(written("b", 3000.0, None), success)
    failed = written("b", 4000.0, ExitCode.PAUSED)
    assert (0.0, 5.0, 2000.5, 4000.0) == (
        value_of(failed, "bulkops_up"),
        value_of(failed, "bulkops_exit_code"),
        value_of(failed, success),
        value_of(failed, "bulkops_updated_timestamp_seconds"),
    )


def test_a_file_of_somebody_else_says_nothing_of_success(tmp_path: Path) -> None:
    """Whatever stands in the file's place, it is replaced."""
    path = tmp_path / "bulkops.prom"
    path.write_bytes(b"\xff\xfe bulkops_last_success_timestamp_seconds x\n")
    MetricsFile(path, {}).write({}, now=1.0)
    parsed = parse(path.read_text(encoding="utf-8"))
    assert value_of(parsed, "bulkops_last_success_timestamp_seconds") is None


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """With its name, before anything is sent."""
    with pytest.raises(UsageError, match="nowhere"):
        MetricsFile(tmp_path / "nowhere" / "x.prom", {}).write({}, now=1.0)
