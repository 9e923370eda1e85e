"""Random changes of training images, each a pure function of the image and a seed.

The seed of an image is made of the run's seed and of the image's position in the whole run, so that a resumed run, or
one with another number of reading threads, sees the same pixels.
"""

import dataclasses
import math

import tensorflow as tf

from alp_tf import names


@dataclasses.dataclass(frozen=True, kw_only=True)
class PadCrop:
    """Black borders, a crop of the old size at a random place, and, if asked for, a mirror image half of the time.

    Attributes:
      padding: pixels on each side. 2 is Madry et al.'s (a 32 x 32 image becomes 36 x 36 before the crop), whose
        hyper-parameters Shafahi takes over; 4 is the other custom.
      flip: whether half of the images are mirrored.
    """

    padding: int = 2
    flip: bool = True
    takes_whole_images = False

    def __call__(self, image, size, seed):
        """The changed image.

        Args:
          image: [height, width, channels].
          size: (height, width) again.
          seed: int64 [2].
        """
        crop_seed, flip_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        border = [self.padding, self.padding]
        padded = tf.pad(image, [border, border, [0, 0]])
        cropped = tf.image.stateless_random_crop(padded, [*size, image.shape[-1]], crop_seed)
        changed = tf.image.stateless_random_flip_left_right(cropped, flip_seed) if self.flip else cropped
        return tf.cast(changed, tf.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Affine:
    """Turned, zoomed and moved at random, about the image's centre; bilinear, black coming in.

    Attributes:
      turn: degrees at most, either way.
      zoom: the size changes by that share at most, either way.
      shift: pixels at most, either way along each side, and parts of a pixel.
    """

    turn: float = 15.0
    zoom: float = 0.1
    shift: float = 2.0
    takes_whole_images = False

    def __call__(self, image, size, seed):
        """The changed image.

        Args:
          image: [height, width, channels].
          size: (height, width) again.
          seed: int64 [2].
        """
        turned, zoomed, down, right = tf.unstack(tf.random.stateless_uniform([4], seed, -1.0, 1.0))
        angle = turned * (self.turn * math.pi / 180)
        zoom = 1 + zoomed * self.zoom
        cos, sin = tf.cos(angle) / zoom, tf.sin(angle) / zoom
        y, x = ((side - 1) / 2 for side in size)
        # Where a pixel of the result comes from: a row of the matrix for x, then one for y; nothing in perspective.
        matrix = [
            *(cos, -sin, x - cos * x + sin * y + right * self.shift),
            *(sin, cos, y - sin * x - cos * y + down * self.shift),
            *(0.0, 0.0),
        ]
        changed = tf.raw_ops.ImageProjectiveTransformV3(
            images=tf.cast(image, tf.float32)[None],
            transforms=tf.stack(matrix)[None],
            output_shape=size,
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="CONSTANT",
        )
        return changed[0]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AreaCrop:
    """A rectangle of random area, shape and place, resized (bicubic, antialiased) to the size asked for.

    Attributes:
      area: least and largest part of the image's area.
      aspect: least and largest width / height. Where no such rectangle fits in 100 draws, the image is taken whole.
      flip: whether half of the images are mirrored.
    """

    area: tuple = (0.05, 1.0)
    aspect: tuple = (3 / 4, 4 / 3)
    flip: bool = True
    takes_whole_images = True

    def __call__(self, image, size, seed):
        """The changed image; bicubic interpolation can leave the range of the original by a little.

        Args:
          image: [any height, any width, channels].
          size: (height, width) of the result.
          seed: int64 [2].
        """
        crop_seed, flip_seed = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
            tf.shape(image),
            bounding_boxes=tf.zeros([1, 0, 4]),
            seed=crop_seed,
            # Anything above 0 would silently raise the least area.
            min_object_covered=0.0,
            aspect_ratio_range=self.aspect,
            area_range=self.area,
            max_attempts=100,
            use_image_if_no_bounding_boxes=True,
        )
        resized = tf.image.resize(tf.slice(image, begin, extent), size, method="bicubic", antialias=True)
        return tf.image.stateless_random_flip_left_right(resized, flip_seed) if self.flip else resized


# `tiny_imagenet_crop` is what Kannan's released code trains with on Tiny ImageNet.
AUGMENTATIONS = {
    "none": None,
    "shift_by_1": PadCrop(padding=1, flip=False),
    "shift_by_2": PadCrop(padding=2, flip=False),
    "affine": Affine(),
    "affine_half": Affine(turn=7.5, zoom=0.05, shift=1.0),
    "pad_crop_flip": PadCrop(),
    "inception_crop": AreaCrop(),
    "tiny_imagenet_crop": AreaCrop(area=(0.5, 1.0), flip=False),
}


def chosen(augmentation):
    """The augmentation of that name; one that is no name is taken as it is.

    Raises:
      ValueError: unknown name.
    """
    if not isinstance(augmentation, str):
        return augmentation
    return names.lookup("augmentation", augmentation, AUGMENTATIONS)
