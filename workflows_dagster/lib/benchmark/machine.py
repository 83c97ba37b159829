"""The machine that numbers were measured on."""

import os
import platform
from dataclasses import dataclass
from typing import Final

from workflows_dagster.lib.accelerator import cpu_fields

FLAGS: Final = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "asimddp", "i8mm")
"""Instruction sets that decide the speed of int8 and bf16."""


@dataclass(frozen=True)
class Machine:
    """A machine, as far as it decides speed.

    Attributes:
        cpu: What the CPU calls itself.
        flags: Its instruction sets, those of FLAGS.
        int8_dot_product: Whether it has an instruction for products of int8.
        cores: Cores that this process may use.
        system: Operating system and architecture.
        python: Version of Python.
    """

    cpu: str
    flags: tuple[str, ...]
    int8_dot_product: bool
    cores: int
    system: str
    python: str


def describe_machine() -> Machine:
    """The machine that this process runs on."""
    fields = cpu_fields()
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    return Machine(
        cpu=fields.get("model name") or platform.processor() or platform.machine(),
        flags=tuple(flag for flag in FLAGS if flag in flags),
        int8_dot_product=bool({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"} & flags),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
    )
