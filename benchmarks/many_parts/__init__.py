"""Parts of `many_labels.py`."""
