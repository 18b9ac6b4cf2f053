"""One file per API resource: plain functions `Call → Answer`."""

from __future__ import annotations
