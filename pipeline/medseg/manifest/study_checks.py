"""Rules on the classes of whole cases."""

from __future__ import annotations

from medseg.errors import ManifestError
from medseg.records import Manifest


def check_study_classes(manifest: Manifest) -> None:
    """Check that the study classes are distinct names, and that cases name no others.

    Raises:
        ManifestError: If a rule is broken; the first is named.
    """
    classes = manifest.study_classes
    if classes is not None and (not classes or len(set(classes)) < len(classes) or "mean" in classes):
        raise ManifestError(
            f"manifest {manifest.name}: study_classes must be different names, and none of them 'mean', got "
            f"{list(classes)}",
            remedy="name each class once, or leave study_classes out",
        )
    for case in manifest.cases:
        strange = sorted(set(case.study_labels or ()) - set(classes or ()))
        if strange or (case.study_labels is not None and classes is None):
            raise ManifestError(
                f"study_labels must be among the manifest's study_classes {list(classes or ())}, got "
                f"{strange or 'study_labels alone'}",
                remedy="name the classes under study_classes too, or correct the case",
                case_id=case.case_id,
            )
