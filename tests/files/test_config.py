"""The configuration: every key documented, every mistake named, no secret shown."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from bulkops.errors import ExitCode, UsageError
from bulkops.files.config import Config, load_config
from bulkops.files.limits_section import Limits
from bulkops.files.products import EDITIONS, is_loopback
from bulkops.files.sections import Api, Section

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder, with an empty user's config folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(file_text: str = "", **environ: str) -> str:
    """Return the words with which a configuration is refused."""
    file = write(Path("c.toml"), file_text)
    with pytest.raises(UsageError) as caught:
        load_config(file, environ)
    assert caught.value.exit_code == ExitCode.USAGE
    return str(caught.value)


class TestExample:
    """`config.example.toml` is the documentation of the keys."""

    def test_names_every_key(self) -> None:
        """No key is missing and none is invented."""
        documented = {
            section: set(keys) for section, keys in tomllib.loads(EXAMPLE.read_text()).items()
        }
        known = {
            name: set(field.annotation.model_fields)
            if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
            else set()
            for name, field in Config.model_fields.items()
        }
        assert known == documented

    def test_holds_the_defaults(self) -> None:
        """Loaded, it is what no file at all is; the ceiling is written out as a number."""
        loaded, default = load_config(EXAMPLE, {}), Config()
        for section in Config.model_fields:
            expected, actual = getattr(default, section), getattr(loaded, section)
            if section == "limits":
                expected = Limits(concurrency=default.limits.ceiling)
            assert expected == actual

    def test_explains_every_key_on_its_line(self) -> None:
        """Whoever reads a key reads what it means."""
        keys = [
            line
            for line in EXAMPLE.read_text().splitlines()
            if re.match(r"\w+ = ", line) and "  # " not in line
        ]
        assert keys == []


class TestPlaces:
    """Where a configuration is found."""

    def test_nothing_at_all_is_the_defaults(self) -> None:
        """No file is no error, and there is no source."""
        config = load_config(None, {})
        assert Config() == config
        assert config.source is None

    def test_the_order_of_places(self, elsewhere: Path) -> None:
        """`--config`, `BULKOPS_CONFIG`, `./config.toml`, the user's folder: the first wins."""
        (elsewhere / "xdg" / "bulkops").mkdir(parents=True)
        user = write(elsewhere / "xdg" / "bulkops" / "config.toml", "[limits]\nattempts = 2")
        assert (2, user) == (load_config(None, {}).limits.attempts, load_config(None, {}).source)
        write(Path("config.toml"), "[limits]\nattempts = 3")
        assert load_config(None, {}).limits.attempts == 3
        write(Path("named.toml"), "[limits]\nattempts = 4")
        named = {"BULKOPS_CONFIG": "named.toml"}
        assert load_config(None, named).limits.attempts == 4
        write(Path("flag.toml"), "[limits]\nattempts = 5")
        config = load_config(Path("flag.toml"), named)
        assert (5, Path("flag.toml")) == (config.limits.attempts, config.source)

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            (None, "cannot be read: No such file or directory"),
            (b"[limits\n", "is not TOML"),
            (b"# \xff\n", "is not UTF-8 at byte 2"),
        ],
    )
    def test_a_named_file_must_be_readable_toml(self, content: bytes | None, words: str) -> None:
        """A file that was asked for is never passed over."""
        if content is not None:
            Path("bad.toml").write_bytes(content)
        with pytest.raises(UsageError, match=f"^bad.toml: {re.escape(words)}"):
            load_config(Path("bad.toml"), {})

    def test_a_folder_is_no_file(self) -> None:
        """A folder named config.toml is an error, not an empty configuration."""
        Path("config.toml").mkdir()
        with pytest.raises(UsageError, match=r"config\.toml: cannot be read: Is a directory"):
            load_config(None, {})


