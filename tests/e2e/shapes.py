"""
Hold what verbs print for programs to their schemas, and to the one alternative that is meant.

Whatever is held to a schema is also spoilt in every place, one place at a time: a key is taken away
or an unknown one added, and the schema must refuse each. So none of them can be vacuous.
"""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from bulkops.cli.schema import names, schema_of
from tests.e2e.harness import Bench

#: Objects whose keys are not ours: cells of a manifest, bodies of requests, names of holds.
OPEN = frozenset({"row", "extra", "query", "body", "held", "value", "verification"})
#: Objects that hold a value for each status, or for some.
MAPS = frozenset({"statuses", "settled", "states"})
#: Verbs whose `exit` is that of the run they look at.
OF_THE_RUN = frozenset({"status", "report"})
#: What may be absent: what a line of a manifest or a disagreement does not have, and the course of
#: a run that has not begun, and a token where none is needed.
_OF_A_LINE = {
    *("file", "file_line", "op", "module", "record_id", "related_list", "related_id"),
    *("territory_id", "transfer_to_id", "code", "message", "raw", "http_status", "attempts"),
    *("batch", "job_id", "of_line", "learnt", "finished_at", "extra"),
}
OPTIONAL = {
    "outcomes": _OF_A_LINE,
    "api outcomes": _OF_A_LINE,
    "plan": {"query", "body", "status", "code", "message", "of_line"},
    "verify": {"wish_holds", "why"},
    "report": {"timeline"},
    "serve": {"token"},
}


def titles(verb: str) -> list[str]:
    """The names of what a verb may print."""
    schema = schema_of(verb)
    return [_resolved(schema, each)["title"] for each in schema["oneOf"]]


@cache
def _validator(verb: str, title: str) -> Draft202012Validator:
    schema = schema_of(verb)
    chosen = [each for each in schema["oneOf"] if _resolved(schema, each)["title"] == title]
    assert len(chosen) == 1, f"{verb} prints no {title!r}: {titles(verb)}"
    return Draft202012Validator({**schema, "oneOf": chosen})


@cache
def _whole(verb: str) -> Draft202012Validator:
    return Draft202012Validator(schema_of(verb))


def _resolved(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    if "title" in part:
        return part
    found: dict[str, Any] = schema["$defs"][part["$ref"].removeprefix("#/$defs/")]
    return found


def shown(
    bench: Bench, title: str, *words: str, code: int = 0, given: str = "", **more: str
) -> dict[str, Any]:
    """
    Run a verb with --json; return the one value that it prints, and nothing besides.

    The value has the shape `title` of the verb and no other, and the exit code is `code`.
    """
    done = subprocess.run(
        bench.command(*words, "--json"),
        cwd=bench.folder,
        env={name: each for name, each in bench.environment(**more).items() if each},
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert code == done.returncode, done.stderr
    return held(title, words, done.stdout, code=code)


def held(title: str, words: Sequence[str], text: str, *, code: int | None = None) -> dict[str, Any]:
    """Return the value that `words` printed as `text`, held to its schema: a strict one."""
    verb, value = verb_of(words), fitting(title, words, text)
    for what, mutant in mutants(value, verb):
        assert not _validator(verb, title).is_valid(mutant), f"{verb}: {what} is not refused"
    if code is not None:
        said = value.get("error", value).get("exit", code)
        # Some tell what the run ended with, not what they end with themselves.
        assert verb in OF_THE_RUN or said == code
    return value


def fitting(title: str, words: Sequence[str], text: str) -> dict[str, Any]:
    """Return the value that `words` printed as `text`, which is as its schema says."""
    verb = verb_of(words)
    value: dict[str, Any] = json.loads(text)
    for validator in (_validator(verb, title), _whole(verb)):
        error = best_match(validator.iter_errors(value))
        assert error is None, f"{verb}: {error.message} at {error.json_path}\n{text}"
    return value


def verb_of(words: Sequence[str]) -> str:
    """The verb of a command line, which may be of two words."""
    return next(each for each in (" ".join(words[:2]), words[0]) if each in names())


def mutants(value: Any, verb: str, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield what no schema may let pass: `value` with a key less, or with one more."""
    if isinstance(value, list):
        # The first says as much as all of them.
        for name, mutant in mutants(value[0], verb, path) if value else ():
            yield name, [mutant, *value[1:]]
        return
    if not isinstance(value, dict) or OPEN & {*path[-1:]}:
        return
    where = ".".join(path)
    yield f"an unknown key of {where!r}", {**value, "no_such_key": 1}
    for key, each in value.items():
        if not (MAPS & {*path[-1:]} or key in OPTIONAL.get(verb, ())):
            less = copy.copy(value)
            del less[key]
            yield f"{where!r} without {key}", less
        for name, mutant in mutants(each, verb, (*path, key)):
            yield name, {**value, key: mutant}
