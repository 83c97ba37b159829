"""Where models run: which device, why, with which number format, and how much memory it took."""

import gc
import logging
import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from workflows_dagster.lib.errors import AcceleratorUnavailableError

Device = Literal["auto", "cpu", "cuda", "mps"]
_CPU_INFO: Final = Path("/proc/cpuinfo")
_CLEAR_REFS: Final = Path("/proc/self/clear_refs")
_STATUS: Final = Path("/proc/self/status")
# Without one of these the CPU emulates bfloat16, which takes three times as long as float32.
_BF16_FLAGS: Final = frozenset({"avx512_bf16", "amx_bf16"})
WAIT_POLICY: Final = {"GOMP_SPINCOUNT": "10000"}
"""Environment in which OpenMP threads wait for each other shortly before they sleep; set before torch is imported.

By default they spin for milliseconds. Where another process takes one of their cores, a training step then took
seconds instead of 0.1 s. Sleeping at once (OMP_WAIT_POLICY=PASSIVE) costs 40 % on an idle machine; this costs nothing.
"""
DEFAULT_THREADS: Final = 2
"""Small encoders gain 1.4x from a second thread and next to nothing from more, which other processes then disturb."""
_Result = TypeVar("_Result")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Accelerator:
    """The device that was chosen.

    Attributes:
        kind: cpu, cuda or mps.
        name: What the device calls itself.
        reason: Why it was chosen.
        dtype: Number format of training under autocast.
        attention: Attention implementation that transformers is asked for.
        threads: CPU threads in use.
        free_bytes: Free memory when it was probed; None where the device does not say.
    """

    kind: Literal["cpu", "cuda", "mps"]
    name: str
    reason: str
    dtype: Literal["float32", "bfloat16"]
    attention: Literal["sdpa", "eager"]
    threads: int
    free_bytes: int | None

    def to_metadata(self) -> dict[str, str]:
        """What was chosen and why, as metadata."""
        free = "" if self.free_bytes is None else f", {self.free_bytes / 1e9:.1f} GB free"
        return {
            "accelerator/device": f"{self.kind}, {self.name}{free}",
            "accelerator/precision": f"{self.dtype}, {self.attention}, {self.threads} threads",
            "accelerator/reason": self.reason,
        }


@dataclass(frozen=True)
class Session:
    """A device in use.

    Attributes:
        accelerator: The device.
    """

    accelerator: Accelerator

    def peak_bytes(self) -> int | None:
        """Most memory held at once since the session began: of the device, on CPU of the process (resident set).

        None where the device does not say.
        """
        return _peak_bytes(self.accelerator)

    def to_metadata(self) -> dict[str, float]:
        """The peak as metadata: nothing where the device does not say."""
        peak = self.peak_bytes()
        return {} if peak is None else {"peak_memory_mb": peak / 1e6}


def probe(asked: Device = "auto", threads: int = DEFAULT_THREADS) -> Accelerator:
    """The device to use; `auto` prefers cuda over mps over cpu and says why.

    Args:
        asked: The device that was asked for.
        threads: CPU threads of torch, at most; set for the process.

    Raises:
        AcceleratorUnavailableError: A device was asked for by name and is not there.
    """
    for name, value in WAIT_POLICY.items():
        os.environ.setdefault(name, value)
    import torch

    torch.set_num_threads(min(threads, torch.get_num_threads()))
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if asked != "auto" and not there[asked]:
        raise AcceleratorUnavailableError(
            f"no {asked} device",
            given=asked,
            expected=f"one of: {', '.join(['auto', *(kind for kind, is_there in there.items() if is_there)])}",
            remedy="set WORKFLOWS_DAGSTER_DEVICE to one of these, or install the driver and a torch build for it",
        )
    why = "asked for" if asked != "auto" else _why_auto(there)
    kind = asked if asked != "auto" else next(kind for kind, is_there in there.items() if is_there)
    match kind:
        case "cuda":
            return _cuda(why)
        case "mps":
            return Accelerator("mps", "Apple GPU", why, "float32", "sdpa", torch.get_num_threads(), None)
        case _:
            return _cpu(why)


