"""What can be configured about fine-tuning; the defaults are the recipe that won on real reviews."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class FineTuningSettings(BaseModel):
    """Settings of lora_adapter."""

    model_config = ConfigDict(frozen=True)

    model: str = Field(
        default="embedded:e5",
        min_length=1,
        description="The encoder or classifier to adapt: embedded:e5 (94 languages), embedded:minilm (English, a fifth "
        "of the size), a local folder, or org/name@revision.",
    )
    vocabulary: int | None = Field(
        default=None,
        ge=1_000,
        description="Tokens to keep where the tokenizer is a unigram model, as that of embedded:e5: those that the "
        "training rows use, single characters, and the most probable others, those in the scripts of the training rows "
        "first; other words are spelled out of them. Unset: all, so that no language is lost that the model knows.",
    )
    max_train_rows: int = Field(
        default=8_000,
        ge=3,
        description="Training rows at most, stratified by label and source; the baseline trains on the same ones.",
    )
    max_validation_rows: int = Field(
        default=1_500, ge=1, description="Rows at most that early stopping looks at, stratified by label and source."
    )
    max_test_rows: int = Field(
        default=10_000, ge=1, description="Test rows at most, stratified; model and baseline are judged on the same."
    )
    max_length: int = Field(
        default=128, ge=8, le=8192, description="Longest input in tokens; what is cut is counted and reported."
    )
    epochs: float = Field(default=3, gt=0, description="Passes over the training rows at most.")
    patience: int = Field(
        default=3, ge=1, description="Evaluations without a better validation macro-F1 before training stops."
    )
    evaluations_per_epoch: int = Field(
        default=2, ge=1, description="Evaluations, each with a checkpoint, in one pass over the training rows."
    )
    batch_size: int = Field(
        default=8, ge=1, description="Rows of one optimizer step, also where memory forces smaller batches."
    )
    learning_rate: float = Field(default=5e-4, gt=0, lt=1, description="Peak rate of the adapter.")
    head_learning_rate: float = Field(default=2e-3, gt=0, lt=1, description="Peak rate of the classification head.")
    warmup_ratio: float = Field(default=0.1, ge=0, lt=1, description="Share of the steps over which the rate rises.")
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW weight decay.")
    rank: int = Field(default=16, ge=1, le=512, description="Rank of the adapter matrices.")
    alpha: int = Field(default=32, ge=1, description="Scale of the adapter: its output is multiplied by alpha / rank.")
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="Dropout before the adapter matrices; takes a third of the time on CPU."
    )
    adapted_layers: int | None = Field(
        default=6,
        ge=1,
        description="Adapt only this many layers nearest the output. What the layers below give is computed once. "
        "Null: all layers.",
    )
    head_start: Literal["probe", "random"] = Field(
        default="probe",
        description="Where the classification head begins: fitted to what the model gives before training, or random.",
    )
    class_weights: Literal["none", "sqrt", "balanced"] = Field(
        default="balanced",
        description="Weight of a class in the loss: equal, inverse root of its frequency, or inverse frequency.",
    )
    sentence_weight: float = Field(
        default=0.3,
        ge=0,
        le=10,
        description="Weight of the sentences of a review, which the start of the head is fitted to besides, with the "
        "label of the review: so much, divided by the root of their number. 0: only whole reviews.",
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="Share of the target spread over all classes.")
    seed: int = Field(default=17, ge=0, description="Seed of row choice, initial weights, order and dropout.")
