"""
The files that somebody names, as one manifest: patterns spelled out, each file looked at once.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from bulkops.errors import ManifestError
from bulkops.files.manifest.sniff import inspect
from bulkops.files.manifest.source import Format, Manifest, Several

_MAGIC = frozenset("*?[")


def gather(asked: Sequence[Path], *, file_format: Format | None = None) -> Manifest:
    """
    Return the manifest that `asked` makes: files, or patterns of them, in this order.

    The files of a pattern come sorted by name; `**` looks into folders, and names that begin
    with a dot are passed over unless spelled out. A path that is there is never a pattern.
    Raise `ManifestError` for a file that cannot be read, one that is named twice (by whatever
    name), one whose name is not UTF-8, and a pattern that no file has.
    """
    paths = [path for each in asked for path in _spelled_out(each)]
    _refuse_unreadable_names(paths)
    _refuse_twice(paths)
    sources = tuple(inspect(path, file_format) for path in paths)
    if len(sources) == 1:
        return sources[0]
    return Several(Path(" ".join(map(str, asked))), sources)


def _spelled_out(path: Path) -> list[Path]:
    """Return the files that `path` names."""
    if not _MAGIC & set(str(path)) or os.path.lexists(path):
        return [path]
    # `Path.glob` takes no pattern that begins at the root.
    found = [Path(each) for each in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
    files = [each for each in found if not each.is_dir()]
    if not files:
        raise ManifestError(f"{path}: no file has a name of this pattern, expected at least one")
    return files


def _refuse_unreadable_names(paths: Sequence[Path]) -> None:
    """Raise `ManifestError` for a name that neither the database nor a log could hold."""
    for path in paths:
        name = os.fsencode(path)
        shown = name.decode("utf-8", "backslashreplace")
        if shown.encode() != name:
            raise ManifestError(f"{shown}: the name is not UTF-8; rename the file, then try again")


def _refuse_twice(paths: Sequence[Path]) -> None:
    """Raise `ManifestError` if two of `paths` are one file: its rows would be read twice."""
    known: dict[tuple[int, int], Path] = {}
    for path in paths:
        try:
            found = path.stat()
        except OSError:
            # What cannot be read is told by whoever reads it.
            continue
        first = known.setdefault((found.st_dev, found.st_ino), path)
        if first is not path:
            by = "" if first == path else f", also as {first}"
            raise ManifestError(
                f"{path}: this file is named twice{by}; expected each file of a manifest once"
            )
