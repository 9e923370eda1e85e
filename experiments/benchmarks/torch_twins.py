"""The benchmarks' networks once more in PyTorch, with the weights of the Keras model copied over."""

import numpy as np
import torch


def lenet(model):
    """The twin of `alp_tf.models.lenet` on 28x28x1.

    Args:
      model: the built Keras LeNet.

    Returns:
      torch.nn.Sequential in evaluation mode; takes images channels first, see `channels_first`.
    """
    twin = torch.nn.Sequential(
        torch.nn.Conv2d(1, 32, 5, padding=2),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(32, 64, 5, padding=2),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(3136, 1024),
        torch.nn.ReLU(),
        torch.nn.Linear(1024, 10),
    )
    first, second, hidden, last = (layer for layer in model.layers if layer.weights)
    _copy_convolution(first, twin[0])
    _copy_convolution(second, twin[3])
    _copy_dense(hidden, twin[7], channels=64)
    _copy_dense(last, twin[9])
    return twin.eval()


class WideResidual(torch.nn.Module):
    """The twin of `attacks.wide_residual`.

    Of a stride of 2 over an even number of pixels, Keras pads the right and PyTorch the left. So this twin sees
    everything mirrored, kernels and images: both sides then use their own padding, and give the same logits.
    """

    def __init__(self, model):
        """Copies the weights.

        Args:
          model: Keras model whose layers have the names that `attacks.wide_residual` gives them.
        """
        super().__init__()
        self._source = {layer.name: layer for layer in model.layers}
        self.stem = self._convolution("stem")
        self.blocks = torch.nn.ModuleList()
        while f"block{len(self.blocks)}_shortcut" in self._source:
            parts = ("norm0", "conv0", "norm1", "conv1", "shortcut")
            names = [f"block{len(self.blocks)}_{part}" for part in parts]
            self.blocks.append(
                torch.nn.ModuleDict(
                    {
                        part: (self._norm if part.startswith("norm") else self._convolution)(name)
                        for part, name in zip(parts, names, strict=True)
                    }
                )
            )
        self.norm = self._norm("norm")
        dense = self._source["logits"]
        self.logits = torch.nn.Linear(*dense.kernel.shape)
        _copy_dense(dense, self.logits)
        del self._source
        self.eval()

    def forward(self, images):
        """Logits of images channels first."""
        maps = self.stem(images.flip(2, 3))
        for block in self.blocks:
            active = torch.relu(block["norm0"](maps))
            inner = torch.relu(block["norm1"](block["conv0"](active)))
            maps = block["shortcut"](self._subsampled(active, inner)) + block["conv1"](inner)
        return self.logits(torch.relu(self.norm(maps)).mean((2, 3)))

    @staticmethod
    def _subsampled(maps, like):
        # What a 1x1 convolution of Keras' stride takes: the first pixel of two, in the mirror the second.
        return maps if maps.shape[2] == like.shape[2] else maps[:, :, 1::2, 1::2]

    def _convolution(self, name):
        source = self._source[name]
        size, _, inputs, outputs = source.kernel.shape
        strides = source.strides[0] if size > 1 else 1
        twin = torch.nn.Conv2d(inputs, outputs, size, strides, size // 2, bias=False)
        _copy_convolution(source, twin, mirrored=True)
        return twin

    def _norm(self, name):
        source = self._source[name]
        twin = torch.nn.BatchNorm2d(source.gamma.shape[0], eps=source.epsilon)
        with torch.no_grad():
            twin.weight.copy_(_tensor(source.gamma))
            twin.bias.copy_(_tensor(source.beta))
            twin.running_mean.copy_(_tensor(source.moving_mean))
            twin.running_var.copy_(_tensor(source.moving_variance))
        return twin


def channels_first(images):
    """NumPy images [batch, height, width, channels] as the PyTorch tensor that twins take."""
    return torch.tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def _copy_convolution(source, twin, mirrored=False):
    kernel = np.asarray(source.kernel)
    if mirrored:
        kernel = kernel[::-1, ::-1]
    _copy(kernel.transpose(3, 2, 0, 1), source.bias, twin)


def _copy_dense(source, twin, channels=1):
    # After a Flatten the rows are in another order: Keras' channels run fastest, PyTorch's slowest.
    kernel = np.asarray(source.kernel)
    rows = kernel.reshape(-1, channels, kernel.shape[1]).transpose(1, 0, 2).reshape(kernel.shape)
    _copy(rows.T, source.bias, twin)


def _copy(kernel, bias, twin):
    with torch.no_grad():
        twin.weight.copy_(torch.tensor(np.ascontiguousarray(kernel)))
        if bias is not None:
            twin.bias.copy_(_tensor(bias))


def _tensor(variable):
    return torch.tensor(np.asarray(variable))
