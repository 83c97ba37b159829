"""The lower layers computed once give what the whole model gives."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from workflows_dagster.lib.finetuning.lower_layers import compute_states, lower_layers, upper_layers_alone
from workflows_dagster.lib.model.text import TextEncoder, load_tokenizer
from workflows_dagster.lib.model.torch_network import load_classifier
from workflows_dagster.lib.schema import LABELS

ROWS = [[2, 6, 9, 3], [2, 7, 3], [2, 6, 8, 10, 11, 3]]


@pytest.fixture
def model(tiny_model: Path) -> Any:
    return load_classifier(tiny_model, LABELS)


@pytest.fixture
def encoder(tiny_model: Path) -> TextEncoder:
    return TextEncoder.of(load_tokenizer(tiny_model), 32)


def _logits(model: Any, encoder: TextEncoder, rows: list[Any]) -> Any:
    batch = {name: torch.from_numpy(array) for name, array in encoder.collate(rows, multiple_of=8).items()}
    with torch.inference_mode():
        return model(**batch).logits.numpy()


def test_upper_layers_on_cached_states_give_the_logits_of_the_whole_model(
    model: Any, encoder: TextEncoder, tmp_path: Path
) -> None:
    whole = _logits(model, encoder, ROWS)
    states = compute_states(model, ROWS, encoder, 1, tmp_path / "states.float16")
    assert [len(states[row]) for row in range(len(states))] == [4, 3, 6]
    names = [name for name, _ in model.named_parameters()]
    with upper_layers_alone(model, 1):
        alone = _logits(model, encoder, [states[row] for row in range(3)])
        kept = [name for name, _ in model.named_parameters()]
    np.testing.assert_allclose(alone, whole, atol=2e-3)  # the states are float16
    assert {name for name in names if ".layer.1." in name} <= set(kept)
    assert not [name for name in kept if ".layer.0." in name]
    assert [name for name, _ in model.named_parameters()] == names
    np.testing.assert_array_equal(_logits(model, encoder, ROWS), whole)


def test_states_are_read_again_where_they_were_written(model: Any, encoder: TextEncoder, tmp_path: Path) -> None:
    path = tmp_path / "states.float16"
    compute_states(model, ROWS, encoder, 1, path)
    path.write_bytes(bytes(path.stat().st_size))
    assert not compute_states(model, ROWS, encoder, 1, path)[2].any()
    path.write_bytes(b"cut")
    assert compute_states(model, ROWS, encoder, 1, path)[2].any()


@pytest.mark.parametrize(("adapted", "lower"), [(None, 0), (1, 1), (2, 0), (5, 0)])
def test_layers_below_the_adapted_ones_are_lower(model: Any, adapted: int | None, lower: int) -> None:
    assert lower_layers(model, adapted) == lower


def test_unknown_architecture_has_no_lower_layers(model: Any) -> None:
    model.config.model_type = "modernbert"
    assert lower_layers(model, 1) == 0
