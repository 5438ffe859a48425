"""All that was chosen and found on the way to a patient's maps, as JSON: another could make them again."""

from importlib.metadata import version
from typing import Any

from shared.imaging.perfusion.artery import VOXELS
from shared.imaging.perfusion.calibration import Calibration
from shared.imaging.perfusion.maps import NAMES, ONSET, UNITS
from shared.imaging.perfusion.mismatch import Mismatch
from shared.imaging.perfusion.pipeline import Choices, Study
from shared.imaging.scan import Timing

DISCLAIMER = "Research use only; not for diagnosis."

Json = dict[str, Any]


def describe(study: Study, choices: Choices, timing: Timing, read_out: Mismatch, notes: list[str]) -> Json:
    """Return the sidecar's fields; times in seconds, indices from 0, volumes in ml."""
    how, blood = choices.deconvolution, choices.blood
    measure = "oscillation index" if how.method == "osvd" else "share of the largest singular value"
    return {
        "disclaimer": DISCLAIMER,
        "software": {"name": "willis", "version": version("willis")},
        "maps": {role.value: {"what": NAMES[role], "unit": UNITS[role]} for role in UNITS},
        "notes": notes,
        "repetition_time_s": timing.repetition_s,
        "echo_time_s": timing.echo_s,
        "frames": {
            "all": len(study.artery.curve),
            "left_out_at_start": study.baseline.first,
            "baseline": [study.baseline.first, study.baseline.end - 1],
        },
        "signal_fall": study.baseline.fall,
        "noise": study.noise,
        "smoothing": {"within": "slice", "gaussian_deviation_px": choices.smoothing_px},
        "brain_voxels": int(study.brain.sum()),
        "voxels_with_a_bolus": int(study.tissue.sum()),
        "arterial_input": {
            "voxels": [list(voxel) for voxel in study.voxels],
            "curve_per_s": [round(float(value), 6) for value in study.artery.curve],
            "onset_s": study.artery.onset_s,
            "onset_share_of_peak": ONSET,
            "voxels_wanted": VOXELS,
            "saturated_voxels_left_out": study.saturated,
        },
        "deconvolution": {
            "method": how.method.value,
            "operator": how.operator.value,
            "limit": how.cut,
            "limit_of": measure,
        },
        "blood": {"haematocrit_ratio_kH": blood.haematocrit_ratio, "density_rho_g_per_ml": blood.density},
        "calibration": {
            "kind": choices.calibration.value,
            "scale": study.scale,
            "absolute": choices.calibration is not Calibration.NONE,
        },
        "mismatch": mismatch_json(read_out),
    }


def mismatch_json(found: Mismatch) -> Json:
    """Return the read-out's fields."""
    late = {f"tmax_above_{seconds}_s_ml": ml for seconds, ml in found.late_ml.items()}
    return {
        **late,
        "hypoperfusion_intensity_ratio": found.hypoperfusion_intensity_ratio,
        "core_ml": found.core_ml,
        "mismatch_ml": found.volume_ml,
        "mismatch_ratio": found.ratio,
        "meets_defuse_3_criteria": found.defuse_3,
    }
