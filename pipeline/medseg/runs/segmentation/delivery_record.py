"""`delivery.json` and the table of all measurements: what came of each case of a delivery."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection
from pathlib import Path

from medseg.atomic import write_json, write_text
from medseg.configuration import Config, parse_config
from medseg.delivery.certificate import CERTIFICATE_NAME
from medseg.delivery.export import MEASUREMENTS_NAME
from medseg.errors import ConfigError, DeliveryError
from medseg.inference.case_record import FailureRecord

DELIVERY_NAME = "delivery.json"


class DeliveredRecord(Config):
    """One line of `delivery.json`.

    Attributes:
        case_id: Id of the case.
        folder: Name of its folder.
        is_certified: Whether every file passed its checks.
        reasons: Reasons why files failed.
        doubts: What a person should look at although every file is right.
    """

    case_id: str
    folder: str
    is_certified: bool
    reasons: tuple[str, ...]
    doubts: tuple[str, ...]


class DeliveryRecord(Config):
    """`delivery.json`: what came of each case.

    Attributes:
        software: Name and version of the software, and what it is not.
        cases: Cases that were delivered, or set apart as not certified.
        failures: Cases of which nothing was delivered.
        without_mask: Cases of which the prediction has no mask.
        uncoded: Structures without a code of a terminology.
        left: Folders that an earlier delivery wrote, and that are of none of these cases as they are now.
    """

    software: str
    cases: tuple[DeliveredRecord, ...]
    failures: tuple[FailureRecord, ...]
    without_mask: tuple[str, ...]
    uncoded: tuple[str, ...]
    left: tuple[str, ...] = ()

    def with_others_of(self, earlier: DeliveryRecord, others: Collection[str], folder: Path) -> DeliveryRecord:
        """The record with what an earlier delivery of the same masks says of cases that this one left alone.

        Args:
            earlier: Record of the earlier delivery.
            others: Ids of the cases that were left alone.
            folder: Folder of the delivery, in which the folders of the cases are.
        """
        cases = [one for one in earlier.cases if one.case_id in others and (folder / one.folder).is_dir()]
        failures = [one for one in earlier.failures if one.case_id in others]
        uncoded = dict.fromkeys((*earlier.uncoded, *self.uncoded)) if cases else self.uncoded
        return self.model_copy(
            update={
                "cases": (*cases, *self.cases),
                "failures": (*failures, *self.failures),
                "uncoded": tuple(uncoded),
            }
        )

    def with_left_in(self, folder: Path) -> DeliveryRecord:
        """The record with the folders of an earlier delivery that it does not list.

        Args:
            folder: Folder of the delivery.
        """
        listed = {one.folder for one in self.cases}
        found = (path.parent.name for path in folder.glob(f"*/{CERTIFICATE_NAME}"))
        return self.model_copy(update={"left": tuple(sorted(name for name in found if name not in listed))})


def load_delivery(folder: Path) -> DeliveryRecord | None:
    """Read `delivery.json`; None if there is none.

    Raises:
        DeliveryError: If the file is damaged.
    """
    path = folder / DELIVERY_NAME
    if not path.is_file():
        return None
    try:
        return parse_config(DeliveryRecord, json.loads(path.read_text(encoding="utf-8")), source=path.name)
    except (OSError, ValueError, ConfigError) as error:
        raise DeliveryError(
            f"{DELIVERY_NAME} must be as deliver wrote it, got: {error}",
            remedy=f"remove {DELIVERY_NAME} and deliver all cases again",
        ) from error


def save_delivery(record: DeliveryRecord, folder: Path) -> None:
    """Write `delivery.json`, and one table of the measurements of all certified cases; none stays if none has any."""
    write_json(folder / DELIVERY_NAME, record.model_dump(mode="json"))
    rows: list[dict[str, str]] = []
    columns: dict[str, None] = {}
    for one in record.cases:
        path = folder / one.folder / MEASUREMENTS_NAME
        if not one.is_certified or not path.is_file():
            continue
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            columns |= dict.fromkeys(("case_id", *(reader.fieldnames or ())))
            rows += [{"case_id": one.case_id, **row} for row in reader]
    if columns:
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(columns), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(folder / MEASUREMENTS_NAME, text.getvalue())
    else:
        (folder / MEASUREMENTS_NAME).unlink(missing_ok=True)
