"""
What the words of a job file may be: names of columns, fields and jobs, values and ids.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator


def _column(name: str) -> str:
    if not name or name != name.strip():
        raise ValueError("expected the name of a column, without spaces around it")
    return name


def _text(value: Any) -> str:
    """Write flags and whole numbers as a manifest has them: ids are text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, int | str):
        raise ValueError("expected text, a whole number, true or false")  # noqa: TRY004
    return str(value)


def _field(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w{0,99}", name, re.ASCII):
        raise ValueError('expected API names of fields, such as "list_price"')
    return name


def job_name(file: Path) -> str:
    """Return the name of the job of a file."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", file.stem).strip("-") or "job"


def _job_name(name: str) -> str:
    if not name or name != job_name(Path(f"{name}.toml")):
        raise ValueError('expected names of jobs, such as "nightly" for nightly.toml')
    return name


def _id(text: str) -> str:
    if not re.fullmatch(r"\d{1,20}", text, re.ASCII):
        raise ValueError("expected an id as text, digits alone")
    return text


#: The name of a column of a manifest.
Column = Annotated[str, AfterValidator(_column)]
#: A value of a manifest.
Text = Annotated[str, BeforeValidator(_text)]
#: The API name of a field.
FieldName = Annotated[str, AfterValidator(_field)]
#: The name of a job.
JobName = Annotated[str, AfterValidator(_job_name)]
#: An id of Zoho.
Id = Annotated[str, AfterValidator(_id)]
