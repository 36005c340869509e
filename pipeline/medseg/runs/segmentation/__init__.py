"""Runs of segmentation networks."""
