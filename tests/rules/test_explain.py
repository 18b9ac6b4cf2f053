"""Every code that an outcome can have has words: what it means, and what to do."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulkops.rules.explain import EXPLAINED, explain
from bulkops.rules.explain.api import API, BY_MESSAGE
from bulkops.rules.explain.ours import OURS

_ROOT = Path(__file__).parents[1]
_PACKAGE = _ROOT.parent / "bulkops"
#: Codes that say how an outcome in its wanted state is known.
_FINE = {"probed", "read_back"}
#: Answers to what is well, not to what is wrong.
_WELL = {"SUCCESS", "SCHEDULED"}
#: Where outcomes of the client get their codes: SQL of the planner, and values in Python.
_IN_SQL = (
    re.compile(r"trouble\(\s*'([a-z_]+)'"),
    re.compile(r"'(?:invalid|conflict)',\s*'([a-z_]+)'"),
)


def sources() -> Iterator[tuple[Path, str]]:
    for path in sorted(_PACKAGE.rglob("*.py")):
        if not {"emulator", "report", "cli"} & set(path.relative_to(_PACKAGE).parts):
            yield path, path.read_text(encoding="utf-8")


def codes_of_python(path: Path, text: str) -> Iterator[str]:
    """Yield the codes that a module gives to outcomes, to refused reads, and to bad records."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            place = {"Outcome": 2, "Refusal": 0, "_refusal": 1}.get(node.func.id)
            if place is not None and len(node.args) > place:
                yield from constants(node.args[place])
        elif path.parent.name == "manifest" and isinstance(node, ast.Return | ast.Assign):
            # `return "code", "words"`, and `code, words = "code", ...`, and `code = ... if ...`.
            value = node.value
            if isinstance(value, ast.Tuple) and len(value.elts) == 2:
                yield from (each for each in constants(value.elts[0]) if "_" in each)
            elif isinstance(node, ast.Assign) and names(node) == ["code"]:
                yield from constants(value)


def constants(node: ast.AST | None) -> Iterator[str]:
    """Yield the words that an expression can come to; what is read by a key is not its key."""
    match node:
        case ast.Constant(str(value)) if re.fullmatch(r"[a-z]+(_[a-z]+)*", value):
            yield value
        case ast.Call(func=ast.Attribute(value=value, attr="get"), args=[_, *defaults]):
            for each in (value, *defaults):
                yield from constants(each)
        case ast.Subscript(value=value):
            yield from constants(value)
        case ast.AST():
            for each in ast.iter_child_nodes(node):
                yield from constants(each)


def names(node: ast.Assign) -> list[str]:
    return [each.id for each in node.targets if isinstance(each, ast.Name)]


OUR_CODES = sorted(
    {
        code
        for path, text in sources()
        for code in (
            *codes_of_python(path, text),
            *(found for pattern in _IN_SQL for found in pattern.findall(text)),
        )
    }
    - _FINE
)


def codes_in(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("code"), str):
            yield value["code"]
        for each in value.values():
            yield from codes_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from codes_in(each)


API_CODES = sorted(
    {
        code
        for path in (_ROOT / "data" / "replies").glob("*.json")
        for code in codes_in(json.loads(path.read_bytes()))
    }
    - _WELL
)


def test_the_search_finds_what_everybody_knows() -> None:
    """A search that overlooks codes would find every code explained."""
    known = {
        *("mangled_number", "unsafe_relation", "opposite_wishes", "not_listed", "circular_order"),
        *("job_without_effect", "system_assigned", "too_large", "no_answer", "unreadable"),
        *("too_few_fields", "bad_quote", "not_json", "nul_byte", "missing_op", "unknown_op"),
    }
    assert known <= set(OUR_CODES)
    assert {"INVALID_DATA", "RECORD_LOCKED", "DEPENDENT_FIELD_MISSING"} <= set(API_CODES)


@pytest.mark.parametrize("code", OUR_CODES)
def test_every_code_of_ours_is_explained(code: str) -> None:
    """Whatever the planner and the engine give to an outcome."""
    assert code in OURS


@pytest.mark.parametrize("code", API_CODES)
def test_every_code_of_the_api_is_explained(code: str) -> None:
    """Whatever the API's pages show as the code of an error."""
    assert code in API


@pytest.mark.parametrize("code", sorted(EXPLAINED))
def test_an_explanation_is_a_phrase_that_can_stand_before_a_full_stop(code: str) -> None:
    """Meaning and advice are there, and end in no mark of their own."""
    every = [explain(code), *(each for _, each in BY_MESSAGE.get(code, ()))]
    for each in every:
        for words in (each.meaning, each.advice):
            assert words
            assert words[-1] not in ".!?,;"


def test_no_code_is_explained_twice() -> None:
    """Capitals are the API's, small letters ours."""
    assert not set(API) & set(OURS)
    assert [code for code in API if code != code.upper()] == []
    assert [code for code in OURS if code != code.lower()] == []


def test_the_message_says_more_than_the_code() -> None:
    """`INVALID_DATA` is a missing record, a mistyped id, or a territory, as the words say."""
    meanings = {
        explain("INVALID_DATA", words).meaning
        for words in (
            "the related id given seems to be invalid",
            "The record does not exist",
            "the id given seems to be invalid",
            "Given Territoryid isn't valid one",
            "Given transfer_to_id isn't valid one",
            "invalid data",
        )
    }
    assert 6 == len(meanings)


def test_an_unknown_code_sends_people_to_its_message() -> None:
    """What Zoho invents tomorrow has words too."""
    assert "does not know" in explain("BRAND_NEW").meaning
