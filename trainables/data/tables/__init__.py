"""Tables of images' names and labels, beside folders of images."""
