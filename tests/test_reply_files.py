"""
The files of `tests/data/replies` keep the form that their README promises.

These are checks of the files alone: neither the client nor the emulator is asked. They catch a
slip of the pen (an id that is in no request, an index past the end, a line without a conclusion)
before it turns into a wrong expectation elsewhere.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "data" / "replies"
FILES = sorted(FOLDER.glob("*.json"))

KEYS = {
    "source": str,
    "topic": str,
    "assumed": str | None,
    "product": str,
    "version": str,
    "operation": str,
    "rows": list,
    "sent_by_us": bool,
    "request": dict,
    "world": dict | None,
    "emulator": dict | None,
    "reply": dict,
    "expect": list,
    "means": dict | None,
    "note": str,
}
REQUEST_KEYS = {"method": str, "path": str, "query": dict, "body": dict | None, "headers": dict}
REPLY_KEYS = {"status": int, "headers": dict, "body": dict | None}
EMULATOR_KEYS = {"knobs": dict, "token": str, "fault": dict | None}
ITEM_KEYS = {"code": str, "details": dict, "message": str, "status": str}

VERSIONS = {
    "crm": {"v2", "v2.1", "v3", "v4", "v5", "v6", "v7", "v8"},
    "bigin": {"v1", "v2"},
    "accounts": {"v2"},
}
MANIFEST_OPERATIONS = {
    "unlink",
    "link",
    "remove_territories",
    "assign_territories",
    "delete_territory",
}
OTHER_OPERATIONS = {"token", "feature_info", "read"}
TOKENS = {"valid", "expired", "missing", "wrong_scope"}
NEXT = {"retry", "refresh", "wait", "locked", "split", "bisect", "lookup", "resend", "abort"}
#: The statuses that one answer can give a line, and the keys that go with each.
STATUS_KEYS = {
    "succeeded": {"line", "status"},
    "unchanged": {"line", "status", "code"},
    "failed": {"line", "status", "code"},
    "scheduled": {"line", "status", "job_id"},
}
MEANS_KEYS = {
    "token": ({"token", "expires_in"}, {"refused"}, {"throttled"}),
    "feature_info": ({"pending"},),
    "read": ({"territories"}, {"ids", "more"}),
}
#: The one documented body of a refusal that is not a status object.
OLD_REFUSAL = {"code", "error", "error_info", "details"}


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def sample(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def check_keys(value: dict[str, Any], keys: dict[str, Any]) -> None:
    assert list(keys) == list(value)
    wrong = {name: value[name] for name, kind in keys.items() if not isinstance(value[name], kind)}
    assert not wrong


def wrapped(sample: dict[str, Any]) -> list[dict[str, Any]]:
    """The items of an answer to an operation; none if it is flat, empty or about something else."""
    body = sample["reply"]["body"]
    if sample["operation"] not in MANIFEST_OPERATIONS or body is None:
        return []
    return body.get(envelope(sample), [])


def envelope(sample: dict[str, Any]) -> str:
    return "territories" if sample["operation"] == "delete_territory" else "data"


def strings(value: object) -> Iterator[str]:
    """Every text inside a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)


def test_there_are_samples_of_everything() -> None:
    """No operation is without samples, and so that a wrong folder cannot pass unseen."""
    operations = {json.loads(each.read_text(encoding="utf-8"))["operation"] for each in FILES}

    assert operations == MANIFEST_OPERATIONS | OTHER_OPERATIONS


def test_file_names_are_unique_in_any_capitals() -> None:
    """Two names may not differ by capitals alone: some file systems see one file."""
    counted = Counter(each.name.casefold() for each in FILES)

    assert not [name for name, times in counted.items() if times > 1]


def test_no_two_files_show_the_same_exchange() -> None:
    """A second file must differ in what is asked, what is answered or what was there before."""
    seen: dict[str, str] = {}
    twins = []
    for each in FILES:
        sample = json.loads(each.read_text(encoding="utf-8"))
        shown = {name: sample[name] for name in ("request", "reply", "world", "emulator", "rows")}
        twin = seen.setdefault(json.dumps(shown, sort_keys=True), each.stem)
        if twin != each.stem:
            twins.append((twin, each.stem))

    assert not twins


