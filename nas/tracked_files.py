"""What MLflow keeps of a trial or a run as files: what is too long elsewhere, logs, predictions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping

from nas.tracked import parameters, record_tags, trial_tags
from trials.predictions import PREDICTIONS
from trials.record import TrialRecord
from trials.storage import Storage

LONGEST_PARAMETER, LONGEST_TAG = 6000, 8000
"""Characters; MLflow would cut what is longer and say nothing."""


def files_of(record: TrialRecord, folder: Callable[[str], Storage] | None) -> dict[str, bytes]:
    """Of a trial, by path: texts that are too long elsewhere, a failed one's log, a finalist's predictions.

    Args:
        record: of the trial.
        folder: of a trial by its id; None: predictions are left out.
    """
    texts = {key: str(value) for key, value in parameters(record.trial, None).items()}
    _, files = fitting(texts, LONGEST_PARAMETER, "params")
    files |= fitting({**trial_tags(record.trial), **record_tags(record)}, LONGEST_TAG, "tags")[1]
    if record.status == "failed" and record.log:
        files["log.txt"] = "\n".join(record.log).encode()
    tested = folder(record.trial.id) if record.test is not None and folder else None
    if tested is not None and (data := tested.get(PREDICTIONS)) is not None:
        files[PREDICTIONS] = data
    return files


def fitting(texts: Mapping[str, str], longest: int, kind: str) -> tuple[dict[str, str], dict[str, bytes]]:
    """Texts of which none is too long, and files with those that were: the short text says where.

    Args:
        texts: by name.
        longest: characters that MLflow keeps.
        kind: folder of the files.
    """
    short, files = dict(texts), {}
    for key, text in texts.items():
        if len(text) > longest:
            path = f"{kind}/{re.sub(r'[^A-Za-z0-9_.-]', '_', key)}.txt"
            short[key], files[path] = f"{len(text):,} characters, see the artifact {path}", text.encode()
    return short, files


def digest(files: Mapping[str, bytes]) -> str:
    """Twelve hexadecimal digits, others for other files."""
    found = hashlib.sha256()
    for path in sorted(files):
        found.update(f"{path}\0{len(files[path])}\0".encode() + files[path])
    return found.hexdigest()[:12]
