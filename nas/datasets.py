"""A task as MLflow names data: without credentials, since it is shown to whoever sees the store."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit, urlunsplit

from nas.run_directory import RunTask

LONGEST_NAME, LONGEST_DIGEST = 500, 36
"""Characters that MLflow takes."""


def described(task: RunTask) -> dict[str, str]:
    """Fields of MLflow's dataset entity: name, digest, source_type, source, schema and profile."""
    kind, source = public_source(task.task.source)
    shape = [-1, task.shape.channels, *task.shape.extent]
    spec = {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": shape}}
    label = {"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}
    schema = {"mlflow_tensorspec": {"features": json.dumps([spec]), "targets": json.dumps([label])}}
    profile = {"classes": task.shape.classes, "notes": list(task.notes)}
    profile |= {name: text for name in ("origin", "licence") if (text := getattr(task, name))}
    return {
        "name": task.name[:LONGEST_NAME],
        "digest": task.digest[:LONGEST_DIGEST],
        "source_type": kind,
        "source": json.dumps({"uri": source}),
        "schema": json.dumps(schema),
        "profile": json.dumps(profile),
    }


def public_source(source: str) -> tuple[str, str]:
    """What kind of place a task's rows come from, and where that is, without user, password and query."""
    if "://" not in source:
        return ("code" if re.search(r":[A-Za-z_]\w*$", source) or "/" not in source else "local"), source
    parts = urlsplit(source)
    host = parts.netloc.rpartition("@")[2]
    kind = {"hf": "hugging_face", "https": "http", "file": "local"}.get(parts.scheme, parts.scheme)
    return kind, urlunsplit((parts.scheme, host, parts.path, "", ""))
