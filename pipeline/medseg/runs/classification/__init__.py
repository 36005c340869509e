"""Runs of slice classifiers."""
