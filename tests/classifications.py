"""Exports of Zooniverse classifications."""

import csv
import json
from pathlib import Path
from typing import Any


def classification(number: int, value: Any, **changed: Any) -> dict[str, Any]:
    told = {
        "classification_id": number,
        "user_name": "not-logged-in-e2f9",
        "user_id": "",
        "workflow_id": 11,
        "created_at": "2025-03-01 12:30:05 UTC",
        "metadata": json.dumps({"started_at": "2025-03-01T12:30:00.000Z", "finished_at": "2025-03-01T12:30:04.500Z"}),
        "annotations": json.dumps([{"task": "T0", "task_label": "Is there a shell?", "value": value}]),
        "subject_data": json.dumps({"900": {"retired": None, "#id": f"g{number}", "Filename": "1.jpg"}}),
        "subject_ids": "900",
    }
    return told | changed


def export(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path
