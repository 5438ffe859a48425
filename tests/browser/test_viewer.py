"""The viewer of a data set shows what the files hold: seen in a browser, pixel by pixel, without any network."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from server.dataset.publication import publish
from server.run.folder import RunFolder
from shared.imaging.scan import Role, Scan
from shared.privacy.events import NoiseSource
from simulations.hospitals.dwi import dwi_patient
from simulations.hospitals.lesions import lesion_patient
from simulations.hospitals.tof import tof_patient
from tests.browser.conftest import opened
from tests.browser.pictures import axial, canvas, coronal, likeness, seen
from tests.server.ledgers import Story, store_at

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

CASES = 3


def dataset_of(folder: Path, scans: list[Scan], story: Story | None = None) -> Path:
    store = store_at(folder, (story or Story()).events())
    publish(RunFolder(folder), folder / "dataset", scans, store=store)
    store.close()
    return folder / "dataset"


@pytest.fixture(scope="module")
def strokes() -> list[Scan]:
    """Return volumes with an image and two labels; half as wide as deep, so that proportions show."""
    scans = [dwi_patient(seed, 1, (48, 64, 12))[0] for seed in range(40, 60)]
    return [scan for scan in scans if scan.volumes[Role.LESION].any()][:CASES]


@pytest.fixture(scope="module")
def stroke_set(strokes: list[Scan], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset_of(tmp_path_factory.mktemp("strokes"), strokes)


@pytest.fixture(scope="module")
def patches() -> list[Scan]:
    """Return 2D patches: volumes of one slice."""
    whole = [tof_patient(seed, 1, (64, 64, 24))[0] for seed in range(CASES)]
    return [Scan({role: v[:, :, 10:11] for role, v in scan.volumes.items()}, np.eye(4)) for scan in whole]


@pytest.fixture(scope="module")
def patch_set(patches: list[Scan], tmp_path_factory: pytest.TempPathFactory) -> Path:
    story = Story(noise_source=NoiseSource.SEEDED)
    return dataset_of(tmp_path_factory.mktemp("patches"), patches, story)


@pytest.fixture(scope="module")
def lesions() -> list[Scan]:
    """Return masks without any image."""
    return [lesion_patient(seed, 1) for seed in range(CASES)]


@pytest.fixture(scope="module")
def lesion_set(lesions: list[Scan], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset_of(tmp_path_factory.mktemp("lesions"), lesions)


@pytest.fixture
def stroke_page(chromium: "Browser", stroke_set: Path) -> Iterator["Page"]:
    with opened(chromium, stroke_set) as page:
        ready(page)
        yield page


def ready(page: "Page") -> None:
    page.wait_for_selector('#viewer[aria-busy="false"]')


def switch(page: "Page", label: str, on: bool) -> None:
    page.locator("#labels label").filter(has_text=label).locator("input").set_checked(on)


def changed(before: NDArray[np.float64], after: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(np.abs(before - after).max(axis=2) > 8)


def fullest(mask: NDArray[np.float32], axis: int) -> int:
    """Return the slice with most of a mask; of equals the one nearest to the middle."""
    counts = (mask > 0).sum(axis=tuple({0, 1, 2} - {axis}))
    best = np.flatnonzero(counts == counts.max())
    return int(best[np.abs(best - counts.size // 2).argmin()])


def test_a_slice_is_shown_as_it_is_bright_where_it_is_bright_and_with_left_on_the_left(
    stroke_page: "Page", strokes: list[Scan]
) -> None:
    switch(stroke_page, "lesion", False)
    image, lesion = strokes[0].volumes[Role.DWI], strokes[0].volumes[Role.LESION]
    expected = axial(image, fullest(lesion, 2))
    shown = seen(stroke_page, expected.shape, strokes[0].spacing[1::-1])
    assert likeness(shown, expected) > 0.98
    assert likeness(shown, expected[:, ::-1]) < 0.96  # heads are nearly symmetric
    assert likeness(shown, expected[::-1]) < 0.9
    assert "left is on the left" in stroke_page.locator("#below").inner_text()


def test_other_planes_keep_their_proportions(stroke_page: "Page", strokes: list[Scan]) -> None:
    switch(stroke_page, "lesion", False)
    stroke_page.select_option("#view", label="coronal")
    image, lesion = strokes[0].volumes[Role.DWI], strokes[0].volumes[Role.LESION]
    expected = coronal(image, fullest(lesion, 1))
    shown = seen(stroke_page, expected.shape, (strokes[0].spacing[2], strokes[0].spacing[0]))
    assert likeness(shown, expected) > 0.98
    assert likeness(shown, expected[:, ::-1]) < 0.96


@pytest.mark.parametrize(("title", "role"), [("lesion", Role.LESION), ("anatomical", Role.ANATOMY)])
def test_switching_a_label_changes_the_pixels_of_its_voxels_and_no_others(
    stroke_page: "Page", strokes: list[Scan], title: str, role: Role
) -> None:
    for label in ("lesion", "anatomical"):
        switch(stroke_page, label, False)
    mask = axial(strokes[0].volumes[role], fullest(strokes[0].volumes[Role.LESION], 2)) > 0
    before = seen(stroke_page, mask.shape, strokes[0].spacing[1::-1])
    switch(stroke_page, title, True)
    after = seen(stroke_page, mask.shape, strokes[0].spacing[1::-1])
    assert np.array_equal(changed(before, after), mask)
    switch(stroke_page, title, False)
    assert np.array_equal(seen(stroke_page, mask.shape, strokes[0].spacing[1::-1]), before)


def test_every_structure_of_a_map_has_one_colour_of_its_own(stroke_page: "Page", strokes: list[Scan]) -> None:
    switch(stroke_page, "lesion", False)
    switch(stroke_page, "anatomical", True)
    stroke_page.locator("#opacity").fill("100")
    numbers = axial(strokes[0].volumes[Role.ANATOMY], fullest(strokes[0].volumes[Role.LESION], 2))
    shown = seen(stroke_page, numbers.shape, strokes[0].spacing[1::-1])
    colours = {n: {tuple(c) for c in shown[numbers == n]} for n in np.unique(numbers[numbers > 0])}
    assert len(colours) > 3
    assert all(len(found) == 1 for found in colours.values())
    assert len(set.union(*colours.values())) == len(colours)


def test_opacity_fades_a_label(stroke_page: "Page", strokes: list[Scan]) -> None:
    mask = axial(strokes[0].volumes[Role.LESION], fullest(strokes[0].volumes[Role.LESION], 2)) > 0
    strength = []
    for percent in ("100", "30", "0"):
        stroke_page.locator("#opacity").fill(percent)
        shown = seen(stroke_page, mask.shape, strokes[0].spacing[1::-1])[mask]
        strength.append(np.ptp(shown, axis=1).mean())  # the image is grey, the label is not
    assert strength[0] > 2 * strength[1] > 0
    assert strength[2] < 1


def test_another_case_is_another_picture(stroke_page: "Page", strokes: list[Scan]) -> None:
    switch(stroke_page, "lesion", False)
    for number, scan in enumerate(strokes):
        stroke_page.select_option("#case", str(number))
        ready(stroke_page)
        slices = [axial(one.volumes[Role.DWI], fullest(scan.volumes[Role.LESION], 2)) for one in strokes]
        shown = seen(stroke_page, slices[0].shape, scan.spacing[1::-1])
        alike = [likeness(shown, expected) for expected in slices]
        assert int(np.argmax(alike)) == number
        assert alike[number] > 0.98
    assert not stroke_page.locator("#labels input").last.is_checked()  # a choice stays when the case changes


def test_the_keyboard_reaches_every_control_and_moves_through_the_slices(
    stroke_page: "Page", strokes: list[Scan]
) -> None:
    switch(stroke_page, "lesion", False)
    stroke_page.locator("#case").focus()
    reached = []
    for _ in range(6):
        reached.append(stroke_page.evaluate("document.activeElement.id || document.activeElement.type"))
        stroke_page.keyboard.press("Tab")
    assert reached == ["case", "view", "slice", "checkbox", "checkbox", "opacity"]
    stroke_page.locator("#slice").focus()
    stroke_page.keyboard.press("ArrowRight")
    k = fullest(strokes[0].volumes[Role.LESION], 2) + 1
    expected = axial(strokes[0].volumes[Role.DWI], k)
    assert likeness(seen(stroke_page, expected.shape, strokes[0].spacing[1::-1]), expected) > 0.98
    assert stroke_page.locator("#number").inner_text() == f"{k + 1} of 12"


def test_every_control_has_its_label(stroke_page: "Page") -> None:
    unnamed = "[...document.querySelectorAll('select, input')].filter(e => !e.labels.length).map(e => e.id)"
    assert stroke_page.evaluate(unnamed) == []
    assert stroke_page.locator("#canvas").get_attribute("aria-label") == "sub-syn0001, axial"


def test_the_value_read_out_is_that_of_the_file(stroke_page: "Page", strokes: list[Scan]) -> None:
    volumes = strokes[0].volumes
    i, j, k = (fullest(volumes[Role.LESION], axis) for axis in range(3))
    read = stroke_page.locator("#here").inner_text()
    assert f"image {float(f'{volumes[Role.DWI][i, j, k]:.4g}'):g}," in read
    assert f"anatomical structures {volumes[Role.ANATOMY][i, j, k]:g}" in read


def test_three_dimensions_show_the_lesion(stroke_page: "Page") -> None:
    stroke_page.select_option("#view", label="3-D")
    stroke_page.locator("#opacity").fill("100")
    with_lesion = canvas(stroke_page)
    switch(stroke_page, "lesion", False)
    without = canvas(stroke_page)
    assert (without.max(axis=2) > 40).mean() > 0.05, "there is no head"
    assert 1e-4 < changed(with_lesion, without).mean() < 0.2


def test_a_patch_is_a_picture_not_a_cube(chromium: "Browser", patch_set: Path, patches: list[Scan]) -> None:
    with opened(chromium, patch_set) as page:
        ready(page)
        assert not page.locator("#view").is_visible()
        assert not page.locator("#slice").is_visible()
        mask = axial(patches[0].volumes[Role.VESSELS], 0) > 0
        drawn = seen(page, mask.shape)
        switch(page, "arteries", False)
        shown = seen(page, mask.shape)
        expected = axial(patches[0].volumes[Role.ANGIO], 0)
        assert likeness(shown, expected) > 0.98
        assert likeness(shown, expected[:, ::-1]) < 0.9
        assert mask.any()
        assert np.array_equal(changed(drawn, shown), mask)


def test_masks_without_an_image_are_shown_on_black(
    chromium: "Browser", lesion_set: Path, lesions: list[Scan]
) -> None:
    with opened(chromium, lesion_set) as page:
        ready(page)
        volume = lesions[0].volumes[Role.LESION]
        mask = axial(volume, fullest(volume, 2)) > 0
        assert np.array_equal(seen(page, mask.shape, lesions[0].spacing[1::-1]).max(axis=2) > 60, mask)
        switch(page, "lesion", False)
        assert seen(page, mask.shape, lesions[0].spacing[1::-1]).max() < 20


def test_a_simulation_says_so_first(chromium: "Browser", patch_set: Path, stroke_set: Path) -> None:
    with opened(chromium, patch_set) as page:
        alarm = page.locator("h1 + .alarm")
        assert "SIMULATION, not a release" in alarm.inner_text()
        assert alarm.evaluate("e => getComputedStyle(e).color") == "rgb(166, 27, 27)"
    with opened(chromium, stroke_set) as page:
        assert page.locator(".alarm:visible").count() == 0


def test_without_script_the_page_shows_card_claim_and_contact_sheet(chromium: "Browser", stroke_set: Path) -> None:
    with opened(chromium, stroke_set, script=False) as page:
        assert page.get_by_text("The viewer needs JavaScript").is_visible()
        assert not page.locator("#viewer").is_visible()
        assert page.get_by_role("heading", name="What this is").is_visible()
        assert page.locator("#privacy").get_by_text("unit: patient").first.is_visible()
        sheet = page.locator("#contact-sheet").bounding_box()
        assert sheet is not None
        assert sheet["height"] > 50


def test_without_webgl_the_page_says_so(chromium: "Browser", stroke_set: Path) -> None:
    blind = "HTMLCanvasElement.prototype.getContext = () => null"
    with opened(chromium, stroke_set, before=blind) as page:
        page.locator("#failure").wait_for(state="visible")
        assert "WebGL 2" in page.locator("#failure").inner_text()


def test_a_narrow_screen_needs_no_scrolling_sideways(chromium: "Browser", stroke_set: Path) -> None:
    with opened(chromium, stroke_set, width=390) as page:
        ready(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        stage = page.locator("#canvas").bounding_box()
        assert stage is not None
        assert stage["width"] > 330


@pytest.mark.parametrize(
    ("attempt", "directive"),
    [
        ("fetch('https://example.org/').catch(() => 0)", "connect-src"),
        ("new Image().src = 'https://example.org/a.png'", "img-src"),
        ("document.head.append(Object.assign(document.createElement('script'), {text: '1'}))", "script-src-elem"),
        ("try { new Worker('data:text/javascript,1') } catch {}", "worker-src"),
    ],
)
def test_the_page_forbids_itself_the_network(
    chromium: "Browser", stroke_set: Path, attempt: str, directive: str
) -> None:
    context = chromium.new_context(offline=True)
    page = context.new_page()
    page.goto((stroke_set / "index.html").as_uri())
    ready(page)
    told = (
        "new Promise(done => { addEventListener('securitypolicyviolation', e => done(e.effectiveDirective)); "
        f"{attempt} }})"
    )
    assert page.evaluate(told) == directive
    context.close()
