"""Rows of a run as values: in manifest order, filtered, with what the manifest had besides."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

import bulkops
from bulkops.cli.schema import schema_of
from bulkops.errors import BulkopsError, UsageError
from bulkops.files.manifest import Format
from bulkops.files.outcomes import COLUMNS, PLACE
from bulkops.library.outcome_rows import OutcomeRow
from tests.library.desk import desk, whole

_MORE = (
    '{"op": "unlink", "module": "Products", "record_id": "4.15E+18", "related_list": "Deals",'
    ' "related_id": "4150868010000000001", "big": 123456789012345678901234567890,'
    ' "nested": [{"deep": 1.10}]}\n'
)


async def test_rows_are_as_the_log_and_the_manifest_say(tmp_path: Path) -> None:
    """Every line, or those of a status; and none of a run that has not begun."""
    async with desk(tmp_path) as at:
        plan = at.plan(products=range(3), also="unlink,Products,4.15E+18,Deals,1,T\n")
        assert [] == list(bulkops.outcomes(plan))
        await whole(plan)
    found = list(bulkops.outcomes(plan.run))
    assert [*range(1, 11)] == [row["line"] for row in found]
    assert [{"ticket": "T"}] * 10 == [row["extra"] for row in found]
    (bad,) = bulkops.outcomes(plan.name, status={"invalid"}, config=at.config)
    assert found[-1] == bad
    assert [bad] == list(bulkops.outcomes(plan, status=bulkops.Status.INVALID))


async def test_numbers_are_those_of_python(tmp_path: Path) -> None:
    """However long they are, and however deep they lie."""
    (tmp_path / "a.jsonl").write_text(_MORE)
    async with desk(tmp_path) as at:
        plan = bulkops.plan(tmp_path / "a.jsonl", config=at.config, file_format=Format.JSONL)
        await whole(plan)
    (row,) = bulkops.outcomes(plan)
    assert {"big": 123456789012345678901234567890, "nested": [{"deep": 1.1}]} == row["extra"]


async def test_a_file_of_them_has_every_shape(tmp_path: Path) -> None:
    """A path for all, a stream for lines of JSON; what cannot be written is an error of ours."""
    async with desk(tmp_path) as at:
        plan = at.plan(products=range(2))
        await whole(plan)
    sink = io.BytesIO()
    bulkops.write_outcomes(plan, sink)
    assert list(bulkops.outcomes(plan)) == [
        json.loads(each) for each in sink.getvalue().splitlines()
    ]
    for shape in ("jsonl", "csv", "parquet"):
        bulkops.write_outcomes(plan, tmp_path / shape, shape=shape)
        assert (tmp_path / shape).stat().st_size
        with pytest.raises(BulkopsError, match="cannot be written"):
            bulkops.write_outcomes(plan, tmp_path / "none" / shape, shape=shape)
    with pytest.raises(UsageError, match="expected a path"):
        bulkops.write_outcomes(plan, sink, shape="csv")


def test_every_column_is_in_the_contract() -> None:
    """A column that an operation brings along is named for type checkers and in the schema, too."""
    columns = {*COLUMNS, *PLACE, "extra"}
    assert columns == OutcomeRow.__annotations__.keys()
    assert columns == schema_of("outcomes")["$defs"]["outcome"]["properties"].keys()
