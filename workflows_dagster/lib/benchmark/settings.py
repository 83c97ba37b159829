"""What a run may choose about benchmarking."""

from pydantic import BaseModel, ConfigDict, Field


class BenchmarkSettings(BaseModel):
    """How an artefact is measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accuracy_rows: int = Field(
        default=2_000, ge=1, description="Most test rows that accuracy and agreement are measured on; n is reported."
    )
    latency_rows: int = Field(default=30, ge=2, description="Single reviews timed one by one, after the warm-up.")
    warmup_rows: int = Field(default=5, ge=0, description="Single reviews run before anything is timed.")
    throughput_rows: int = Field(default=64, ge=1, description="Reviews in one repeat of the throughput measurement.")
    repeats: int = Field(default=3, ge=1, description="Repeats of the throughput measurement; the median is reported.")
    block_rows: int = Field(
        default=25, ge=1, description="Rows in one block of the interleaved comparison with the merged model."
    )
    batch_tokens: int = Field(default=1024, ge=16, description="Padded tokens computed at once.")
    threads: int = Field(default=2, ge=1, description="Threads of the runtime.")
    timeout_s: float = Field(default=900.0, gt=0, description="Longest time one measuring process may take.")


class ReportSettings(BaseModel):
    """How the report picks an artefact: margins of what is acceptable, and differences that count as noise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_agreement_low: float = Field(
        default=0.95, ge=0, le=1, description="Least lower bound of the agreement with the merged model."
    )
    max_macro_f1_loss: float = Field(
        default=0.03, ge=0, le=1, description="Largest loss of macro-F1 against the merged model, lower bound included."
    )
    size_noise_ratio: float = Field(
        default=0.1, ge=0, description="Memory and size on disk that differ by no more than this share are tied."
    )
    time_noise_ratio: float = Field(
        default=0.5,
        ge=0,
        description="The same for latency and load time, which are measured without the merged model beside them.",
    )
