"""Energy is what counters say, over wrap-arounds, and absent where any part of it is not known."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from trials import energy
from trials.energy import Energy, Meter


def zone(tree: Path, name: str, label: str, microjoules: int, size: int = 65_532_610_987) -> Path:
    """A zone of a powercap tree, as Linux shows it; gives the file of its counter."""
    (tree / name).mkdir(parents=True)
    for file, content in (("name", label), ("energy_uj", microjoules), ("max_energy_range_uj", size)):
        (tree / name / file).write_text(f"{content}\n")
    return tree / name / "energy_uj"


def test_packages_are_summed_and_their_parts_and_the_platform_left_out(tmp_path: Path) -> None:
    first = zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    part = zone(tmp_path, "intel-rapl:0:0", "core", 0)
    second = zone(tmp_path, "intel-rapl:1", "package-1", 0)
    platform = zone(tmp_path, "intel-rapl:2", "psys", 0)
    same_again = zone(tmp_path, "intel-rapl-mmio:0", "package-0", 0)
    meter = Meter(powercap=tmp_path)
    first.write_text("7500000\n")
    for file in (part, second, platform, same_again):
        file.write_text("1000000\n")
    assert meter.energy() == Energy(3.5, "all processor packages: 2 (RAPL)")
    first.write_text("8000000\n")
    assert meter.energy() == Energy(4.0, "all processor packages: 2 (RAPL)")
    meter.close()


def test_a_counter_that_wraps_around_goes_on(tmp_path: Path) -> None:
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 65_532_000_000)
    meter = Meter(powercap=tmp_path)
    for value, joules in ((1_389_013, 2.0), (401_389_013, 402.0), (401_389_013, 402.0)):
        counter.write_text(f"{value}\n")
        assert meter.energy() == Energy(pytest.approx(joules), "all processor packages: 1 (RAPL)")
    meter.close()


def test_a_thread_sees_what_wraps_around_twice_before_anyone_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(energy, "EVERY_SECONDS", 0.01)
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 900_000_000, size=1_000_000_000)
    meter = Meter(powercap=tmp_path)
    for value in (100_000_000, 600_000_000, 900_000_000, 100_000_000):
        (tmp_path / "draft").write_text(f"{value}\n")
        (tmp_path / "draft").replace(counter)
        time.sleep(0.2)
    found = meter.energy()
    meter.close()
    assert found is not None and found.joules == pytest.approx(1200)


def test_a_counter_set_to_zero_is_not_taken_for_a_wrap_around(tmp_path: Path) -> None:
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 30_000_000_000)
    meter = Meter(powercap=tmp_path)
    counter.write_text("0\n")
    assert meter.energy() is None
    counter.write_text("1\n")
    assert meter.energy() is None  # for good
    meter.close()


def test_nothing_is_said_where_a_counter_could_have_wrapped_around_unseen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 0)
    meter = Meter(powercap=tmp_path)
    monkeypatch.setattr(energy, "MOST_WATTS", 1e15)
    assert meter.energy() is None
    meter.close()


@pytest.mark.parametrize("missing", ["energy_uj", "max_energy_range_uj", "name"])
def test_one_package_that_cannot_be_read_makes_the_sum_unknown(tmp_path: Path, missing: str) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 0)
    zone(tmp_path, "intel-rapl:1", "package-1", 0)
    (tmp_path / "intel-rapl:1" / missing).unlink()
    (tmp_path / "intel-rapl:1" / missing).mkdir()  # root may read any file, no one a directory
    assert Meter(powercap=tmp_path).energy() is None


def test_a_counter_that_goes_away_makes_the_sum_unknown(tmp_path: Path) -> None:
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 0)
    meter = Meter(powercap=tmp_path)
    counter.unlink()
    assert meter.energy() is None
    meter.close()


def test_a_machine_without_counters_says_nothing(tmp_path: Path) -> None:
    assert Meter(powercap=tmp_path).energy() is None
    assert Meter(powercap=tmp_path / "missing").energy() is None


def test_packages_alone_are_not_the_energy_of_work_on_a_device(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 0)
    assert Meter("00000000-0000-0000-0000-000000000000", tmp_path).energy() is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_device_that_works_uses_energy(tmp_path: Path) -> None:
    pytest.importorskip("pynvml")
    meter = Meter(str(torch.cuda.get_device_properties().uuid), tmp_path)
    square = torch.ones(4096, 4096, device="cuda")
    for _ in range(200):
        square = square @ square / 4096
    torch.cuda.synchronize()
    found = meter.energy()
    assert found is None or (found.joules > 1 and found.covers == "the whole accelerator (NVML)")
