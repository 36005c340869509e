"""What `gpu.py` runs, one file per part; each part appends its rows as soon as they are measured."""
