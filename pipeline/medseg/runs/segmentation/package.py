"""Models as programs take them: a servable MLflow model, a MONAI bundle, and ONNX."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from medseg.atomic import atomic_path, write_text
from medseg.delivery.bundle import check_bundle_packages
from medseg.delivery.onnx_model import check_onnx_packages
from medseg.delivery.package_page import package_page
from medseg.inference.requests import RequestLimits
from medseg.inference.segmentation.package_card import PackageCard, save_package_card
from medseg.networks.precision import PrecisionKind
from medseg.runs.machine import DeviceName
from medseg.runs.progress import Progress, Silence
from medseg.runs.run_folder import check_empty
from medseg.runs.segmentation.model_paths import found_models
from medseg.runs.segmentation.package_forms import write_bundles, write_mlflow, write_onnx
from medseg.runs.segmentation.package_models import Member, check_forms, read_members, write_members
from medseg.runs.segmentation.precision import checked_precision

Form = Literal["mlflow", "bundle", "onnx"]
FORMS: tuple[Form, ...] = ("mlflow", "bundle", "onnx")
_CHECKS = {"bundle": check_bundle_packages, "onnx": check_onnx_packages}


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSettings:
    """Choices of a package.

    Attributes:
        out: Folder of the package, new or empty.
        forms: Forms to write, a folder each.
        weights: `last`, or `best` at any validation, which flatters that validation set.
        check_on: A manifest or its folder, or files and folders of scans, on whose masks bfloat16 and float32 are
            compared; noise if not given.
        precision: Number format of the package: `auto` for each device's own, as in the run; `fp32`; or `checked`,
            which is `fp32` for a model that the comparison does not clear.
        device: Device of the comparison.
        tracking_uri: MLflow store of a registered model; its own choice if not given.
        limits: Limits of each request to a server, which are kept in the package.
    """

    out: Path
    forms: tuple[Form, ...] = FORMS
    weights: str = "last"
    check_on: tuple[Path, ...] = ()
    precision: PrecisionKind | Literal["checked"] = "auto"
    device: DeviceName = "auto"
    tracking_uri: str | None = None
    limits: RequestLimits = field(default_factory=RequestLimits)


@dataclass(frozen=True, slots=True)
class PackageResult:
    """A package that was written.

    Attributes:
        folder: The package.
        forms: Folder of each form.
        card: Its card.
        warnings: Sentences for the person who made it.
    """

    folder: Path
    forms: dict[Form, Path]
    card: PackageCard
    warnings: tuple[str, ...]


def package_models(
    runs: Path | str | Sequence[Path | str], settings: PackageSettings, *, progress: Progress | None = None
) -> PackageResult:
    """Package the models of some runs, whole or not at all.

    `mlflow` holds all of them as one model, whose masks are those of `predict` with the same runs. `bundle` and `onnx`
    hold each network apart.

    Args:
        runs: Runs, model folders, the folder of a training of all folds, or addresses of registered models; several
            draw one mask together.
        settings: Choices.
        progress: Follows the work; nothing if not given.

    Raises:
        ConfigError: If the output folder holds something, the models do not fit each other, or none fits the form.
        CheckpointError: If a model cannot be used.
        DeliveryError: If a package that a form needs is missing, or a form cannot be written.
    """
    check_empty(settings.out)
    for form in settings.forms:
        _CHECKS.get(form, _nothing)()
    places = [runs] if isinstance(runs, str | Path) else runs
    with found_models(places, tracking_uri=settings.tracking_uri) as found, atomic_path(settings.out) as folder:
        members = read_members(found.folders, settings.weights, settings.device)
        check_forms(members, settings.forms)
        with (progress or Silence()).over_cases(len(members) + len(settings.forms), "package") as on_done:
            members = list(_checked(members, settings, on_done))
            data = folder / "model"
            card = write_members(members, data, warnings=found.warnings)
            left_out = list(_write_forms(folder, data, card, settings.forms, on_done))
        card = card.model_copy(update={"notes": (*card.notes, *left_out)})
        save_package_card(card, data)
        write_text(folder / "README.md", package_page(card, settings.forms, settings.limits))
        _finish(folder, data, settings)
    written = {form: settings.out / form for form in settings.forms if (settings.out / form).is_dir()}
    return PackageResult(settings.out, written, card, card.notes)


def _checked(members: Sequence[Member], settings: PackageSettings, on_done: Callable[[str], None]) -> Iterator[Member]:
    for member in members:
        yield checked_precision(member, settings.check_on, asked=settings.precision)
        on_done(member.name)


def _write_forms(
    folder: Path, data: Path, card: PackageCard, forms: Sequence[Form], on_done: Callable[[str], None]
) -> Iterator[str]:
    """Write the forms; what a form cannot hold is told in sentences."""
    for form in forms:
        if form == "bundle":
            yield from write_bundles(card, data, folder / form)
        elif form == "onnx":
            write_onnx(card, data, folder / form)
        on_done(form)


def _finish(folder: Path, data: Path, settings: PackageSettings) -> None:
    """Turn the collected models into the MLflow model, once their card is complete."""
    if "mlflow" in settings.forms:
        write_mlflow(data, folder / "mlflow", settings.limits)
        shutil.copyfile(folder / "README.md", folder / "mlflow" / "README.md")
    shutil.rmtree(data)


def _nothing() -> None:
    """No check."""
