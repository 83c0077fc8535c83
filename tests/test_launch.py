"""What docs/cluster.md says: scripts and manifests are sound, and what one machine can run is run."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import ray
import yaml
from ray.scripts.scripts import cli as ray_cli

from nas.cli import app
from nas.run_directory import RunDirectory
from tests.nas.sites import site

ROOT = Path(__file__).parent.parent
CLUSTER = ROOT / "docs" / "cluster"
DOC = (ROOT / "docs" / "cluster.md").read_text()

# ---------------------------------------------------------------------- without a cluster


def commands() -> list[list[str]]:
    """Every shell command of the page, and what it holds in quotes."""
    lines = [
        line for block in re.findall(r"^```\n(.*?)^```", DOC, re.M | re.S) for line in block.splitlines()
    ]
    lines = [line.replace(" > /dev/null", "") for line in lines]
    parts = [shlex.split(part, comments=True) for line in lines for part in line.split(" && ")]
    inner = [shlex.split(word) for part in parts for word in part if word.startswith("nas run ")]
    after = [part[part.index("--") + 1 :] for part in parts if "--" in part]
    return [*parts, *inner, *after]


def test_every_command_of_the_page_is_one_that_its_program_takes() -> None:
    tried = []
    for program, *arguments in commands():
        group = {"nas": app, "ray": ray_cli}.get(program)
        if group is not None:
            context = click.Context(group)
            command = group.get_command(context, arguments[0])
            assert command is not None, arguments
            command.make_context(arguments[0], arguments[1:], parent=context)  # a wrong flag raises
            tried.append((program, arguments[0]))
    assert {("nas", "run"), ("ray", "start"), ("ray", "up"), ("ray", "exec")} <= set(tried)
    assert tried.count(("nas", "run")) == 3


def test_what_the_page_names_is_there() -> None:
    for link in re.findall(r"\]\(([^)]+)\)", DOC):
        assert (ROOT / "docs" / link).exists(), link


def test_the_slurm_script_is_sound_and_its_flags_exist() -> None:
    script = CLUSTER / "slurm.sh"
    subprocess.run(["bash", "-n", script], check=True)
    (after,) = re.findall(r'"\$driver" ("\$@" .*) &$', script.read_text(), re.M)
    assert 'exec nas run "$@")' in script.read_text()
    flags = set(re.findall(r"(--[a-z-]+)", after))
    known = {flag for param in app.commands["run"].params for flag in param.opts}
    assert flags == {"--resume", "--address"} <= known


def test_the_ray_up_file_keeps_to_rays_schema() -> None:
    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    cluster = yaml.safe_load((CLUSTER / "cluster.yaml").read_text())
    jsonschema.validate(cluster, schema)
    assert cluster["head_node_type"] in cluster["available_node_types"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(cluster | {"max_worker": 2}, schema)


RESOURCES = {
    "type": "object",
    "properties": {"limits": {"type": "object", "additionalProperties": {"type": "string"}}},
    "additionalProperties": False,
}
CONTAINER = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "image": {"type": "string"},
        "env": {"type": "array"},
        "envFrom": {"type": "array"},
        "resources": RESOURCES,
    },
    "additionalProperties": False,
}
GROUP = {
    "rayStartParams": {"type": "object", "additionalProperties": {"type": "string"}},
    "template": {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "required": ["containers"],
                "properties": {
                    "containers": {"type": "array", "items": CONTAINER},
                },
                "additionalProperties": False,
            }
        },
        "additionalProperties": False,
    },
}
WHOLE = {"type": "integer", "minimum": 0}
WORKERS = {"groupName": {"type": "string"}, "replicas": WHOLE, "minReplicas": WHOLE, "maxReplicas": WHOLE}
# What the manifest uses of KubeRay's RayJob v1, as we read its reference; its own: tests/kuberay.py
RAYJOB = {
    "type": "object",
    "required": ["entrypoint", "rayClusterSpec"],
    "properties": {
        "entrypoint": {"type": "string"},
        "backoffLimit": WHOLE,
        "shutdownAfterJobFinishes": {"type": "boolean"},
        "ttlSecondsAfterFinished": WHOLE,
        "rayClusterSpec": {
            "type": "object",
            "required": ["headGroupSpec"],
            "properties": {
                "rayVersion": {"type": "string"},
                "authOptions": {"type": "object", "properties": {"mode": {"enum": ["disabled", "token"]}}},
                "headGroupSpec": {
                    "type": "object",
                    "required": ["template"],
                    "properties": GROUP,
                    "additionalProperties": False,
                },
                "workerGroupSpecs": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["groupName", "maxReplicas", "minReplicas", "template"],
                        "properties": GROUP | WORKERS,
                        "additionalProperties": False,
                    },
                },
            },
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}


def rayjob() -> dict[str, Any]:
    job: dict[str, Any] = yaml.safe_load((CLUSTER / "rayjob.yaml").read_text())
    return job


def test_the_rayjob_keeps_to_our_own_reading_of_the_resource() -> None:
    job = rayjob()
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    jsonschema.validate(job["spec"], RAYJOB)
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == ray.__version__
    program, verb, *arguments = shlex.split(job["spec"]["entrypoint"])
    assert (program, verb) == ("nas", "run") and "--resume" in arguments
    app.commands["run"].make_context("run", arguments)


def test_the_image_takes_the_tested_versions_and_every_package() -> None:
    lines = (ROOT / "Dockerfile").read_text()
    assert "--constraint constraints.txt '.[s3,gs]'" in lines
    kept = {line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines()}
    copied = {word for line in re.findall(r"^COPY (.*) \S+$", lines, re.M) for word in line.split()}
    assert {"nas", "trials", "search_spaces"} <= copied <= kept
    assert all((ROOT / name).exists() for name in copied)


# ---------------------------------------------------------------------- on one machine

MINE = """
from dataclasses import replace
from nas.config import SearchConfig
from search_spaces.discrete import twin

