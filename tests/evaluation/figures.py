"""What every figure must be."""

import matplotlib.image


def assert_picture(path):
    """A whole PNG of a sensible size, with something on it, and no temporary file beside it."""
    picture = matplotlib.image.imread(path)
    assert min(picture.shape[:2]) > 150
    assert picture[..., :3].std() > 0.02
    assert not [other.name for other in path.parent.iterdir() if other.name.startswith(".")]
