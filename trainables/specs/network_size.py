"""The size of the images that a network works on, which may be smaller than the data's; no framework."""

from trainables.errors import InfeasibleError


def network_shape(input_shape: tuple[int, int, int], *, image_size: int) -> tuple[int, int, int]:
    """Returns (height, width, channels) of the images that a network works on: its longer side is `image_size`.

    >>> network_shape((32, 24, 3), image_size=16), network_shape((32, 24, 3), image_size=0)
    ((16, 12, 3), (32, 24, 3))

    Args:
        input_shape: Of the data's images.
        image_size: The longer side in pixels, the other one follows; 0: the data's size.

    Raises:
        InfeasibleError: The data's images are smaller.
    """
    height, width, channels = input_shape
    longer = max(height, width)
    if image_size > longer:
        raise InfeasibleError(
            f"image_size {image_size} is larger than the images of {height}x{width}, which it shrinks; use image_size "
            f"{longer} or less, or a larger data.image_size"
        )
    if image_size in (0, longer):
        return input_shape
    return (max(1, round(height * image_size / longer)), max(1, round(width * image_size / longer)), channels)
