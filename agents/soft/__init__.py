"""Soft attention: classifiers that see the whole image and weigh its parts, trained by gradient."""
