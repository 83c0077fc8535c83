"""The manifest against KubeRay's own definition of a RayJob, which this repository does not carry.

`KUBERAY_CRD=path/to/ray.io_rayjobs.yaml python -m tests.kuberay`; docs/cluster.md says where that file is.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import jsonschema
import yaml

MANIFEST = Path(__file__).parent.parent / "docs" / "cluster" / "rayjob.yaml"


def strict(schema: Any) -> Any:
    """The schema with unknown fields refused, as a Kubernetes server does when asked."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: strict(value) for key, value in schema.items()}
    if "properties" in schema and schema.get("type") == "object" and "additionalProperties" not in schema:
        if found["properties"].get("metadata") == {"type": "object"}:
            found["properties"]["metadata"] = {}
        found["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        found = {"type": ["integer", "string"]}
    return found


def main() -> None:
    definition = yaml.safe_load(Path(os.environ["KUBERAY_CRD"]).read_text())
    (version,) = [each for each in definition["spec"]["versions"] if each["name"] == "v1"]
    schema = strict(version["schema"]["openAPIV3Schema"])
    job = yaml.safe_load(MANIFEST.read_text())
    jsonschema.validate(job, schema)
    job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]["imag"] = "x"
    try:
        jsonschema.validate(job, schema)
    except jsonschema.ValidationError:
        print(f"{MANIFEST.name} keeps to {os.environ['KUBERAY_CRD']}")
    else:
        sys.exit("this definition refuses nothing")


if __name__ == "__main__":
    main()
