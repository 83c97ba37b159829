"""The machine that numbers were measured on."""

import os
import platform
import sys
from pathlib import Path
from typing import Final

FLAGS: Final = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "asimddp", "i8mm")
"""Instruction sets that decide the speed of int8 and bf16."""


def describe_machine() -> dict[str, object]:
    """Name and relevant instruction sets of the CPU, cores this process may use, system and Python."""
    name, flags = _cpu()
    return {
        "cpu": name,
        "flags": [flag for flag in FLAGS if flag in flags],
        "int8_dot_product": bool({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"} & flags),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def peak_memory_bytes() -> int:
    """Most resident memory this process ever held: interpreter, libraries, weights, tokenizer and activations."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text("ascii", "replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _cpu() -> tuple[str, set[str]]:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine(), set()
    fields: dict[str, str] = {}
    for line in info.read_text("utf-8", "replace").splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    flags = fields.get("flags") or fields.get("Features") or ""
    return fields.get("model name") or platform.machine(), set(flags.split())
