"""Words that describe scans, and stay in texts although somebody is called so."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from medseg.ingest.name_tokens import ROLE_WORDS
from medseg.ingest.structure_name import structure_words

_MODAL = "be have hold mean name not show say"
_AXIS = "axis axes ax axe te tr ti echo"
_PLANE = "ax axial tra trans transversal cor coronal kor koronar sag sagittal sagittale"
_NUMBERS = " ".join(map(str, range(32)))

# Common family names that are also words of scans, and the words before which they are meant so.
PHRASES: dict[str, frozenset[str]] = {
    word: frozenset(following.split())
    for word, following in {
        "best": "phase systole diastole systolic diastolic syst diast",
        "black": "blood",
        "cross": "section sections sectional talk",
        "day": _NUMBERS,
        "dixon": f"{_PLANE} water fat w f in opp ip op inphase fs",
        "field": "map mapping of",
        "braunes": "fett",
        "graue": "substanz",
        "grauen": "substanz",
        "grauer": "substanz",
        "gray": "matter scale values",
        "green": "channel laser",
        "grey": "matter scale values",
        "grosse": "kurvatur gefaesse",
        "grosses": "becken netz",
        "kleine": "kurvatur gefaesse laesion laesionen",
        "kleinen": "becken",
        "kleiner": "lymphknoten",
        "kleines": "becken netz",
        "kurz": "achse",
        "kurze": "achse",
        "kurzen": "achse",
        "lang": "achse",
        "lange": "achse",
        "langen": "achse",
        "long": f"{_AXIS} leg legs bone bones head spine term",
        "may": _MODAL,
        "page": _NUMBERS,
        "short": f"{_AXIS} tau inversion breathhold stack",
        "small": "bowel intestine field fov parts pelvis vessel vessels lesion lesions",
        "stone": "protocol search",
        "tse": f"{_PLANE} fs fatsat stir spair dixon dark blade rst",
        "wall": "motion thickness",
        "ward": "round",
        "weisse": "substanz",
        "weissen": "substanz",
        "weisser": "substanz",
        "white": "matter blood balance",
        "will": _MODAL,
    }.items()
}


@cache
def ordinary_words() -> frozenset[str]:
    """Words that describe scans, files and structures, folded."""
    lines = files("medseg.ingest").joinpath("ordinary_words.txt").read_text(encoding="utf-8").splitlines()
    words = {word for line in lines if not line.startswith("#") for word in line.split()}
    return frozenset(words) | ROLE_WORDS | structure_words()
