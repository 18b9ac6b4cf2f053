"""
The configuration as a whole: what is read from a file, and the environment over it.

Nothing here opens a connection or reads a manifest, and nothing reads the ambient environment
but `load_config`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Self

from pydantic import (
    BaseModel,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from bulkops.errors import UsageError
from bulkops.files.config_tables import (
    PREFIX,
    find_file,
    merged,
    read_environment,
    read_file,
)
from bulkops.files.hooks_section import Hooks
from bulkops.files.limits_section import Limits
from bulkops.files.logins import LoginFile, default_logins
from bulkops.files.products import EDITIONS
from bulkops.files.reconcile_section import Reconcile
from bulkops.files.sections import SECRET_KEYS, Api, Auth, Follow, Plan, Run, Section, Stop

#: What pydantic says, as patterns, and what we say.
_PLAINLY: Final = (
    ("Input should be", "expected"),
    ("a valid integer, unable to parse string as an integer", "a whole number"),
    ("a valid integer, got a number with a fractional part", "a whole number"),
    ("a valid integer", "a whole number"),
    ("a valid number, unable to parse string as a number", "a number"),
    ("a valid number", "a number"),
    ("a valid boolean, unable to interpret input", "true or false"),
    ("a valid boolean", "true or false"),
    ("a valid string", "text"),
    (r"a valid dictionary( or instance of \w+)?", "a table"),
    ("greater than or equal to", "at least"),
    ("less than or equal to", "at most"),
    ("greater than", "more than"),
)
_RELATION: Final = re.compile(r"[A-Za-z_]\w{0,99}\.[A-Za-z_]\w{0,99}", re.ASCII)


class Config(Section):
    """
    The whole configuration. Made by `load_config`, or of mappings with defaults for the rest.
    """

    api: Api = Api()
    auth: Auth = Auth()
    limits: Limits = Limits()
    stop: Stop = Stop()
    run: Run = Run()
    follow: Follow = Follow()
    plan: Plan = Plan()
    reconcile: Reconcile = Reconcile()
    hooks: Hooks = Hooks()
    #: "Module.RelatedList" to the same relation seen from its other side, or to "" if it may be
    #: called from this side alone.
    relations: Mapping[str, str] = Field(default_factory=dict)
    _source: Path | None = PrivateAttr(default=None)
    _origins: Mapping[tuple[str, str], str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _edition_of_product(cls, data: Any) -> Any:
        """Give Bigin an edition of its own where none is named."""
        api, limits = data.get("api"), data.get("limits", {})
        product = api.get("product") if isinstance(api, Mapping) else getattr(api, "product", None)
        if product == "bigin" and isinstance(limits, Mapping) and "edition" not in limits:
            return {**data, "limits": {**limits, "edition": "express"}}
        return data

    @model_validator(mode="after")
    def _edition_fits(self) -> Self:
        if self.api.product not in EDITIONS[self.limits.edition].products:
            fitting = [name for name, each in EDITIONS.items() if self.api.product in each.products]
            raise ValueError(
                f"{self.api.product} has no edition {self.limits.edition}: "
                f"limits.edition is one of {', '.join(fitting)}"
            )
        return self

    @field_validator("relations")
    @classmethod
    def _two_sides(cls, relations: Mapping[str, str]) -> Mapping[str, str]:
        for here, there in relations.items():
            for side in (here, there):
                if side and not _RELATION.fullmatch(side):
                    raise ValueError(f'{side!r} is no relation; expected "Module.RelatedList"')
            others = [each for each, side in relations.items() if side == there and there]
            if here == there or len(others) > 1 or relations.get(there, here) != here:
                raise ValueError(f'"{here}" = "{there}" contradicts another line of [relations]')
        return relations

    @property
    def source(self) -> Path | None:
        """The file it was read from, if any."""
        return self._source

    def origin(self, section: str, key: str) -> str:
        """Return where a value came from: a file, a variable, or "default"."""
        return self._origins.get((section, key), "default")

    def read_from(
        self, source: Path | None, origins: Mapping[tuple[str, str], str] | None = None
    ) -> Self:
        """Return the same configuration, as read from `source`, its values from `origins`."""
        copy = self.model_copy()
        copy._source = source
        copy._origins = {**self._origins, **(origins or {})}
        return copy

    @property
    def login_file(self) -> LoginFile:
        """Where `bulkops login` keeps what it got for this product at this accounts server."""
        path = Path(self.auth.logins).expanduser() if self.auth.logins else default_logins()
        return LoginFile(path, self.api.product, self.api.accounts_host)

    def public(self) -> dict[str, Any]:
        """Return the configuration without its secrets, as JSON values."""
        return self.model_dump(mode="json", exclude={"auth": set(SECRET_KEYS), "hooks": True})

    def digest_options(self) -> dict[str, Any]:
        """Return what changes a plan: same manifest and same options, same plan."""
        return {
            "product": self.api.product,
            "version": self.api.version,
            "ids_per_call": self.limits.ids_per_call,
            "territory_records_per_call": self.limits.territory_records_per_call,
            "contact_roles_bulk": self.limits.contact_roles_bulk,
            "on_conflict": self.run.on_conflict,
            "relations": dict(sorted(self.relations.items())),
        }


def load_config(path: Path | None, environ: Mapping[str, str] | None = None) -> Config:
    """
    Read the configuration from `path`, or where it is usually found, and from the environment.

    The places are `BULKOPS_CONFIG`, `./config.toml` and the user's config folder; no file at all
    is fine. A variable `BULKOPS_<SECTION>__<KEY>` wins over the file, and `BULKOPS_RELATIONS` is a
    JSON object. Where they give no token, what `bulkops login` kept is taken, unless it is of
    another client than they name. Raises `UsageError` naming the file or variable, the key, and
    what was expected.
    """
    environ = os.environ if environ is None else environ
    file = find_file(path, environ)
    from_file = read_file(file) if file else {}
    from_environment = read_environment(environ, Config)

    def origin(keys: tuple[str, ...]) -> str:
        section = from_environment.get(keys[0], {}) if keys else {}
        if keys[1:] and keys[1] in section:
            return f"environment variable {PREFIX}{'__'.join(keys).upper()}"
        if keys and section and keys[0] not in from_file:
            return f"environment variables {PREFIX}{keys[0].upper()}..."
        return str(file) if file else "configuration"

    try:
        config = Config.model_validate(merged(from_file, from_environment))
    except ValidationError as error:
        raise usage_error(error, origin=origin) from None
    given: dict[tuple[str, str], str] = {
        (section, key): origin((section, key))
        for layer in (from_file, from_environment)
        for section, table in layer.items()
        for key in table
    }
    return _logged_in(config.read_from(file, given))


def _logged_in(config: Config) -> Config:
    """Return `config` with the login that was kept for it, where it has no token of its own."""
    auth, file = config.auth, config.login_file
    if auth.refresh_token.get_secret_value() or auth.access_token.get_secret_value():
        return config
    login = file.load()
    if login is None or auth.client_id.get_secret_value() not in {"", login.client_id}:
        return config
    values = {key: SecretStr(each) for key, each in asdict(login).items()}
    taken = {("auth", key): str(file.path) for key in values}
    logged_in = config.model_copy(update={"auth": auth.model_copy(update=values)})
    return logged_in.read_from(config.source, taken)


def usage_error(error: ValidationError, *, origin: Callable[[tuple[str, ...]], str]) -> UsageError:
    """
    Return the problems of `error`, one a line: where, which key, what was found and expected.

    `origin` names the file or variable of a key. Values of `[auth]` are never shown.
    """
    lines = []
    for problem in error.errors(include_url=False, include_context=False):
        keys = tuple(str(each) for each in problem["loc"][:2])
        dotted = ".".join(keys)
        where = f"{origin(keys)}: {dotted}" if dotted else origin(keys)
        if problem["type"] == "extra_forbidden":
            # The value is not shown: a misplaced secret is still a secret.
            lines.append(f"{where}: unknown key{_suggestion(keys)}")
        else:
            expected = problem["msg"].removeprefix("Value error, ")
            for theirs, ours in _PLAINLY:
                expected = re.sub(theirs, ours, expected)
            lines.append(f"{where}: {expected}{_found(keys, problem['input'])}")
    return UsageError("\n".join(lines))


def _found(keys: tuple[str, ...], value: Any) -> str:
    if isinstance(value, Mapping | BaseModel):
        return ""
    if keys[0] in {"auth", "hooks"}:
        return f"; found a value of type {type(value).__name__} (not shown)"
    return "; found " + re.sub("//[^/]*@", "//...@", repr(value))[:80]


def _suggestion(keys: tuple[str, ...]) -> str:
    sections = {
        name: tuple(field.annotation.model_fields)
        for name, field in Config.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
    }
    if len(keys) == 1:
        near = get_close_matches(keys[0], Config.model_fields, n=1)
        near += [f"{name}.{keys[0]}" for name, known in sections.items() if keys[0] in known]
    else:
        near = [f"{keys[0]}.{key}" for key in get_close_matches(keys[1], sections[keys[0]], n=1)]
        near += [f"{name}.{keys[1]}" for name, known in sections.items() if keys[1] in known]
    return f"; did you mean {near[0]}?" if near else ""