def mine(shape):
    return replace(twin(shape), name="mine")

def plan():
    return SearchConfig(
        name="mine", tasks=("digits",), rows=200, epochs=2, spaces=("flexconv", "mine:mine"), defaults=(),
        population=2, repeats=0, seeds=1, search_trials=2, search_seeds=1, finalist_seeds=1,
    )
"""


@pytest.mark.slow
def test_a_run_on_a_cluster_that_is_there(tmp_path: Path) -> None:
    with site(tmp_path / "run", nodes=2) as here:
        here.start()
        assert here.wait() == 0, here.output[-3000:]
        assert len({record.process for record in here.seen.values()}) == 2
        assert here.processes(), "the cluster is still there"


@pytest.mark.slow
def test_a_job_that_brings_its_own_code(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "mine.py").write_text(MINE)
    job = f"nas run mine.py:plan --run-dir {tmp_path}/run --resume".split()
    with site(tmp_path / "run", nodes=2, dashboard=True) as here:
        assert here.dashboard is not None
        submit = [
            "ray",
            "job",
            "submit",
            "--address",
            here.dashboard,
            "--working-dir",
            str(tmp_path / "code"),
        ]
        assert here.spawn(*submit, "--", *job).wait(timeout=240) == 0, here.output[-3000:]
    records = RunDirectory(tmp_path / "run").read_records()[0]
    assert {record.status for record in records} <= {"completed", "stopped"}
    assert sum(record.trial.study.space == "mine" for record in records) == 5


STAND_INS = {
    # one machine: no --address; another node's task ends with 137
    "srun": 'while [ "$1" != -- ]; do shift; done; shift; "${@:1:$#-2}"; exit 137',
    "scontrol": 'if [ "$1" = requeue ]; then echo "$2" >> "$REQUEUED"; else echo localhost; fi',
}


@pytest.mark.slow
def test_the_slurm_script_requeues_a_run_that_was_signalled(tmp_path: Path) -> None:
    for name, script in STAND_INS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{script}\n")
        (tmp_path / name).chmod(0o755)
    faults = ROOT / "tests" / "nas" / "faults.py"
    command = ["bash", str(CLUSTER / "slurm.sh"), f"{faults}:plan", "--run-dir", str(tmp_path / "run")]
    with site(tmp_path / "run") as here:
        here.variables = {
            "PATH": f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "REQUEUED": str(tmp_path / "requeued"),
            "SLURM_JOB_ID": "17",
            "SLURM_JOB_NODELIST": "localhost",
            "SLURM_JOB_NUM_NODES": "1",
        }
        here.driver = here.spawn(*command)
        here.wait_for_records(2)
        here.driver.send_signal(signal.SIGUSR1)
        time.sleep(0.5)
        here.driver.send_signal(signal.SIGTERM)  # a second one interrupts the second wait
        assert here.wait() == 75, here.output[-3000:]
        assert (tmp_path / "requeued").read_text() == "17\n"
        before = dict(here.seen)
        here.driver = here.spawn(*command)
        assert here.wait() == 0, here.output[-3000:]
    assert (tmp_path / "requeued").read_text() == "17\n"
    records = {record.trial.id: record for record in RunDirectory(tmp_path / "run").read_records()[0]}
    assert 2 <= len(before) < len(records) == 12
    assert all(records[name] == record for name, record in before.items())
