"""Answers of exported models for files of images, and their scores on labelled data; in processes of their own."""