def test_file_is_named_by_what_it_shows(path: Path, sample: dict[str, Any]) -> None:
    """A name is in lower case with hyphens and ends with the HTTP status of the reply."""
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", path.stem)
    assert path.stem.rpartition("-")[2] == str(sample["reply"]["status"])


def test_file_is_written_as_the_others_are(path: Path, sample: dict[str, Any]) -> None:
    """Two spaces, no escapes, one newline at the end: a change shows as the lines it changes."""
    expected = json.dumps(sample, indent=2, ensure_ascii=False) + "\n"

    assert expected == path.read_text(encoding="utf-8")


def test_keys_and_types(sample: dict[str, Any]) -> None:
    """Every key is there, in the README's order, with its type."""
    check_keys(sample, KEYS)
    check_keys(sample["request"], REQUEST_KEYS)
    check_keys(sample["reply"], REPLY_KEYS)
    if sample["emulator"] is not None:
        check_keys(sample["emulator"], EMULATOR_KEYS)


def test_source_is_a_public_address(sample: dict[str, Any]) -> None:
    """Anyone can open the page; a file of the specification is pinned to its commit."""
    source = sample["source"]

    assert re.fullmatch(r"https://[a-z0-9.-]+\.[a-z]+/[!-~]+", source)
    if "/crm-oas/" in source:
        assert re.search(r"/crm-oas/blob/[0-9a-f]{7,40}/v8\.0/[\w./-]+\.(md|json)$", source)


def test_words_say_something(sample: dict[str, Any]) -> None:
    """Topic, note and, where given, the assumption are not empty."""
    words = [sample["topic"], sample["note"], sample["assumed"] or "nothing"]

    assert not [each for each in words if each != each.strip() or len(each) < 4]


def test_product_version_and_operation_exist(sample: dict[str, Any]) -> None:
    """What is called is in the closed sets; Bigin has neither territories nor contact roles."""
    operation = sample["operation"]

    assert sample["version"] in VERSIONS[sample["product"]]
    assert operation in MANIFEST_OPERATIONS | OTHER_OPERATIONS
    assert (sample["product"] == "accounts") == (operation == "token")
    if sample["product"] == "bigin":
        assert operation in {"unlink", "link"}
        assert not sample["request"]["path"].count("Contact_Roles")


def test_request_is_a_call_of_the_product(sample: dict[str, Any]) -> None:
    """The path has the product and version; query and headers are texts."""
    request = sample["request"]
    first = (
        "/oauth/v2/token"
        if sample["operation"] == "token"
        else f"/{sample['product']}/{sample['version']}/"
    )

    assert request["method"] in {"GET", "PUT", "POST", "PATCH", "DELETE"}
    assert request["path"].startswith(first)
    texts = [*request["query"].values(), *request["headers"].values()]
    assert not [each for each in texts if not isinstance(each, str)]


def test_rows_are_a_manifest(sample: dict[str, Any]) -> None:
    """A row is a flat object of texts with the operation, as a CSV file would give it."""
    if sample["operation"] not in MANIFEST_OPERATIONS:
        assert not sample["rows"]
    for row in sample["rows"]:
        assert sample["operation"] == row["op"]
        assert not {name: value for name, value in row.items() if not isinstance(value, str)}
        ids = {name: value for name, value in row.items() if name.endswith("_id")}
        assert not {n: v for n, v in ids.items() if not re.fullmatch("[0-9]{18,19}", v)}


def test_client_builds_a_request_only_from_rows(sample: dict[str, Any]) -> None:
    """An operation without rows is never sent by the client."""
    if sample["operation"] in MANIFEST_OPERATIONS and not sample["rows"]:
        assert sample["sent_by_us"] is False


def test_reply_has_a_body_unless_it_is_204(sample: dict[str, Any]) -> None:
    """204 is empty, and nothing else is."""
    reply = sample["reply"]

    assert (reply["status"] == 204) == (reply["body"] is None)
    assert 200 <= reply["status"] < 600


