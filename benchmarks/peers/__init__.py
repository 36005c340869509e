"""Peers trained for the same minutes, on the same fold, on the same machine."""
