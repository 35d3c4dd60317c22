"""Augmentation inside the compiled step: each image's change is a function of (seed, epoch, image index) alone.

Once an epoch, `amounts` and `mixtures` compute every row's random amounts; each step gathers its rows' amounts, and
`pixels` changes the images by them. The result depends neither on the batch nor on the order of images.
"""