class TestEnvironment:
    """Every key may come from the environment, which wins."""

    def test_wins_over_the_file_key_by_key(self) -> None:
        """A variable replaces its own key and leaves the others of its section."""
        file = write(Path("c.toml"), "[limits]\nattempts = 2\ntimeout_s = 9.0")
        config = load_config(file, {"BULKOPS_LIMITS__ATTEMPTS": "3"})
        assert (config.limits.attempts, config.limits.timeout_s) == (3, 9.0)

    def test_reaches_every_key(self) -> None:
        """Each key of each section is read from its variable."""
        default = Config()
        for section, field in Config.model_fields.items():
            if not (isinstance(field.annotation, type) and issubclass(field.annotation, Section)):
                continue
            for key in field.annotation.model_fields:
                value = getattr(getattr(default, section), key)
                text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
                text = json.dumps(value) if isinstance(value, tuple) else text
                given = {f"BULKOPS_{section.upper()}__{key.upper()}": text}
                loaded = getattr(load_config(None, given), section)
                assert {key} == loaded.model_fields_set
                assert value == getattr(loaded, key)

    def test_relations_are_a_json_object(self) -> None:
        """Names of relations are no names of variables, so the table comes whole."""
        given = {"BULKOPS_RELATIONS": '{"A.B": "C.D"}'}
        assert load_config(None, given).relations == {"A.B": "C.D"}

    def test_only_what_is_passed_in_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A given mapping stands for the whole environment; none is the process's own."""
        monkeypatch.setenv("BULKOPS_LIMITS__ATTEMPTS", "2")
        assert load_config(None, {}).limits.attempts == 6
        assert Config().limits.attempts == 6
        assert load_config(None).limits.attempts == 2

    def test_an_empty_variable_is_an_empty_value(self) -> None:
        """`BULKOPS_API__BASE_URL=` takes the file's address away; a number cannot be empty."""
        text = '[api]\nbase_url = "https://sandbox.zohoapis.com"'
        file = write(Path("c.toml"), text)
        assert load_config(file, {"BULKOPS_API__BASE_URL": ""}).api.base_url == ""
        assert "expected a whole number; found" in refusal(BULKOPS_LIMITS__ATTEMPTS="")

    def test_mistakes_name_the_variable(self) -> None:
        """Unknown keys and sections and wrong values are told with the variable's name."""
        assert refusal(BULKOPS_LIMITS__ATTEMPS="3") == (
            "environment variable BULKOPS_LIMITS__ATTEMPS: limits.attemps: unknown key; "
            "did you mean limits.attempts?"
        )
        assert refusal(BULKOPS_LIMTIS__ATTEMPTS="3") == (
            "environment variable BULKOPS_LIMTIS__ATTEMPTS: unknown section 'limtis'; "
            "did you mean BULKOPS_LIMITS__...?"
        )
        assert refusal("[limits]\nattempts = 3", BULKOPS_LIMITS__ATTEMPTS="many") == (
            "environment variable BULKOPS_LIMITS__ATTEMPTS: limits.attempts: expected a whole "
            "number; found 'many'"
        )
        assert "expected JSON" in refusal(BULKOPS_RELATIONS="{")


class TestRefusals:
    """A refusal names file, key, what was found and what was expected."""

    def test_unknown_keys_are_named_with_the_one_meant(self) -> None:
        """By spelling within the section, then by name in another."""
        assert refusal(
            "[api]\nattempts = 3\n[limits]\nconcurency = 3\n[stop]\nzzz = 1\n[limit]\nattempts = 1"
        ) == (
            "c.toml: api.attempts: unknown key; did you mean limits.attempts?\n"
            "c.toml: limits.concurency: unknown key; did you mean limits.concurrency?\n"
            "c.toml: stop.zzz: unknown key\n"
            "c.toml: limit: unknown key; did you mean limits?"
        )

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ('[api]\nproduct = "desk"', "api.product: expected 'crm' or 'bigin'; found 'desk'"),
            ('[api]\nversion = "v9"', "api.version: expected a version of crm: v2, v2.1, v3"),
            ('[api]\nproduct = "bigin"\nversion = "v8"', "expected a version of bigin: v1, v2"),
            ('[api]\ndata_center = "de"', "api.data_center: expected 'us', 'eu', 'in', 'au'"),
            ('[api]\nbase_url = "http://zoho.test"', "api.base_url: expected https:"),
            ('[api]\nbase_url = "zohoapis.com"', "expected an address such as"),
            ('[api]\nbase_url = "https://zoho.test/?a=1"', "expected an address such as"),
            ('[api]\nbase_url = "https://zoho.test/crm"', "expected an address such as"),
            ('[api]\nbase_url = "https://zoho.test:0"', "expected an address such as"),
            ('[api]\nbase_url = "http://127.0.0.1:99999"', "Port out of range 0-65535"),
            ('[api]\naccounts_url = "ftp://127.0.0.1"', "api.accounts_url: expected https:"),
            ("api = 3", "c.toml: api: expected a table; found 3"),
            ('[limits]\nedition = "big"', "limits.edition: expected one of free, standard"),
            ("[limits]\nconcurrency = true", "limits.concurrency: expected a number; found True"),
            ("[limits]\nconcurrency = -1", "expected at least 0; found -1"),
            ("[follow]\ntimeout_s = inf", "follow.timeout_s: expected a finite number; found inf"),
            ("[limits]\ncalls_per_second = nan", "; found nan"),
            ("[limits]\nids_per_call = 101", "expected at most 100; found 101"),
            ('[limits]\nleave_credits = "100%"', 'expected a share below 100% such as "20%"'),
            ("[limits]\nleave_credits = 0.2", "found 0.2"),
            ('[limits]\nleave_credits = "50000"', "leaves nothing to use of 50000 credits a day"),
            ("[limits]\nterritory_records_per_call = 0", 'expected "auto" or a whole number from'),
            ("[limits]\nterritory_records_per_call = true", 'expected "auto" or a whole number'),
            ("[stop]\nfailed_ratio = 1.5", "expected at most 1; found 1.5"),
            ('[run]\nwindow = "22-06"', 'run.window: expected two different times such as "22:00'),
            ('[run]\nwindow = "22:00-22:00"', "expected two different times"),
            ('[run]\nwindow = "22:00-24:00"', "expected two different times"),
            ('[run]\non_conflict = "first"', "run.on_conflict: expected 'refuse' or 'last'"),
            ("[follow]\nfirst_interval_s = 90", "is longer than max_interval_s = 60"),
            ('[plan]\nmemory = "much"', 'expected a size with its unit such as "512MB"'),
            ('[relations]\n"Deals" = ""', "relations: 'Deals' is no relation; expected \"Module."),
            ('[relations]\n"A.B" = "A.B"', "contradicts another line"),
            ('[relations]\n"A.B" = "C.D"\n"C.D" = "E.F"', '"A.B" = "C.D" contradicts another'),
            ('[relations]\n"A.B" = "E.F"\n"C.D" = "E.F"', "contradicts another line"),
            ('[relations]\n"A.B" = "C.D"\n"C.D" = ""', "contradicts another line"),
        ],
    )
    def test_values_are_told_with_what_was_expected(self, text: str, words: str) -> None:
        """Each wrong value is refused at its key."""
        told = refusal(text)
        assert told.startswith("c.toml: ")
        assert words in told

    def test_all_problems_are_told_at_once(self) -> None:
        """Nobody mends a file one error at a time."""
        assert len(refusal("[limits]\nattempts = 0\ntimeout_s = 0\n[run]\nx = 1").splitlines()) == 3


