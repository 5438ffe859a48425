"""What is published is whole, signed, claims its own privacy, and is refused when it must be."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from server.dataset import publication
from server.dataset.files.cases import check_cases, write_cases
from server.dataset.files.contents import MEANING
from server.dataset.files.origin import USUAL
from server.dataset.files.seal import NAMESPACE, SIGNATURE, SIGNERS, SUMS, sealed_by
from server.dataset.gate import rules
from server.dataset.publication import publish, write_unsafe_samples
from server.dataset.releasing import release
from server.run import sampling
from server.run.drawing import Drawer
from server.run.folder import RunFolder
from shared.errors import LedgerError, PublicationRefused, UsageError
from shared.imaging.case_names import stem
from shared.imaging.scan import Role, Scan, Timing
from shared.imaging.series import read_series
from shared.ledger.events import Refuse, Release
from shared.ledger.log import event_bytes
from shared.ledger.store import LedgerStore
from shared.privacy.accounting import cost
from shared.privacy.events import NoiseSource, NonPrivate, Spending, Unit
from shared.sshsig import ssh_sign, ssh_signer
from tests.server.ledgers import COORDINATOR, DELTA, RUN_ID, Story, gaussian, identity, store_at

NOTHING_NEW = ["federation.json", "home", "plan.json"]
AFFINE = np.diag([0.6, 0.6, 0.8, 1.0])
TIMING = Timing(1.5, 0.03)


def scans(count: int = 3, *, bad: float = 0.0) -> Iterator[Scan]:
    rng = np.random.default_rng(5)
    for _ in range(count):
        image = rng.random((12, 10, 3), dtype=np.float32) + np.float32(bad)
        yield Scan({Role.ANGIO: image, Role.VESSELS: (image > 0.8).astype(np.float32)}, AFFINE)


def released(folder: Path, story: Story | None = None, count: int = 3) -> Path:
    store = store_at(folder, (story or Story()).events())
    publish(RunFolder(folder), folder / "dataset", scans(count), store=store)
    store.close()
    return folder / "dataset"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return released(tmp_path_factory.mktemp("run"))


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_an_anatomical_map_is_published_with_its_numbers_and_no_other_label_above_255(tmp_path: Path) -> None:
    anatomy = np.array([0, 2, 41, 192], np.float32).reshape(2, 2, 1)
    volumes = {Role.DWI: anatomy / 200, Role.ANATOMY: anatomy, Role.LESION: (anatomy == 41).astype(np.float32)}
    (case,) = write_cases(tmp_path, [Scan(volumes, AFFINE)], prefix="syn", description="")
    check_cases(tmp_path, [case])
    assert case.label_voxels == {Role.ANATOMY: 3, Role.LESION: 1}
    assert np.array_equal(nib.load(tmp_path / case.files[Role.ANATOMY]).get_fdata(), anatomy)
    volumes[Role.ANATOMY] = anatomy + 100
    with pytest.raises(PublicationRefused, match="whole number from 0 to 255"):
        write_cases(tmp_path, [Scan(volumes, AFFINE)], prefix="syn", description="")


def perfusion(timing: Timing | None = TIMING) -> Scan:
    rng = np.random.default_rng(5)
    series = rng.uniform(100, 200, (12, 10, 3, 24)).astype(np.float32)
    cbf = np.maximum(rng.uniform(-5, 60, (12, 10, 3)), 0).astype(np.float32)
    return Scan({Role.DSC: series, Role.CBF: cbf, Role.BRAIN: (cbf > 0).astype(np.float32)}, AFFINE, timing)


def test_a_series_is_published_with_its_timing_where_a_cohort_would_have_it(tmp_path: Path) -> None:
    scan = perfusion()
    (case,) = write_cases(tmp_path, [scan], prefix="syn", description="SYNTHETIC")
    check_cases(tmp_path, [case])
    file = tmp_path / case.files[Role.DSC]
    assert file == tmp_path / "sub-syn0001" / "perf" / "sub-syn0001_desc-synthetic_dsc.nii.gz"
    voxels, _, timing = read_series(file)
    np.testing.assert_array_equal(voxels, scan.volumes[Role.DSC])
    assert timing == scan.timing
    assert case.shape == (12, 10, 3)
    assert {Path(name).parent.name for name in case.files.values()} == {"perf"}


def test_a_data_card_says_what_every_kind_of_volume_means(tmp_path: Path) -> None:
    store = store_at(tmp_path, Story().events())
    publish(RunFolder(tmp_path), tmp_path / "dataset", [perfusion()], store=store)
    said = (tmp_path / "dataset" / "README.md").read_text()
    assert "- `cbf`: cerebral blood flow, ml/100 g/min" in said
    assert "- `dsc`: series of a contrast bolus" in said
    assert set(MEANING) == set(Role)


def test_a_published_series_that_reads_back_in_another_shape_is_refused(tmp_path: Path) -> None:
    (case,) = write_cases(tmp_path, [perfusion()], prefix="syn", description="")
    with pytest.raises(PublicationRefused, match="reads back differently"):
        check_cases(tmp_path, [replace(case, shape=(12, 10, 4))])


def test_a_series_that_nobody_could_read_is_not_written(tmp_path: Path) -> None:
    flat = perfusion()
    flat.volumes[Role.DSC] = flat.volumes[Role.DSC][..., 0]
    for scan, reason in ((perfusion(timing=None), "without its timing"), (flat, "differs from")):
        with pytest.raises(PublicationRefused, match=reason):
            write_cases(tmp_path, [scan], prefix="syn", description="")


def test_cases_are_written_as_they_were_drawn(dataset: Path) -> None:
    for number, scan in enumerate(scans(), start=1):
        name = f"sub-syn{number:04d}"
        for role, dtype in ((Role.ANGIO, np.float32), (Role.VESSELS, np.uint8)):
            image = nib.load(dataset / name / "anat" / f"{name}_{stem(role)}.nii.gz")
            assert image.get_data_dtype() == dtype
            assert np.array_equal(np.asarray(image.dataobj), scan.volumes[role])
            assert np.allclose(image.affine, AFFINE)
            assert image.header["descrip"].tobytes().rstrip(b"\0").decode() == f"SYNTHETIC willis {RUN_ID[:12]}"


def test_the_manifest_counts_what_is_in_the_files(dataset: Path) -> None:
    rows = json.loads((dataset / "manifest.json").read_text())
    for row, scan in zip(rows, scans(), strict=True):
        assert row["shape"] == list(scan.shape)
        assert row["spacing_mm"] == pytest.approx([0.6, 0.6, 0.8])
        assert row["label_voxels"] == {Role.VESSELS.value: int(scan.volumes[Role.VESSELS].sum())}
        assert all((dataset / file).exists() for file in row["files"].values())
    assert len((dataset / "manifest.tsv").read_text().splitlines()) == len(rows) + 1
    assert len((dataset / "participants.tsv").read_text().splitlines()) == len(rows) + 1


def test_the_data_set_carries_its_own_privacy(dataset: Path) -> None:
    about = json.loads((dataset / "dataset_description.json").read_text())
    expected = cost([Story().plan], DELTA)
    assert about["Synthetic"] is True
    assert about["DatasetType"] == "derivative"
    assert about["DifferentialPrivacy"]["maximum"]["text"] == str(expected)
    assert str(expected) in (dataset / "README.md").read_text()


def test_the_seal_is_checked_by_ordinary_tools(dataset: Path) -> None:
    keygen, sums = shutil.which("ssh-keygen"), shutil.which("sha256sum")
    if keygen is None or sums is None:
        pytest.skip("ssh-keygen or sha256sum is missing: the seal was NOT checked by tools that are not ours")
    subprocess.run([sums, "--quiet", "--strict", "-c", SUMS], cwd=dataset, check=True)
    options = ["-f", SIGNERS, "-I", "coordinator", "-n", NAMESPACE, "-s", SIGNATURE]
    command = [keygen, "-Y", "verify", *options]
    right, wrong = (dataset / SUMS).read_bytes(), (dataset / SUMS).read_bytes() + b"x"
    assert subprocess.run(command, cwd=dataset, input=right, check=False).returncode == 0
    assert subprocess.run(command, cwd=dataset, input=wrong, check=False).returncode != 0


def test_the_signature_names_its_key_and_nothing_else_passes(dataset: Path) -> None:
    message = (dataset / SUMS).read_bytes()
    assert sealed_by(dataset) == COORDINATOR.public_key
    signed = ssh_sign(identity("somebody"), NAMESPACE, message)
    assert ssh_signer(signed, NAMESPACE, message) == identity("somebody").public_key
    assert ssh_signer(signed, "another-namespace", message) is None
    assert ssh_signer(signed, NAMESPACE, message + b"x") is None
    assert ssh_signer(signed[:200], NAMESPACE, message) is None
    assert ssh_signer("", NAMESPACE, message) is None


def test_the_same_scans_give_the_same_bytes(dataset: Path, tmp_path: Path) -> None:
    assert bytes_of(released(tmp_path)) == bytes_of(dataset)


def test_the_release_is_recorded_once_also_when_repeated(tmp_path: Path) -> None:
    first = released(tmp_path)
    before = bytes_of(first)
    shutil.rmtree(first)
    store = LedgerStore(tmp_path / "home" / "ledger.sqlite", create=False)
    publish(RunFolder(tmp_path), first, scans(), store=store)
    releases = [s.event for s in store.events if isinstance(s.event, Release)]
    assert len(releases) == 1
    assert releases[0].cases == 3
    assert bytes_of(first) == before


def test_a_crash_leaves_no_data_set_and_publishing_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: Path
) -> None:
    store = store_at(tmp_path, Story().events())
    out = tmp_path / "dataset"

    def crash(*_: object) -> None:
        raise OSError("no space left")

    steps = [(publication, name) for name in ("write_files", "seal", "check_files", "record_gate", "place")]
    steps += [
        (release, name) for name in ("_record", "write_proof", "export_ledger", "write_report", "move_durably")
    ]
    for where, step in steps:
        with monkeypatch.context() as patch:
            patch.setattr(where, step, crash)
            with pytest.raises(OSError, match="no space left"):
                publish(RunFolder(tmp_path), out, scans(), store=store)
        assert not out.exists()
    publish(RunFolder(tmp_path), out, scans(), store=store)
    assert bytes_of(out) == bytes_of(dataset)


REFUSED = {
    "patch": (Story(plan=gaussian(4).model_copy(update={"unit": Unit.PATCH})), "patch, not the patient"),
    "non-private": (Story(plan=Spending.of(NonPrivate(steps=4))), "without noise"),
    "unsettled": (Story(settled=("north", "west")), "not settled yet: south"),
    "nothing reserved": (Story(sites=(), settled=(), rounds_done=0), "every site"),
    "no round": (Story(rounds_done=0), "no round ended"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_may_not_be_published_is_refused(case: str, tmp_path: Path) -> None:
    story, reason = REFUSED[case]
    store = store_at(tmp_path, story.events())
    with pytest.raises(PublicationRefused, match=reason):
        publish(RunFolder(tmp_path), tmp_path / "dataset", scans(), store=store)
    assert sorted(p.name for p in tmp_path.iterdir()) == NOTHING_NEW
    assert not any(isinstance(s.event, Release) for s in store.events)


def test_a_refused_run_is_not_published(tmp_path: Path) -> None:
    refusal = Refuse(run=RUN_ID, site="west", by="site", round=0, code="policy", reason="over the cap")
    events = [e for e in Story(rounds_done=0).events() if getattr(e, "site", "") != "west" or e.type == "enrol"]
    store = store_at(tmp_path, [*events, refusal])
    with pytest.raises(PublicationRefused, match="a site refused it"):
        publish(RunFolder(tmp_path), tmp_path / "dataset", scans(), store=store)


def test_an_altered_account_is_not_published(tmp_path: Path) -> None:
    """The rules read the ledger; a ledger that contradicts itself is refused whatever it says."""
    story = Story()
    more = story.settle("north").model_copy(update={"spending": gaussian(99)})
    store = store_at(tmp_path, [*story.events(), more])
    with pytest.raises(PublicationRefused, match="north settled more than it reserved"):
        publish(RunFolder(tmp_path), tmp_path / "dataset", scans(), store=store)


def test_broken_cases_are_refused(tmp_path: Path) -> None:
    store = store_at(tmp_path, Story().events())
    wrong = [Scan({Role.VESSELS: np.full((2, 2, 2), 0.5, np.float32)}, AFFINE)]
    for bad, reason in ((scans(bad=np.nan), "not finite"), (wrong, "neither 0 nor 1"), ([], "no cases")):
        with pytest.raises(PublicationRefused, match=reason):
            publish(RunFolder(tmp_path), tmp_path / "dataset", bad, store=store)
    assert sorted(p.name for p in tmp_path.iterdir()) == NOTHING_NEW


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    store = store_at(tmp_path, Story().events())
    (tmp_path / "dataset").mkdir()
    with pytest.raises(PublicationRefused, match="exists already"):
        publish(RunFolder(tmp_path), tmp_path / "dataset", scans(), store=store)


def test_seeded_noise_is_declared_on_the_card(tmp_path: Path) -> None:
    out = released(tmp_path, Story(noise_source=NoiseSource.SEEDED))
    assert "**Simulation.**" in (out / "README.md").read_text()
    about = json.loads((out / "dataset_description.json").read_text())
    assert about["DifferentialPrivacy"]["noise_source"] == "seeded"


def test_a_simulation_cannot_pass_for_a_release(tmp_path: Path) -> None:
    """Its name, every image and the ledger say so."""
    out = released(tmp_path, Story(noise_source=NoiseSource.SEEDED))
    assert json.loads((out / "dataset_description.json").read_text())["Name"].startswith(
        "SIMULATION, not a release"
    )
    assert "# SIMULATION, not a release" in (out / "README.md").read_text()
    for path in out.rglob("*.nii.gz"):
        assert nib.load(path).header["descrip"].tobytes().startswith(b"SIMULATION, NOT A RELEASE")
    store = RunFolder(tmp_path).home.open_ledger()
    store.close()
    assert [s.event.kind for s in store.events if isinstance(s.event, Release)] == ["simulation"]


def test_a_cost_on_which_accountants_disagree_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_at(tmp_path, Story().events())
    monkeypatch.setattr(rules, "disagreements_or_none", lambda: lambda spent, delta: ["PLD and PRV differ"])
    with pytest.raises(PublicationRefused, match="PLD and PRV differ"):
        publish(RunFolder(tmp_path), tmp_path / "dataset", scans(), store=store)
    monkeypatch.setattr(rules, "disagreements_or_none", lambda: None)
    with pytest.raises(PublicationRefused, match="not installed; install it"):
        publish(RunFolder(tmp_path), tmp_path / "dataset", scans(), store=store)
    assert not (tmp_path / "dataset").exists()
    assert not any(isinstance(s.event, Release) for s in store.events)


def test_a_query_has_nothing_to_publish(tmp_path: Path) -> None:
    store = store_at(tmp_path, Story(recipe="query-dice").events())
    with pytest.raises(PublicationRefused, match="it is a query"):
        publish(RunFolder(tmp_path), tmp_path / "dataset", scans(), store=store)


def test_what_is_worth_less_than_the_free_simulator_is_published_only_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_at(tmp_path, Story().events()).close()
    folder = RunFolder(tmp_path)
    drawer = Drawer(folder, folder.plan(), ("generator",), lambda *asked: scans(), USUAL, "study so-and-so")
    monkeypatch.setattr(sampling, "drawer_of", lambda path: drawer)

    def draw(**said: bool) -> None:
        sampling.publish_more(tmp_path, tmp_path / "more", count=3, seed=1, source="", **said)

    with pytest.raises(PublicationRefused, match=r"study so-and-so.*--publish-anyway"):
        draw()
    assert not (tmp_path / "more").exists()
    draw(anyway=True)
    assert (tmp_path / "more" / SIGNATURE).exists()


def test_unsafe_samples_say_so_everywhere_and_are_not_signed(tmp_path: Path) -> None:
    store = store_at(tmp_path, Story(plan=Spending.of(NonPrivate(steps=4))).events())
    out = write_unsafe_samples(RunFolder(tmp_path), tmp_path / "look", scans(), store=store)
    assert (out / "README.md").read_text().startswith("NOT PRIVATE - NOT FOR PUBLICATION\n")
    assert sorted(p.name for p in out.iterdir() if p.is_dir()) == [f"sub-unsafe000{i}" for i in (1, 2, 3)]
    for path in out.rglob("*.nii.gz"):
        assert b"NOT PRIVATE" in nib.load(path).header["descrip"].tobytes()
    assert not any((out / name).exists() for name in (SUMS, SIGNATURE, "dataset_description.json"))
    assert not any(isinstance(s.event, Release) for s in store.events)


def test_a_label_without_an_image_can_be_published(tmp_path: Path) -> None:
    store = store_at(tmp_path, Story().events())
    mask = np.zeros((6, 6, 6), np.float32)
    mask[2:4, 2:4, 2:4] = 1
    scan = Scan({Role.LESION: mask}, AFFINE)
    out = publish(RunFolder(tmp_path), tmp_path / "dataset", [scan], store=store).path
    rows = json.loads((out / "manifest.json").read_text())
    assert rows[0]["label_voxels"] == {Role.LESION.value: 8}


def test_a_run_folder_without_its_plan_is_an_error(tmp_path: Path) -> None:
    store = store_at(tmp_path, Story().events())
    (tmp_path / "plan.json").unlink()
    with pytest.raises(UsageError, match="no plan was agreed yet"):
        publish(RunFolder(tmp_path), tmp_path / "dataset", scans(), store=store)


def test_a_run_that_the_ledger_does_not_know_is_an_error(tmp_path: Path) -> None:
    store = store_at(tmp_path, Story().events())
    plan = Story().run().model_copy(update={"run": "0" * 64})
    (tmp_path / "plan.json").write_bytes(event_bytes(plan))
    with pytest.raises(LedgerError, match="run 000000000000 is not in this ledger"):
        publish(RunFolder(tmp_path), tmp_path / "dataset", scans(), store=store)
