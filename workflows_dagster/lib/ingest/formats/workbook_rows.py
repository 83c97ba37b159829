"""A process of its own that writes the rows of one sheet to standard output, a JSON list on each line.

    python -P workbook_rows.py FILE SHEET MEMORY_BYTES

A workbook is read as a whole, and a few kilobytes of it may describe a sheet of any size: the limit on the memory of
this process is what keeps that from everything else. It imports nothing of the package: it would pay for all of it.
"""

import json
import resource
import sys
from datetime import date, datetime, time, timedelta
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook, PasswordError, WorksheetNotFound, XmlError, ZipError


def main(file: str, sheet: str, memory_bytes: int) -> int:
    """Writes the number of the first row, then the rows; an error in place of them is an object."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    try:
        workbook = CalamineWorkbook.from_path(file)
        if sheet and sheet not in workbook.sheet_names:
            return _fail(f"no sheet {sheet}; there are {', '.join(workbook.sheet_names)}")
        found = workbook.get_sheet_by_name(sheet) if sheet else workbook.get_sheet_by_index(0)
        _say({"first": 1 + (found.start or (0, 0))[0]})
        for row in found.iter_rows():
            _say([_plain(value) for value in row])
    except MemoryError:
        return _fail(f"a sheet that needs more than {memory_bytes // 1024**2:,} MiB of memory")
    except (CalamineError, PasswordError, WorksheetNotFound, XmlError, ZipError, OSError) as error:
        return _fail(f"{type(error).__name__}: {error}")
    return 0


def _fail(problem: str) -> int:
    _say({"problem": problem})
    return 0


def _say(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    return None if value == "" else value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
