"""One mask as a DICOM segmentation of the slices of a series."""

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
from highdicom.content import AlgorithmIdentificationSequence
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from server.dataset.dicom.images import Series
from shared.imaging.scan import Role, Volume

# By representation: the ledger knows no time, and DICOM wants some.
_EPOCH = {"DA": "19700101", "TM": "000000", "DT": "19700101000000"}
_CODES = {
    Role.VESSELS: (codes.SCT.AnatomicalStructure, codes.SCT.Artery),
    Role.BRAIN: (codes.SCT.AnatomicalStructure, codes.SCT.Brain),
    Role.LESION: (codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Lesion),
}


def segmentation(mask: Volume, slices: Sequence[Dataset], series: Series, role: Role) -> Segmentation:
    """Return the SEG of `mask` (i, j, k), whose axial slices are those of the MR series `slices`."""
    category, kind = _CODES[role]
    generator = AlgorithmIdentificationSequence("willis", codes.DCM.ArtificialIntelligence, version("willis"))
    segment = SegmentDescription(1, series.kind, category, kind, "AUTOMATIC", generator)
    made = Segmentation(
        source_images=slices,
        pixel_array=np.ascontiguousarray(mask.transpose(2, 1, 0)).astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=[segment],
        series_instance_uid=series.uid(),
        series_number=series.number,
        sop_instance_uid=series.uid("segmentation"),
        instance_number=1,
        manufacturer="willis",
        manufacturer_model_name="willis",
        software_versions=version("willis"),
        device_serial_number="none",
        omit_empty_frames=False,
    )
    made.SeriesDescription = f"SYNTHETIC {series.kind}"
    for name in ("SyntheticData", "PatientIdentityRemoved", "DeidentificationMethod"):
        setattr(made, name, getattr(slices[0], name))
    _fix(made, series.uid("dimensions"))
    return made


def _fix(made: Segmentation, dimensions: str) -> None:
    """Replace what the library takes from the clock and from chance."""
    for element in made.iterall():
        if element.keyword == "DimensionOrganizationUID":
            element.value = dimensions
        elif element.VR in _EPOCH and element.value:
            element.value = _EPOCH[element.VR]
