"""Delivery to people: pictures and pages of datasets, splits, networks, masks and scores."""

from __future__ import annotations
