"""
The operations, one file per resource of the API.

A module here that defines `SPECS` takes part by being here: adding an operation touches its
file alone. The tests hold the golden list of names and the README its table. A column that names
a thing of a new kind is part of the shape of outcomes: `OutcomeRow` and its schema have it, too.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType

from bulkops.rules.spec import Spec


def _discover() -> Mapping[str, Spec]:
    found: dict[str, Spec] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda entry: entry.name):
        specs: tuple[Spec, ...] = importlib.import_module(f"{__name__}.{module.name}").SPECS
        for spec in specs:
            if spec.name in found:
                message = f"two operations are named {spec.name!r}"
                raise RuntimeError(message)
            found[spec.name] = spec
    return MappingProxyType(found)


#: Every spec by its name. Read-only.
SPECS: Mapping[str, Spec] = _discover()

#: The values that the `op` column may have.
OPS: tuple[str, ...] = tuple(dict.fromkeys(spec.op for spec in SPECS.values()))