class TestSecrets:
    """Secrets come from the environment or from a file for its owner alone."""

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o644])
    def test_a_file_others_can_read_is_refused(self, mode: int) -> None:
        """The words say how to mend it, and not what the secret is."""
        file = write(Path("c.toml"), '[auth]\nclient_secret = "hush-hush"', mode)
        with pytest.raises(UsageError, match=r"chmod 600 c\.toml$") as caught:
            load_config(file, {})
        assert "hush" not in str(caught.value)

    def test_a_file_for_its_owner_is_read(self) -> None:
        """Mode 0600 is right, and a file of empty secrets may have any."""
        file = write(Path("c.toml"), '[auth]\nclient_secret = "hush-hush"')
        assert load_config(file, {}).auth.client_secret.get_secret_value() == "hush-hush"
        write(file, '[auth]\nclient_secret = ""', 0o644)
        assert load_config(file, {}).auth.client_secret.get_secret_value() == ""

    def test_are_in_no_words(self) -> None:
        """Neither the text of a configuration nor its public part nor a refusal shows one."""
        secrets = {
            f"BULKOPS_AUTH__{key}": f"hush-{key}"
            for key in ("CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN", "ACCESS_TOKEN")
        }
        config = load_config(None, secrets)
        assert "hush" not in f"{config!r} {config} {config.public()} {config.digest_options()}"
        assert config.public()["auth"] == {"token_cache": "", "logins": ""}
        assert "hush" not in refusal('[auth]\nclient_secret = "hush hush"\naccess_token = ["hush"]')
        assert "hush" not in refusal('client_secret = "hush"\n[api]\nrefresh_token = "hush"')
        assert "hush" not in refusal('[api]\nbase_url = "https://me:hush@zoho.test"')
        assert "hush" not in refusal(BULKOPS_AUTH='{"client_id": "hush"')


