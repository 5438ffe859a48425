"""What the papers printed, as data, each with its source. Values that are only in a figure are not here.

[1] T. Kossen et al., "Synthesizing anonymized and labeled TOF-MRA patches for brain vessel segmentation using
    generative adversarial networks", Computers in Biology and Medicine 131, 2021 (thesis, chapter 4)
[2] P. Subramaniam et al., "Generating 3D TOF-MRA volumes and segmentation labels using generative adversarial
    networks", Medical Image Analysis 78, 2022 (thesis, chapter 5)
[3] T. Kossen et al., "Toward sharing brain images: differentially private TOF-MRA images with segmentation labels
    using generative adversarial networks", Frontiers in Artificial Intelligence 5, 2022 (thesis, chapter 6)
[4] M. Platscher, J. Zopes, C. Federau, "Image translation for medical image generation: ischemic stroke lesion
    segmentation", 2020 (arXiv 2010.02745)
[5] T. Kossen et al., "Image-to-image generative adversarial networks for synthesizing perfusion parameter maps
    from DSC-MR images in cerebrovascular disease", Frontiers in Neurology 13, 2023 (thesis, chapter 7)

Patients: PEGASUS is the first site, 1000Plus the second. Rows are keyed by variant; "real" are patients.
"""

from collections.abc import Mapping
from types import MappingProxyType

from simulations.studies.tables import Spread, Value

# [1] Tables 1 and 2: spread over 4 generated data sets; 95HD in mm; on real patients no spread was printed.
FID_2D = MappingProxyType(
    {"dcgan": Spread(141.82, 0.32), "wgan-gp": Spread(52.41, 0.16), "wgan-gp-sn": Spread(37.01, 0.22)}
)
DICE_2D: Mapping[str, Value] = MappingProxyType(
    {
        "real": 0.892,
        "dcgan": Spread(0.779, 0.008),
        "wgan-gp": Spread(0.812, 0.008),
        "wgan-gp-sn": Spread(0.848, 0.007),
    }
)
HD95_2D: Mapping[str, Value] = MappingProxyType(
    {
        "real": 26.569,
        "dcgan": Spread(31.481, 0.559),
        "wgan-gp": Spread(30.242, 1.228),
        "wgan-gp-sn": Spread(30.001, 0.702),
    }
)
DICE_2D_SECOND = MappingProxyType(
    {"dcgan": Spread(0.792, 0.022), "wgan-gp": Spread(0.871, 0.003), "wgan-gp-sn": Spread(0.875, 0.010)}
)
HD95_2D_SECOND = MappingProxyType(
    {"dcgan": Spread(27.103, 0.288), "wgan-gp": Spread(27.307, 0.694), "wgan-gp-sn": Spread(25.119, 0.403)}
)
# [1] section 4, by number of second-site patients; 3 to 15 patients are in figure 3 only.
TRANSFER_SCRATCH = MappingProxyType({1: 0.84})
TRANSFER_PRETRAINED = MappingProxyType({1: 0.91})

# [2] Table 1: MedicalNet features. Table 2: millions of weights, MB on the GPU, hours of training.
FID_3D = MappingProxyType({"gp": 0.0381, "sn": 0.0322, "sn-mp": 0.0206, "c-sn-mp": 0.0244})
PRD_3D = MappingProxyType({"gp": 0.80, "sn": 0.82, "sn-mp": 0.87, "c-sn-mp": 0.86})
PARAMETERS_3D = MappingProxyType({"gp": 145, "sn": 145, "sn-mp": 145, "c-sn-mp": 308})
MEMORY_3D = MappingProxyType({"gp": 15_085, "sn": 14_333, "sn-mp": 9_013, "c-sn-mp": 21_351})
HOURS_3D = MappingProxyType({"gp": 78, "sn": 77, "sn-mp": 77, "c-sn-mp": 192})
# [2] Table 3 A (all vessels) and B (intracranial), and B.1 for the DP-WGANs: spread over patients; bAVD in voxels.
# The text beside Table 3 gives other means for the second site (c-sn-mp, all vessels: 0.810 and 1.301).
DICE_3D = MappingProxyType(
    {
        ("all", "held-out"): {
            "real": Spread(0.906, 0.016),
            "gp": Spread(0.793, 0.024),
            "sn": Spread(0.804, 0.019),
            "sn-mp": Spread(0.782, 0.020),
            "c-sn-mp": Spread(0.820, 0.017),
        },
        ("all", "second site"): {
            "real": Spread(0.883, 0.023),
            "gp": Spread(0.807, 0.03),
            "sn": Spread(0.796, 0.029),
            "sn-mp": Spread(0.778, 0.032),
            "c-sn-mp": Spread(0.809, 0.031),
        },
        ("intracranial", "held-out"): {
            "real": Spread(0.901, 0.019),
            "gp": Spread(0.827, 0.015),
            "sn": Spread(0.833, 0.013),
            "sn-mp": Spread(0.804, 0.020),
            "c-sn-mp": Spread(0.841, 0.016),
        },
        ("intracranial", "second site"): {
            "real": Spread(0.880, 0.024),
            "gp": Spread(0.829, 0.019),
            "sn": Spread(0.811, 0.023),
            "sn-mp": Spread(0.785, 0.027),
            "c-sn-mp": Spread(0.817, 0.028),
        },
    }
)
BAVD_3D = MappingProxyType(
    {
        ("all", "held-out"): {
            "real": Spread(0.339, 0.139),
            "gp": Spread(2.648, 1.189),
            "sn": Spread(2.425, 1.505),
            "sn-mp": Spread(2.334, 1.122),
            "c-sn-mp": Spread(1.859, 1.038),
        },
        ("all", "second site"): {
            "real": Spread(0.554, 0.221),
            "gp": Spread(1.895, 1.061),
            "sn": Spread(1.855, 0.929),
            "sn-mp": Spread(1.746, 0.894),
            "c-sn-mp": Spread(0.858, 0.91),
        },
        ("intracranial", "held-out"): {
            "real": Spread(0.294, 0.077),
            "gp": Spread(0.639, 0.132),
            "sn": Spread(0.606, 0.141),
            "sn-mp": Spread(0.784, 0.125),
            "c-sn-mp": Spread(0.508, 0.083),
        },
        ("intracranial", "second site"): {
            "real": Spread(0.507, 0.126),
            "gp": Spread(0.701, 0.195),
            "sn": Spread(0.716, 0.213),
            "sn-mp": Spread(0.822, 0.211),
            "c-sn-mp": Spread(0.611, 0.18),
        },
    }
)
# [2] section B: noise multiplier -> order of ε (RDP, unit: patch, δ = 1/training patches), Dice intracranial.
DP_3D = MappingProxyType(
    {0.1: (1e6, Spread(0.604, 0.048)), 0.3: (1e3, Spread(0.586, 0.045)), 0.5: (1e2, Spread(0.081, 0.013))}
)

