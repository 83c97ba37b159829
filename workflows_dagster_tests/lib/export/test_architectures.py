"""Models other than BERT: no sdpa (MPNet), shared layers (ALBERT), rotary buffers that are not stored (ModernBERT)."""

from pathlib import Path

import numpy as np
import pytest

from workflows_dagster.lib.export.torch_fp32 import TorchFloat32
from workflows_dagster.lib.export.torch_int8 import TorchInt8
from workflows_dagster.lib.model.torch_network import encoder_linears, load_classifier, silenced
from workflows_dagster.lib.schema import LABELS

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
OPTIONS = {
    "mpnet": {"max_position_embeddings": 66},
    "albert": {"max_position_embeddings": 66, "embedding_size": 32},
    "modernbert": {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2},
}


@pytest.mark.parametrize("architecture", OPTIONS)
def test_int8_quantizes_and_answers_like_float32(architecture: str, tmp_path: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(0)
    config = AutoConfig.for_model(architecture, vocab_size=50, **SIZES, **OPTIONS[architecture])
    base, merged, quantized = (tmp_path / name for name in ("base", "merged", "quantized"))
    quantized.mkdir()
    with silenced():
        encoder = AutoModel.from_config(config)
        with torch.no_grad():
            for name, parameter in encoder.named_parameters():
                # As initialized, attention is so flat that wrong positions would not be noticed.
                parameter.mul_(3 if "norm" not in name.lower() else 1)
        encoder.save_pretrained(base)
        model = load_classifier(base, LABELS)
        model.save_pretrained(merged)
        details = TorchInt8().write(merged, quantized)
    assert details["quantized_layers"] == len(encoder_linears(model)) > 0
    ids = np.random.default_rng(0).integers(5, 50, (3, 60))
    mask = np.ones_like(ids)
    mask[1, 30:] = 0
    inputs = {"input_ids": ids, "attention_mask": mask}
    expected, found = TorchFloat32.open(merged, 1)(inputs), TorchInt8.open(quantized, 1)(inputs)
    assert np.abs(found - expected).max() < 0.1 * np.abs(expected).max()
