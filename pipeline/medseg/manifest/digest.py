"""The digest by which a run identifies its manifest."""

from __future__ import annotations

import hashlib
import json

from medseg.manifest.collector import collector_paused
from medseg.records import Manifest

_LATER = (
    "sex",
    "age_years",
    "label_review",
    "annotated_labels",
    "raters",
    "quantities",
    "study_labels",
)  # fields of a case that the first digests did not know
_LATER_OF_ALL = (
    "regions",
    "regions_order",
    "ignore",
    "fusion",
    "quantities",
    "study_classes",
)  # those of the manifest itself


def manifest_digest(manifest: Manifest) -> str:
    """SHA-256 over every field of the manifest, folds included.

    The digest of a manifest without the fields of a later version is that of the version before.
    """
    with collector_paused():
        content = manifest.model_dump(mode="json")
        for name in _LATER_OF_ALL:
            if content[name] is None:
                del content[name]
        if manifest.regions is not None:  # the order is that of the network's channels
            content["regions"] = list(content["regions"].items())
        for case in content["cases"]:
            for name in _LATER:
                if case[name] is None:
                    del case[name]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
