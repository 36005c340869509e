"""One short script per stage, and the `medseg` command that dispatches to them."""
