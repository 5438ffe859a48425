"""One volume as the slices of an MR series (DICOM PS3.3, MR Image Storage)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pydicom.valuerep import format_number_as_ds

from shared.imaging.scan import Volume

_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])  # NIfTI's axes point right and forward, DICOM's left and back
_LEVELS = 2**16 - 1


@dataclass(frozen=True)
class Series:
    """What names a series: the data set's checksum, the case, what it shows, and its number in the study."""

    seed: str
    case: str
    kind: str
    number: int

    def uid(self, *parts: object) -> str:
        """Return the identifier of a part of the series."""
        return self._uid(self.case, self.kind, *parts)

    @property
    def study(self) -> str:
        """Identifier of the case's study."""
        return self._uid(self.case)

    @property
    def frame(self) -> str:
        """Identifier of the grid that all series of the case share."""
        return self._uid(self.case, "grid")

    def _uid(self, *parts: object) -> str:
        return str(generate_uid(entropy_srcs=[self.seed, *map(str, parts)]))


def mr_slices(voxels: Volume, affine: NDArray[np.float64], series: Series) -> list[Dataset]:
    """Return one instance an axial slice of `voxels` (i, j, k), rounded to 16 bits between its extremes.

    `affine` (4, 4) is voxel index -> millimetres, as in NIfTI.
    """
    low, high = float(voxels.min()), float(voxels.max())
    slope, start = format_number_as_ds((high - low) / _LEVELS or 1.0), format_number_as_ds(low)
    stored = np.clip(np.rint((voxels - float(start)) / float(slope)), 0, _LEVELS).astype("<u2")
    return [_slice(stored[:, :, k], k, _TO_LPS @ affine, series, slope, start) for k in range(stored.shape[2])]


def _slice(
    pixels: NDArray[np.uint16], k: int, affine: NDArray[np.float64], series: Series, slope: str, start: str
) -> Dataset:
    instance = Dataset()
    instance.file_meta = FileMetaDataset()
    instance.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    instance.file_meta.MediaStorageSOPClassUID = instance.SOPClassUID = MRImageStorage
    instance.file_meta.MediaStorageSOPInstanceUID = instance.SOPInstanceUID = series.uid(k)
    edges = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    across, down = (affine[:3, axis] / edges[axis] for axis in (0, 1))  # along a row, along a column
    fields: dict[str, Any] = {
        **_patient(series),
        "Modality": "MR",
        "SeriesInstanceUID": series.uid(),
        "SeriesNumber": series.number,
        "SeriesDescription": f"SYNTHETIC {series.kind}",
        "InstanceNumber": k + 1,
        "FrameOfReferenceUID": series.frame,
        "PositionReferenceIndicator": "",
        "ImageType": ["DERIVED", "SECONDARY", "OTHER"],
        "ImagePositionPatient": [format_number_as_ds(float(x)) for x in affine[:3] @ (0, 0, k, 1)],
        "ImageOrientationPatient": [format_number_as_ds(float(x)) for x in (*across, *down)],
        "PixelSpacing": [format_number_as_ds(float(edges[axis])) for axis in (1, 0)],
        "SliceThickness": format_number_as_ds(float(edges[2])),
        "SpacingBetweenSlices": format_number_as_ds(float(edges[2])),
        **{"ScanningSequence": "RM", "SequenceVariant": "NONE", "ScanOptions": "", "MRAcquisitionType": ""},
        **{"RepetitionTime": None, "EchoTime": None, "EchoTrainLength": None, "PatientPosition": ""},
        **{"SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "PixelRepresentation": 0},
        **{"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15},
        **{"RescaleSlope": slope, "RescaleIntercept": start, "RescaleType": "US"},
        **{"Rows": pixels.shape[1], "Columns": pixels.shape[0]},
    }
    for name, value in fields.items():
        setattr(instance, name, value)
    instance.PixelData = np.ascontiguousarray(pixels.T).tobytes()
    return instance


def _patient(series: Series) -> dict[str, Any]:
    """Return the fields on a person and a visit, of which there were none."""
    return {
        "PatientName": f"SYNTHETIC^{series.case}",
        "PatientID": f"{series.case}-{series.seed[:12]}",
        **dict.fromkeys(("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber"), ""),
        **{"ReferringPhysicianName": "", "StudyID": "", "StudyInstanceUID": series.study},
        "StudyDescription": "SYNTHETIC: no such person exists",
        "SyntheticData": "YES",
        "PatientIdentityRemoved": "YES",
        "DeidentificationMethod": "drawn from a generator; shows no person",
        "Manufacturer": "willis",
    }