def _why_auto(there: dict[str, bool]) -> str:
    absent = [kind for kind in ("cuda", "mps") if not there[kind]]
    chosen = next(kind for kind, is_there in there.items() if is_there)
    before = absent[: ("cuda", "mps", "cpu").index(chosen)]
    return f"the best there is: no {' and no '.join(before)} device" if before else "the best there is"


def _cuda(why: str) -> Accelerator:
    import torch

    free, _ = torch.cuda.mem_get_info()
    dtype = "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return Accelerator("cuda", torch.cuda.get_device_name(), why, dtype, "sdpa", torch.get_num_threads(), free)


def _cpu(why: str) -> Accelerator:
    import torch

    fields = cpu_fields()
    dtype = "bfloat16" if _BF16_FLAGS & set(fields.get("flags", "").split()) else "float32"
    name = fields.get("model name", "CPU")
    return Accelerator("cpu", name, why, dtype, "sdpa", torch.get_num_threads(), _free_memory_bytes())


def cpu_fields() -> dict[str, str]:
    """What /proc/cpuinfo says of the first processor; empty on systems without it, where bfloat16 is not assumed."""
    if not _CPU_INFO.exists():
        return {}
    first = _CPU_INFO.read_text("utf-8", "replace").split("\n\n", 1)[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _free_memory_bytes() -> int | None:
    if sys.platform != "linux":
        return None
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def session(device: Device = "auto", threads: int = DEFAULT_THREADS) -> Generator[Session]:
    """Chooses a device, measures its memory from here on, and gives it back at the end, also after an error.

    Raises:
        AcceleratorUnavailableError: A device was asked for by name and is not there.
    """
    accelerator = probe(device, threads)
    _reset_peak(accelerator)
    try:
        yield Session(accelerator)
    finally:
        release(accelerator)


def release(accelerator: Accelerator) -> None:
    """Gives memory that nothing uses any more back to the device."""
    gc.collect()
    if accelerator.kind == "cpu":
        return
    import torch

    {"cuda": torch.cuda, "mps": torch.mps}[accelerator.kind].empty_cache()


def _reset_peak(accelerator: Accelerator) -> None:
    if accelerator.kind == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats()
    elif accelerator.kind == "cpu" and os.access(_CLEAR_REFS, os.W_OK):
        _CLEAR_REFS.write_text("5")  # resets VmHWM, see proc(5)


def _peak_bytes(accelerator: Accelerator) -> int | None:
    if accelerator.kind == "cuda":
        import torch

        return torch.cuda.max_memory_allocated()
    return None if accelerator.kind == "mps" else peak_resident_bytes()


def peak_resident_bytes() -> int | None:
    """Most memory that this process held at once; None on systems without /proc."""
    if not _STATUS.exists():
        return None
    peak = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024


def with_backoff(run: Callable[[int], _Result], batch_size: int, accelerator: Accelerator) -> tuple[_Result, int]:
    """Calls `run` with a batch size, halved as long as the device runs out of memory.

    Args:
        run: Work to do with at most this many rows at once; called again from its start after a failure.
        batch_size: The size to begin with.
        accelerator: Its memory is given back between two tries.

    Returns:
        The result, and the batch size that it was made with.

    Raises:
        torch.OutOfMemoryError: Even one row at a time does not fit.
    """
    import torch

    while True:
        try:
            return run(batch_size), batch_size
        except torch.OutOfMemoryError:
            if batch_size == 1:
                raise
            _logger.warning("out of memory with %d rows at once on %s; trying half", batch_size, accelerator.name)
        batch_size //= 2
        # Outside the except block: there the traceback still holds the tensors.
        release(accelerator)


def device_of(accelerator: Accelerator) -> Any:
    """The torch.device of an accelerator."""
    import torch

    return torch.device(accelerator.kind)