# [3] Table 1, spread over patients: real, ε = ∞, and the best private model (noise multiplier 0.65, 29 epochs).
BEST_SIGMA, BEST_EPOCHS = 0.65, 29
DICE_DP = MappingProxyType(
    {"real": Spread(0.89, 0.02), "noise-free": Spread(0.84, 0.02), "best": Spread(0.75, 0.04)}
)
DICE_DP_SECOND = MappingProxyType(
    {"real": Spread(0.90, 0.02), "noise-free": Spread(0.88, 0.02), "best": Spread(0.69, 0.04)}
)
# [3] section 4, FID to training patients, by the noise multiplier of 50 epochs (0.8: ε 5.7; 0.65: 10.2).
FID_DP = MappingProxyType({None: 62.0, 0.8: 244.0, 0.65: 228.0})

# [4] Table 1 and section 3.3: DSC in percent, spread over epochs of one training, by use and translator.
LESIONS = MappingProxyType(
    {
        ("clinical", ""): Spread(68.7, 2.3),
        ("10 clinical", ""): Spread(8.3, 5.3),
        ("50 clinical", ""): Spread(16.4, 3.2),
        ("clinical + drawn", "pix2pix-10"): Spread(79.4, 1.6),
        ("clinical + drawn", "pix2pix-100"): Spread(73.5, 1.9),
        ("clinical + drawn", "spade"): Spread(78.1, 1.8),
        ("drawn", "pix2pix-10"): Spread(50.8, 3.1),
        ("drawn", "pix2pix-100"): Spread(58.0, 1.9),
        ("drawn", "spade"): Spread(54.2, 3.0),
        ("drawn, tuned on 10", "pix2pix-10"): Spread(62.1, 1.8),
        ("drawn, tuned on 10", "pix2pix-100"): Spread(65.1, 2.7),
        ("drawn, tuned on 10", "spade"): Spread(67.1, 1.5),
        ("drawn, tuned on 50", "pix2pix-10"): Spread(69.2, 1.9),
        ("drawn, tuned on 50", "pix2pix-100"): Spread(73.7, 1.9),
        ("drawn, tuned on 50", "spade"): Spread(70.5, 1.3),
    }
)
READERS = 76.9  # [4] two human readers, test set

# [5] section 3: SSIM of whole slices that the text gives, by map and architecture: of acute stroke, and of the
# second site after fine-tuning.
MAPS_ACUTE = MappingProxyType(
    {
        ("cbv", "temp-pix2pix"): 0.986,
        ("tmax", "temp-pix2pix"): 0.92,
        ("tmax", "pix2pix"): 0.86,
        ("ttp", "temp-pix2pix"): 0.95,
        ("ttp", "pix2pix"): 0.91,
    }
)
MAPS_SECOND_SITE = MappingProxyType(
    {
        ("mtt", "temp-pix2pix"): 0.84,
        ("mtt", "pix2pix"): 0.78,
        ("ttp", "temp-pix2pix"): 0.86,
        ("ttp", "pix2pix"): 0.82,
    }
)
