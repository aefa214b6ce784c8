"""Names of the 1,000 ImageNet classes, in the order of a network's outputs."""

from torchvision.models import AlexNet_Weights

CLASSES: tuple[str, ...] = tuple(AlexNet_Weights.DEFAULT.meta["categories"])
