"""A record: what a step tells other steps and people, as one typed and versioned JSON file beside its tables."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from workflows_dagster.lib.errors import DataContractError

VERSION_KEY: Final = "record_version"
_ERRORS_SHOWN: Final = 5


class Record(BaseModel):
    """Base of the records: frozen, closed, and refused when it was written by another version of its class.

    A subclass names its file and version, and says what the Dagster UI shows of it. Its content is part of the data
    version of its asset: no times, no paths of this machine.

    Attributes:
        FILE: Name of the file in the folder of the asset.
        VERSION: Raised whenever the meaning, the name or the type of a field changes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    FILE: ClassVar[str] = "report.json"
    VERSION: ClassVar[int] = 1

    def to_metadata(self) -> Mapping[str, object]:
        """Metadata by key `<stage>/<quantity>_<unit>`; values are str, int, float, bool, dict, list or Markdown."""
        raise NotImplementedError(f"{type(self).__name__} has no metadata: expected a to_metadata of its own")

    def write(self, folder: Path) -> None:
        """Writes the record into the folder of its asset.

        Raises:
            DataContractError: A figure in it is not a finite number.
        """
        fields = {VERSION_KEY: self.VERSION, **self.model_dump(mode="json")}
        try:
            text = json.dumps(fields, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
        except ValueError as error:
            raise DataContractError(
                f"{type(self).__name__} holds a figure that is not a number",
                given=str(self),
                expected="finite figures; None where there is nothing to measure",
                remedy="mend the step that measures it",
            ) from error
        (folder / self.FILE).write_text(text + "\n", "utf-8")

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The record that a folder holds.

        Raises:
            DataContractError: It is missing, damaged, or written by another version of the code.
        """
        try:
            fields: Any = json.loads((folder / cls.FILE).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise cls._unreadable(f"{type(error).__name__}: {error}") from error
        written = fields.pop(VERSION_KEY, None) if isinstance(fields, dict) else None
        if written != cls.VERSION:
            raise cls._unreadable(f"{VERSION_KEY} {written!r}")
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            shown = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:_ERRORS_SHOWN]]
            raise cls._unreadable("; ".join(shown)) from error

    @classmethod
    def _unreadable(cls, given: str) -> DataContractError:
        return DataContractError(
            f"{cls.FILE} cannot be read as {cls.__name__}",
            given=given,
            expected=f"{cls.__name__} of version {cls.VERSION}",
            remedy="materialize the asset that wrote it again with this version of the code",
        )
