"""`python -m benchmarks.osipi dsc_data.csv`: flow and volume of OSIPI's simulated tissue, against the truth.

The file is `dsc_data.csv` of OSIPI/DCE-DSC-MRI_CodeCollection (Apache-2.0): 14 cases of known CBF and CBV with
their artery, made without kH and ρ and by a left Riemann sum at TR, so that CBV by areas must come out high.
OSIPI's own test passes within 15 + 10 % of CBF, which says little; slope and correlation say more.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from shared.errors import CohortError
from shared.imaging.perfusion.blood import Blood
from shared.imaging.perfusion.deconvolution import Deconvolution, Method, Operator
from shared.imaging.perfusion.maps import Artery, perfusion
from shared.imaging.scan import Role

Values = NDArray[np.float64]

BARE = Blood(haematocrit_ratio=1.0, density=1.0)  # as the cases were made
WAYS = (
    Deconvolution(),
    Deconvolution(operator=Operator.RECTANGULAR),
    Deconvolution(limit=0.095),  # Wu et al. (2003), at high signal-to-noise ratio
    Deconvolution(Method.CSVD),
    Deconvolution(Method.SSVD, limit=0.1),
)


@dataclass(frozen=True)
class Case:
    """One simulated tissue."""

    tissue: Values  # (t,)
    artery: Artery
    cbf: float
    cbv: float


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def main(file: Path) -> None:
    """Print slope, correlation and errors for several ways of deconvolution; the first is the default."""
    cases = read(file)
    table = Table("method", "limit", "operator", title=f"{len(cases)} cases, CBF in ml/100 g/min", box=SIMPLE_HEAD)
    for heading in ("slope", "r", "MAE", "bias", "passed", "MAE CBV"):
        table.add_column(heading, justify="right")
    for how in WAYS:
        table.add_row(how.method.value, f"{how.cut:g}", how.operator.value, *figures(cases, how))
    Console(highlight=False).print(table)


def read(file: Path) -> list[Case]:
    """Return the cases of a file.

    Raises:
        CohortError: it is not laid out as OSIPI's.
    """
    try:
        with file.open(newline="") as rows:
            return [_case(row) for row in csv.DictReader(rows)]
    except (KeyError, ValueError) as err:
        raise CohortError(f"{file}: not OSIPI's dsc_data.csv ({err!r}); take it from their repository") from err


def figures(cases: list[Case], how: Deconvolution) -> list[str]:
    """Return the row of one way."""
    found = [perfusion(case.tissue[None], case.artery, how, BARE) for case in cases]
    flow, volume = (np.array([maps[role][0] for maps in found]) for role in (Role.CBF, Role.CBV))
    cbf, cbv = (np.array([getattr(case, name) for case in cases]) for name in ("cbf", "cbv"))
    error, within = flow - cbf, np.abs(flow - cbf) <= 15 + 0.1 * cbf
    slope, r = np.polyfit(cbf, flow, 1)[0], np.corrcoef(cbf, flow)[0, 1]
    return [
        f"{slope:.2f}",
        f"{r:.3f}",
        f"{np.abs(error).mean():.1f}",
        f"{error.mean():+.1f}",
        f"{within.sum()}/{len(cases)}",
        f"{np.abs(volume - cbv).mean():.2f}",
    ]


def _case(row: dict[str, str]) -> Case:
    artery = Artery(_numbers(row["C_aif"]), float(row["tr"]))
    return Case(_numbers(row["C_tis"]), artery, float(row["cbf"]), float(row["cbv"]))


def _numbers(text: str) -> Values:
    return np.array(text.split(), dtype=np.float64)


if __name__ == "__main__":
    main()
