"""A trial is the same whatever ran in its process before, and leaves the process as it was."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from search_spaces.architecture import Architecture
from tests.trials.examples import trial, untimed
from trials import plain, record, soundness, task, training
from trials.storage import Storage
from trials.task import TaskData


@pytest.fixture(scope="module")
def digits() -> TaskData:
    return task.open_task("digits@rows=400,augment=crop+noise")


@pytest.fixture
def careless() -> Iterator[None]:
    """What a user's task and space code may leave in a process, and what ends with the test."""
    threads = torch.get_num_threads()
    random.seed(7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        torch.set_grad_enabled(False)
        torch.set_autocast_enabled("cpu", True)
        torch.use_deterministic_algorithms(True)
        torch.autograd.set_detect_anomaly(True)
        torch.backends.cudnn.benchmark = True
        torch.backends.fp32_precision = "tf32"
        torch.backends.mkldnn.conv.fp32_precision = "bf16"
        torch.set_float32_matmul_precision("medium")
        torch.backends.mkldnn.enabled = False
        torch.manual_seed(7)
        yield
    torch.set_default_device(None)
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    torch.set_autocast_enabled("cpu", False)
    torch.use_deterministic_algorithms(False)
    torch.autograd.set_detect_anomaly(False)
    torch.backends.cudnn.benchmark = False
    torch.backends.mkldnn.enabled = True
    torch.backends.fp32_precision = torch.backends.mkldnn.conv.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")
    torch.set_num_threads(threads)


FRESH = """
import json, sys
from trials import plain, record, task, training
from trials.storage import Storage
wanted = plain.from_plain(record.Trial, json.load(open(sys.argv[1])))
found = training.run_trial(wanted, task.open_task(wanted.task), folder=Storage(sys.argv[2]), timed=True)
open(sys.argv[2] + "/record.json", "w").write(plain.dumps(found))
"""


def in_a_fresh_process(wanted: record.Trial, folder: Path) -> record.TrialRecord:
    folder.mkdir()
    (folder / "design.json").write_text(plain.dumps(wanted))
    alike = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    command = [sys.executable, "-c", FRESH, str(folder / "design.json"), str(folder)]
    subprocess.run(command, check=True, env=alike)
    return plain.from_plain(record.TrialRecord, json.loads((folder / "record.json").read_text()))


@pytest.mark.slow
@pytest.mark.parametrize("space", ["twin_3x3", "flexconv"])
def test_after_careless_code_it_is_that_of_a_fresh_process(
    digits: TaskData, tmp_path: Path, space: str, careless: None
) -> None:
    options = {"augmentation": ("crop", "noise"), "moving_average": 0.5, "precision": "bfloat16"}
    wanted = trial(digits, space, kind="finalist", epochs=2, seed=3, **options)
    fresh = in_a_fresh_process(wanted, tmp_path / "fresh")
    found = training.run_trial(wanted, digits, folder=Storage(str(tmp_path / "here")), timed=True)
    assert found is not None and found.status == fresh.status == "completed", found.reason
    assert untimed(found.curve) == untimed(fresh.curve)
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("fresh", "here")]
    assert weights[0] == weights[1]


def test_a_trial_leaves_the_process_as_it_was(digits: TaskData, careless: None) -> None:
    training.run_trial(trial(digits, epochs=1), digits)
    assert torch.get_default_dtype() == torch.float64 and torch.get_default_device().type == "meta"
    assert not torch.is_grad_enabled() and torch.is_autocast_enabled("cpu")
    assert torch.are_deterministic_algorithms_enabled() and torch.backends.cudnn.benchmark
    assert warnings.filters[0][0] == "error" and not torch.backends.mkldnn.enabled


def test_threads_that_a_design_sets_end_with_it(
    digits: TaskData, monkeypatch: pytest.MonkeyPatch, careless: None
) -> None:
    before = torch.get_num_threads()
    seen: list[int] = []

    def report(metrics: record.EpochMetrics) -> record.Verdict:
        torch.set_num_threads(before + 1)
        torch.set_default_dtype(torch.float16)
        seen.append(torch.get_num_threads())
        return "continue"

    training.run_trial(trial(digits, epochs=1), digits, report=report)
    assert seen == [before + 1] and torch.get_num_threads() == before
    assert torch.get_default_dtype() == torch.float64


def too_large(of: TaskData) -> record.Trial:
    """A design with weights of 4 TB."""
    wanted = trial(of, "ccnn", epochs=1)
    settings = {**dict(wanted.architecture.settings), "width": 2**20}
    return replace(wanted, architecture=Architecture.of("ccnn", **settings))


def test_a_design_too_large_for_memory_says_so_and_the_next_one_runs(digits: TaskData) -> None:
    found = training.run_trial(too_large(digits), digits)
    assert found is not None and found.out_of_memory and soundness.flaw(found) == ""
    assert found.trial.recipe == too_large(digits).recipe
    after = training.run_trial(trial(digits, epochs=1), digits)
    assert after is not None and after.status == "completed" and not after.out_of_memory


LIMITED = """
import gc, json, resource, sys
from pathlib import Path
from trials import plain, record, task, training
wanted = plain.from_plain(record.Trial, json.load(open(sys.argv[1])))
of = task.open_task(wanted.task)
training.run_trial(wanted, of)  # whatever is loaded late
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 400_000_000, -1))
gc.disable()  # whoever runs the trial has to collect

def hoard(metrics):
    cycle = [bytearray(100_000_000)]
    cycle.append(cycle)
    return hoard(metrics)

first = training.run_trial(wanted, of, report=hoard)
bytearray(300_000_000)
second = training.run_trial(wanted, of)
print(json.dumps([first.reason.splitlines()[0], first.out_of_memory, len(first.curve), second.status]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of the address space")
def test_a_process_that_had_no_memory_left_trains_the_next_trial(digits: TaskData, tmp_path: Path) -> None:
    (tmp_path / "design.json").write_text(plain.dumps(trial(digits, epochs=1)))
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "design.json")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == ["MemoryError", True, 1, "completed"]


@pytest.mark.parametrize(
    ("reason", "is_it"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", True),
        ("torch.AcceleratorError: CUDA error: out of memory", True),
        ("RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", True),
        ("numpy._core._exceptions._ArrayMemoryError: Unable to allocate 1.0 TiB", True),
        ("RuntimeError: std::bad_alloc", True),
        ("the test failed: MemoryError", True),
        ("OSError: [Errno 12] Cannot allocate memory", True),
        ("OSError: [Errno 28] No space left on device", False),
        ("ValueError: a rule\nTraceback: MemoryError", False),
    ],
)
def test_out_of_memory_is_known_by_the_first_line(digits: TaskData, reason: str, is_it: bool) -> None:
    failed = record.TrialRecord(trial=trial(digits), status="failed", reason=reason, started=0, finished=0)
    assert failed.out_of_memory == is_it
    assert not replace(failed, status="completed").out_of_memory


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_a_share_of_an_accelerator_that_is_too_small_says_so(digits: TaskData) -> None:
    found = training.run_trial(trial(digits, epochs=1), digits, device_share=1e-5)
    assert found is not None and found.out_of_memory and "OutOfMemoryError" in found.reason.splitlines()[0]
    after = training.run_trial(trial(digits, epochs=1), digits)
    assert after is not None and after.status == "completed", after.reason