def test_reply_to_an_operation_is_items_or_one_refusal(sample: dict[str, Any]) -> None:
    """The body wraps status objects, or is one that refuses the whole call."""
    if sample["operation"] not in MANIFEST_OPERATIONS:
        return
    body = sample["reply"]["body"]
    if set(body) == OLD_REFUSAL:
        return
    items = wrapped(sample)
    if not items:
        assert body["status"] == "error"
        assert sample["reply"]["status"] >= 400
    else:
        assert [envelope(sample)] == list(body)
    for item in items or [body]:
        assert set(ITEM_KEYS) == set(item)
        assert not [name for name, kind in ITEM_KEYS.items() if type(item[name]) is not kind]
        assert item["status"] in {"success", "error"}
        assert (item["status"] == "success") == (item["code"] in {"SUCCESS", "SCHEDULED"})


def test_items_speak_of_the_request(sample: dict[str, Any]) -> None:
    """An id in an item was sent, and an index in a json_path is inside what was sent."""
    request = sample["request"]
    sent = " ".join(strings([request["path"], request["query"], request["body"]]))
    for item in wrapped(sample):
        details = item["details"]
        if "id" in details:
            assert details["id"] in sent
        if "json_path" in details:
            indices = [int(each) for each in re.findall(r"\[(\d+)\]", details["json_path"])]
            assert details["json_path"].strip().startswith(f"$.{envelope(sample)}[")
            array = request["body"][envelope(sample)]
            assert indices[0] < len(array)
            if len(indices) > 1:
                assert indices[1] < len(array[indices[0]]["Territories"])


def test_every_row_has_one_conclusion(sample: dict[str, Any]) -> None:
    """`expect` has a line for each row, in their order, and says one thing of it."""
    lines = [each["line"] for each in sample["expect"]]

    assert lines == list(range(1, len(sample["rows"]) + 1))
    for each in sample["expect"]:
        if "next" in each:
            assert set(each) == {"line", "next"}
            assert each["next"] in NEXT
        else:
            assert set(each) == STATUS_KEYS[each["status"]]


def test_conclusions_use_what_the_reply_says(sample: dict[str, Any]) -> None:
    """A code or job id that is concluded stands in the reply."""
    said = set(strings(sample["reply"]["body"]))
    concluded = {
        each[key] for each in sample["expect"] for key in ("code", "job_id") if key in each
    }

    assert set() == concluded - said


def test_a_refused_group_is_aborted_as_a_whole(sample: dict[str, Any]) -> None:
    """Abort, split, refresh and bisect speak of a call: no line of it has another conclusion."""
    words = {each.get("next") for each in sample["expect"]}

    if words & {"abort", "split", "refresh", "bisect"}:
        assert len(words) == 1
        assert not wrapped(sample)


def test_meaning_is_given_where_no_row_is_settled(sample: dict[str, Any]) -> None:
    """Other calls say what is read from them; a refusal of theirs, and an operation, do not."""
    operation, means = sample["operation"], sample["means"]
    refused = operation == "read" and sample["reply"]["status"] >= 400
    if operation in MANIFEST_OPERATIONS or refused:
        assert means is None
    else:
        assert set(means) in MEANS_KEYS[operation]


def test_emulator_is_given_a_token_it_knows(sample: dict[str, Any]) -> None:
    """Knobs are named by identifiers, and the token is one of four kinds."""
    emulator = sample["emulator"]
    if emulator is None:
        return
    assert emulator["token"] in TOKENS
    assert not [name for name in emulator["knobs"] if not name.isidentifier()]


def test_a_file_for_the_client_alone_has_no_world(sample: dict[str, Any]) -> None:
    """A world is for the emulator to start from."""
    if sample["emulator"] is None:
        assert sample["world"] is None


def test_readme_names_every_key() -> None:
    """The README's table and this check cannot drift apart."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"[`\"]([a-z_]+)[`\"]", text))

    assert set(KEYS) | NEXT | TOKENS | set(STATUS_KEYS) <= named
