"""What `--model` names: whether it is a file that holds a network, rather than a name or Python code."""

from pathlib import Path

SUFFIXES = (".pt", ".pt2", ".ts", ".ptl", ".pte", ".pth", ".onnx", ".torchscript", ".jit", ".safetensors")


def is_network_file(model: str) -> bool:
    """Whether `--model` means a file with a network in it; files of Python are none."""
    if model.endswith(".py"):
        return False
    try:
        return model.lower().endswith(SUFFIXES) or ("." in Path(model).name and Path(model).expanduser().is_file())
    except OSError:  # the name is too long, or its folder may not be read
        return False
