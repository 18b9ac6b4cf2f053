"""Asynchronous bulk job runner for Zoho CRM and Bigin."""

from __future__ import annotations

__version__ = "0.1.0"