class TestAddresses:
    """Where calls go and where tokens come from."""

    def test_follow_the_data_centre(self) -> None:
        """Canada's accounts server is the odd one; every centre has a pair."""
        canada = Api(data_center="ca")
        assert canada.api_url == "https://www.zohoapis.ca"
        assert canada.accounts_host == "https://accounts.zohocloud.ca"
        assert Api().api_url == "https://www.zohoapis.com"

    def test_named_ones_win(self) -> None:
        """A sandbox keeps the real accounts server; a slash at the end is dropped."""
        sandbox = Api(base_url="https://sandbox.zohoapis.com/")
        assert sandbox.api_url == "https://sandbox.zohoapis.com"
        assert sandbox.accounts_host == "https://accounts.zoho.com"
        assert Api(accounts_url="https://a.test").accounts_host == "https://a.test"

    @pytest.mark.parametrize("host", ["127.0.0.1:8085", "localhost:1", "[::1]:2"])
    def test_a_rehearsal_keeps_credentials_on_this_machine(self, host: str) -> None:
        """With the emulator as base_url, tokens come from it as well."""
        api = Api(base_url=f"http://{host}")
        assert f"http://{host}" == api.accounts_host
        elsewhere = Api(base_url=f"http://{host}", accounts_url="https://a.test")
        assert elsewhere.accounts_host == "https://a.test"

    def test_loopback_is_a_name_or_an_address(self) -> None:
        """A name that merely begins like one is not this machine."""
        hosts = ["localhost", "127.8.0.1", "::1", "127.0.0.1.zoho.test", "localhost.test", None]
        assert [is_loopback(each) for each in hosts] == [True, True, True, False, False, False]


class TestLimits:
    """What the limits come to."""

    def test_an_edition_gives_concurrency_and_credits(self) -> None:
        """Facts of the API's limits page, by edition; a given number wins."""
        told = {
            name: (Limits(edition=name).ceiling, Limits(edition=name).credits) for name in EDITIONS
        }
        assert told == {
            "free": (5, 5_000),
            "standard": (10, 50_000),
            "professional": (15, 50_000),
            "enterprise": (20, 50_000),
            "ultimate": (25, 50_000),
            "express": (5, 50_000),
            "premier": (5, 50_000),
        }
        given = Limits(edition="free", concurrency=3, credits_per_day=70)
        assert (given.ceiling, given.credits) == (3, 70)

    def test_bigin_has_editions_of_its_own(self) -> None:
        """Named or not, the numbers are Bigin's; one of CRM does not fit."""
        bigin = load_config(None, {"BULKOPS_API__PRODUCT": "bigin"})
        assert (bigin.api.version, bigin.limits.ceiling, bigin.limits.credits) == ("v2", 5, 50_000)
        assert refusal('[api]\nproduct = "bigin"\n[limits]\nedition = "ultimate"') == (
            "c.toml: bigin has no edition ultimate: limits.edition is one of free, express, premier"
        )
        assert "crm has no edition premier" in refusal('[limits]\nedition = "premier"')

    @given(day=st.integers(0, 10**9), percent=st.integers(0, 99))
    def test_a_share_to_leave_is_never_rounded_down(self, day: int, percent: int) -> None:
        """At least the share is left, and less than one credit more."""
        left = Limits(leave_credits=f"{percent}%").leave(day)
        assert day * percent <= left * 100 < day * percent + 100

    @pytest.mark.parametrize(
        ("leave", "expected"), [("0", 0), ("1234", 1234), (77, 77), ("12.5%", 6250), ("0%", 0)]
    )
    def test_a_number_to_leave_is_that_number(self, leave: str | int, expected: int) -> None:
        """As text or as a number; a share may have a fraction."""
        limits = Limits.model_validate({"leave_credits": leave})
        assert expected == limits.leave(50_000)

    @pytest.mark.parametrize(("given", "expected"), [("auto", "auto"), ("50", 50), (100, 100)])
    def test_territory_records_are_auto_or_a_number(
        self, given: str | int, expected: str | int
    ) -> None:
        """The environment gives text, a file a number: both are the number."""
        limits = Limits.model_validate({"territory_records_per_call": given})
        assert expected == limits.territory_records_per_call


class TestWhole:
    """What a configuration says of itself."""

    def test_cannot_be_changed(self) -> None:
        """A run's configuration is the one it began with."""
        with pytest.raises(ValueError, match="frozen"):
            Config().limits.attempts = 1

    def test_digest_options_are_what_changes_a_plan(self) -> None:
        """Speed and credentials do not; sizes of calls and relations do, in any order."""
        one = {"A.B": "C.D", "E.F": ""}
        other = dict(reversed(one.items()))
        plain = Config(relations=one).digest_options()
        slow = Config(relations=other, limits=Limits(concurrency=1, timeout_s=1.0))
        assert plain == slow.digest_options()
        assert list(plain["relations"]) == list(slow.digest_options()["relations"])
        assert plain != Config(relations=one, limits=Limits(ids_per_call=10)).digest_options()
        assert Config().digest_options() == {
            "product": "crm",
            "version": "v8",
            "ids_per_call": 100,
            "territory_records_per_call": "auto",
            "contact_roles_bulk": False,
            "on_conflict": "refuse",
            "relations": {},
        }

    def test_the_public_part_makes_the_same_configuration(self) -> None:
        """What `run.json` keeps can be read again, but for the secrets."""
        config = Config(limits=Limits(attempts=3), relations={"A.B": ""})
        assert config == Config.model_validate(config.public())
