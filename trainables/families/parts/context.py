"""What a family's builder gets besides the variant's parameters and the task."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainables.specs.pixels import PixelScaling


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildContext:
    """The surroundings of one call of a family's `build`.

    Args:
        pixel_scaling: The constants of the first layer.
        image_size: The longer side of the images that the network works on; 0: the data's.
        study_dir: The folder at which relative names in a variant start.
        own_parameters: The parameters that the family does not declare, for the user's own function.
        may_ignore: Whether that function may leave some of them unread.
    """

    pixel_scaling: PixelScaling
    image_size: int = 0
    study_dir: str = ""
    own_parameters: Mapping[str, Any] = field(default_factory=dict)
    may_ignore: bool = False
