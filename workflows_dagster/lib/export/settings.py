"""What a run may choose about exporting."""

from pydantic import BaseModel, ConfigDict, Field


class ExportSettings(BaseModel):
    """How the merged model is exported and how the artefact is tried."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    opset: int = Field(default=17, ge=17, le=20, description="ONNX operator set of the ONNX exports.")
    fuse: bool = Field(
        default=True,
        description="Fuse attention, layer norm and GELU of the fp32 ONNX graph (onnxruntime contrib operators).",
    )
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
