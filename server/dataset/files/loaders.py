"""How to load a case in four libraries, as the data card shows it; a test runs what is printed."""

from collections.abc import Mapping, Sequence

from server.dataset.files.cases import Case
from server.dataset.files.manifest import name_of
from server.dataset.files.training import DECATHLON, FOLDER, channels, target
from shared.imaging.scan import Role


def loaders(cases: Sequence[Case]) -> str:
    """Return a section of the card: code that loads the first case, for the working folder that it lies in."""
    first = cases[0].files
    blocks = {
        "nibabel": _nibabel(first),
        "MONAI": _monai(first),
        "TorchIO": _torchio(first),
        "Hugging Face datasets": _hugging_face(),
    }
    text = "\n\n".join(f"{name}:\n\n```python\n{code}\n```" for name, code in blocks.items())
    return f"""## Load it

Run in the folder of the data set. nnU-Net v2 reads `{DECATHLON}` too, where a case has an image and a label.

{text}
"""


def _shown(files: Mapping[Role, str]) -> dict[str, Role]:
    """Return the image and the label to load, as far as a case has them."""
    images, label = channels(list(files)), target(list(files))
    return ({"image": images[0]} if images else {}) | ({"label": label} if label else {})


def _nibabel(files: Mapping[Role, str]) -> str:
    lines = [f'{key} = nib.load("{files[role]}")' for key, role in _shown(files).items()]
    return "\n".join(["import nibabel as nib", *lines])


def _monai(files: Mapping[Role, str]) -> str:
    keys = ", ".join(f'"{key}"' for key in _shown(files))
    return f"""from monai.data import load_decathlon_datalist
from monai.transforms import LoadImaged
case = LoadImaged([{keys}])(load_decathlon_datalist("{DECATHLON}")[0])"""


def _torchio(files: Mapping[Role, str]) -> str:
    kinds = {"image": "ScalarImage", "label": "LabelMap"}
    parts = [
        f'{key}=torchio.{kinds[key]}(row["{name_of(role)}_file_name"])' for key, role in _shown(files).items()
    ]
    return f"""import csv, torchio
row = next(csv.DictReader(open("{FOLDER}")))
case = torchio.Subject({", ".join(parts)})"""


def _hugging_face() -> str:
    return """from datasets import load_dataset
case = load_dataset("niftifolder", data_dir=".", split="train")[0]"""
