"""Augmentation inside the compiled step: each image's change is a function of (seed, epoch, image index) alone.

Once an epoch, every row's random amounts are computed (`amounts`, `mixtures`); a step gathers those of its rows and
changes its images by them (`pixels`). Neither the batch nor the order of arrival can play a part.
"""
