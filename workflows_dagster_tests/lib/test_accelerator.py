"""Choice of device, back-off, and what is given back."""

from pathlib import Path

import pytest

from workflows_dagster.lib import accelerator
from workflows_dagster.lib.accelerator import probe, session, with_backoff
from workflows_dagster.lib.errors import AcceleratorUnavailableError


def _without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)


def test_auto_says_what_was_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    _without(monkeypatch)
    chosen = probe("auto")
    assert (chosen.kind, chosen.reason) == ("cpu", "the best there is: no cuda and no mps device")


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_absent_device_is_an_error_when_asked_for(monkeypatch: pytest.MonkeyPatch, device: accelerator.Device) -> None:
    _without(monkeypatch)
    with pytest.raises(AcceleratorUnavailableError, match=rf"no {device} device.*one of: auto, cpu"):
        probe(device)


@pytest.mark.parametrize(
    ("cpu_info", "dtype"),
    [
        ("model name\t: Zen 4\nflags\t\t: fpu avx2 avx512_bf16\n\nmodel name\t: other\n", "bfloat16"),
        ("model name\t: Sapphire\nflags\t\t: fpu amx_bf16\n", "bfloat16"),
        ("model name\t: Cascade Lake\nflags\t\t: fpu avx512_vnni\n", "float32"),
        (None, "float32"),
    ],
)
def test_bfloat16_is_used_only_where_the_cpu_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cpu_info: str | None, dtype: str
) -> None:
    path = tmp_path / "cpuinfo"
    if cpu_info is not None:
        path.write_text(cpu_info)
    monkeypatch.setattr(accelerator, "_CPU_INFO", path)
    assert probe("cpu").dtype == dtype


def test_batch_size_is_halved_until_it_fits() -> None:
    import torch

    tried: list[int] = []

    def run(batch_size: int) -> str:
        tried.append(batch_size)
        if batch_size > 4:
            raise torch.OutOfMemoryError
        return "done"

    assert with_backoff(run, 16, probe("cpu")) == ("done", 4)
    assert tried == [16, 8, 4]


def test_out_of_memory_with_one_row_is_raised() -> None:
    import torch

    def run(batch_size: int) -> str:
        raise torch.OutOfMemoryError(str(batch_size))

    with pytest.raises(torch.OutOfMemoryError, match="1"):
        with_backoff(run, 2, probe("cpu"))


def test_memory_is_given_back_when_the_body_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[str] = []
    monkeypatch.setattr(accelerator, "release", lambda chosen: released.append(chosen.kind))  # pyright: ignore[reportUnknownLambdaType]
    with pytest.raises(ZeroDivisionError), session("cpu"):
        _ = 1 // 0
    assert released == ["cpu"]


def test_peak_covers_what_the_body_held() -> None:
    import numpy as np

    with session("cpu") as opened:
        held = np.ones(20_000_000)
        peak = opened.peak_bytes()
    assert peak is not None
    assert peak > held.nbytes
