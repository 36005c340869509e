"""How the numbers of every evaluation are made, as its summary says it."""

from __future__ import annotations

METHOD = {
    "grid": "the scan's own",
    "interval": "95 %, bootstrap over patients, 2,000 resamples; of 5 to 19 patients, jackknife over them with "
    "Student's t (shares on log odds); none with fewer",
}
