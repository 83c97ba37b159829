"""What a run may choose about exporting: how an artefact is tried, and the options that each technique declares."""

from dataclasses import fields
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from workflows_dagster.lib.export.registry import REGISTRY, technique
from workflows_dagster.lib.export.technique import Technique


class ExportSettings(BaseModel):
    """How an artefact is tried before it is published; with `export_settings`, also how it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parity_rows: int = Field(
        default=200, ge=1, description="Test rows that the reloaded artefact and the merged model both classify."
    )
    min_agreement: float = Field(
        default=0.95,
        ge=0,
        le=1,
        description="Share of those rows on which a lossy artefact must give the merged model's class.",
    )
    max_logit_difference: float = Field(
        default=1e-3, gt=0, description="Largest absolute difference of a logit that a lossless artefact may show."
    )
    batch_tokens: int = Field(
        default=1024, ge=16, description="Padded tokens computed at once (rows times longest row)."
    )
    threads: int = Field(default=2, ge=1, description="Threads of the runtime that tries the artefact.")
    timeout_s: float = Field(default=600.0, gt=0, description="Longest time the trial process may take.")

    def technique(self, name: str) -> Technique:
        """The technique of that name with its options as chosen here, else with their defaults.

        Raises:
            ConfigurationError: There is no technique of that name.
        """
        chosen: BaseModel | None = getattr(self, _field_of(name), None)
        return technique(name)(**chosen.model_dump() if chosen else {})


def export_settings(base: type[BaseModel]) -> type[ExportSettings]:
    """The settings with a field for each technique that has options, `onnx_fp32` for onnx-fp32.

    Args:
        base: What these settings, and those of each technique, are a subclass of too: `dagster.Config`, say.
    """
    nested: dict[str, Any] = {}
    for name, chosen in REGISTRY.items():
        options: dict[str, Any] = {
            option.name: (option.type, Field(default=option.default, **option.metadata)) for option in fields(chosen)
        }
        if options:
            model = create_model(f"{chosen.__name__}Options", __base__=base, **options)
            nested[_field_of(name)] = (model, Field(default=model(), description=f"Options of {name}."))
    settings: Any = create_model("ExportSettingsWithOptions", __base__=(ExportSettings, base), **nested)
    return settings


def _field_of(name: str) -> str:
    return name.replace("-", "_")
