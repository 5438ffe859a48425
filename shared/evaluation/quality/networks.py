"""Feature networks by name: a distance in feature space is a number only together with the network's name.

The default is `shared.evaluation.quality.vessel_encoder.public_vessel_encoder`. Any TorchScript file will do
instead, MedicalNet (Chen et al., 2019) for volumes, say, exported so:

    torch.jit.trace(network.eval(), torch.zeros(1, 1, 64, 64, 64)).save("medicalnet-resnet10.pt")
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from shared.canonical import digest
from shared.errors import UsageError
from shared.evaluation.quality.population import Features, Images, Population, Vectors

BATCH = 64


@dataclass(frozen=True)
class FeatureNetwork:
    """A network that turns images (n, 1, *spatial) in [-1, 1] into features (n, d)."""

    name: str  # with version and number of features; printed beside every value
    module: nn.Module
    spatial: int | None  # 2 for images, 3 for volumes, None where only the network knows

    def features(self, population: Population) -> Features:
        """Return the features of the image channel; labels are not shown to the network.

        Raises:
            UsageError: the network takes no images of this shape, or does not return one vector an image.
        """
        if self.spatial is not None and population.images.ndim != self.spatial + 2:
            have = population.images.ndim - 2
            msg = f"{self.name} takes {self.spatial}D images, not {have}D ones"
            raise UsageError(msg + ("; give it population.slices()" if have == 3 else ""))
        return Features(self._vectors(population.images), population.patients, self.name)

    @torch.no_grad()
    def _vectors(self, images: Images) -> Vectors:
        shape = tuple(images[:1, :1].shape)
        batches = [images[start : start + BATCH, :1] for start in range(0, len(images), BATCH)]
        try:
            found = [self.module(torch.from_numpy(np.ascontiguousarray(batch))) for batch in batches]
        except (RuntimeError, TypeError) as err:
            last = (str(err).strip() or type(err).__name__).splitlines()[-1]
            raise UsageError(f"{self.name} does not take images of shape {shape}: {last}") from err
        for batch, vectors in zip(batches, found, strict=True):
            if not isinstance(vectors, Tensor) or vectors.ndim != 2 or len(vectors) != len(batch):
                what = f"shape {tuple(vectors.shape)}" if isinstance(vectors, Tensor) else type(vectors).__name__
                msg = f"{self.name} returns {what} for {len(batch)} images, not (images, features)"
                raise UsageError(f"{msg}; end it in a global average pooling and a flattening")
        vectors = torch.cat(found).double().numpy()
        if not np.isfinite(vectors).all():
            raise UsageError(f"{self.name} returns values that are not finite for images of shape {shape}")
        return vectors


def torchscript_network(path: Path) -> FeatureNetwork:
    """Return the network in a TorchScript file, named by the file and the digest of its bytes.

    Raises:
        UsageError: there is no such file, or it is no TorchScript.
    """
    try:
        content = path.read_bytes()
        module = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except OSError as err:
        raise UsageError(f"{path}: cannot be read ({err.strerror}); give a TorchScript file") from err
    except (RuntimeError, ValueError) as err:
        msg = f"{path}: not a TorchScript file; write one with torch.jit.trace(network.eval(), image).save(FILE)"
        raise UsageError(msg) from err
    return FeatureNetwork(f"{path.name} ({digest(content)[:12]})", module, spatial=None)
