"""The version of medseg, for rooms that must not import the package's exports."""

__version__ = "0.1.0"
