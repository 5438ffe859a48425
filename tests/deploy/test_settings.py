"""Settings that people edit: whatever they get wrong is named with file, line and remedy."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from client.policy import Policy, read_policy
from deploy.coordinator.home import CoordinatorSettings
from deploy.settings import Settings, change_setting, read_settings, settings_from, write_settings
from deploy.site.home import SiteSettings
from shared.errors import PolicyRefusal, UsageError

CENTRE = CoordinatorSettings(name="stroke-net", hosts=("centre.example.org", "10.0.0.1", "::1"))
SITE = SiteSettings(name="hospital-a", cohort=Path("/data/tof"))


class Sample(Settings):
    """One key of every type."""

    text: str = Field(description="Any text at all.")
    texts: tuple[str, ...] = Field(default=(), description="Any texts.")
    number: float = Field(default=1.5, description="A number.")
    count: int = Field(default=3, description="A count.")
    flag: bool = Field(default=False, description="Yes or no.")
    unset: int | None = Field(default=None, description="May be left out.")


def complaint(path: Path, text: str, kind: type[Settings] = CoordinatorSettings) -> str:
    """Write a settings file, assert that it is refused in one line, and return the line."""
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as refusal:
        read_settings(path, kind)
    return str(refusal.value)


GOOD = '# the centre\nname = "stroke-net"\nhosts = ["centre.example.org"]\n'
WRONG = {  # what is added to four good lines -> the line named, and words of the remedy
    "an unknown key": ("prot = 8443", 5, "no setting is called prot; there are name, hosts, listen, port"),
    "a wrong type": ('port = "many"', 5, "port: Input should be a valid integer"),
    "a port that is none": ("port = 70000", 5, "Port of the front: the only one to open"),
    "a wrong choice": ('front = "apache"', 5, "'builtin', 'nginx' or 'external'"),
    "an unknown table": ("[front]\nport = 3", 5, "front: "),
    "a table for a value": ("[port]\nnumber = 3", 5, "port: "),
    "a dotted key": ("port.number = 3", 5, "port: "),
    "a quoted key": ('"port" = -1', 5, "port: Input should be greater than or equal to 1"),
    "a key of comments, too": ("# port = 3\nport = 0", 6, "port: "),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_named_with_its_line(kind: str, tmp_path: Path) -> None:
    added, line, words = WRONG[kind]
    path = tmp_path / "coordinator.toml"
    said = complaint(path, f"{GOOD}\n{added}\n")
    assert said.startswith(f"{path}:{line}: ")
    assert words in said


HOSTS = [
    "centre.example.org:8443",
    "https://centre",
    "",
    "a b",
    "300.1.1.1",
    "fe80::1%eth0",
    "-a",
    "*.example.org",
]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_is_a_name_or_an_address_without_a_port(host: str, tmp_path: Path) -> None:
    said = complaint(tmp_path / "c.toml", GOOD.replace("centre.example.org", host))
    assert said.startswith(f"{tmp_path}/c.toml:3: hosts: ")
    assert "neither a DNS name nor an IP address" in said


@pytest.mark.parametrize("address", ["centre", "https://centre:8443", "centre:port", "centre:8443/", ":1"])
def test_a_hospital_names_the_centre_with_its_port(address: str, tmp_path: Path) -> None:
    text = f'name = "a"\ncohort = "/data"\ncoordinator = "{address}"\n'
    said = complaint(tmp_path / "s.toml", text, SiteSettings)
    assert ":3: coordinator: " in said
    assert "it is: host:port of the coordinating centre" in said


PROXIES = [
    "proxy:3128",
    "https://proxy:3128",
    "http://proxy",
    "http://a b:3128",
    "none",
    "http://user:word@proxy:3128",
    "http://user@proxy:3128",
]


@pytest.mark.parametrize("proxy", PROXIES)
def test_a_proxy_is_an_http_address_with_its_port(proxy: str, tmp_path: Path) -> None:
    said = complaint(tmp_path / "s.toml", f'name = "a"\ncohort = "/data"\nproxy = "{proxy}"\n', SiteSettings)
    assert ":3: proxy: " in said
    assert "user and a password cannot be used" in said
    (tmp_path / "s.toml").write_text('name = "a"\ncohort = "/data"\nproxy = "http://proxy:3128"\n')
    assert read_settings(tmp_path / "s.toml", SiteSettings).proxy == "http://proxy:3128"


def test_no_hospital_is_called_as_the_ledger_calls_the_centre(tmp_path: Path) -> None:
    said = complaint(tmp_path / "s.toml", 'name = "coordinator"\ncohort = "/data"\n', SiteSettings)
    assert ":1: name: " in said


def test_what_is_missing_is_named_with_what_it_is(tmp_path: Path) -> None:
    said = complaint(tmp_path / "c.toml", 'name = "x"\n')
    assert "hosts is missing; add it: Names and addresses by which hospitals reach the centre" in said


@pytest.mark.parametrize("text", ["name stroke-net", 'name = "a"\nname = "b"', 'hosts = ["a"'])
def test_what_is_not_toml_is_said_with_its_place(text: str, tmp_path: Path) -> None:
    said = complaint(tmp_path / "c.toml", text)
    assert "not valid TOML" in said
    assert "line" in said or "end of document" in said


def test_a_file_that_is_missing_or_unreadable_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"c\.toml: missing; name the right folder with --home"):
        read_settings(tmp_path / "c.toml", CoordinatorSettings)
    (tmp_path / "c.toml").mkdir()
    with pytest.raises(UsageError, match=r"c\.toml: cannot be read \(Is a directory\)"):
        read_settings(tmp_path / "c.toml", CoordinatorSettings)
    (tmp_path / "d.toml").write_bytes("name = 'größer'".encode("latin-1"))
    with pytest.raises(UsageError, match="not valid TOML in UTF-8"):
        read_settings(tmp_path / "d.toml", CoordinatorSettings)


@pytest.mark.parametrize("made", [CENTRE, SITE])
def test_the_file_for_a_newcomer_says_what_each_key_is_and_reads_back(made: Settings, tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    write_settings(path, made, "What this is about.")
    assert read_settings(path, type(made)) == made
    text = " ".join(path.read_text(encoding="utf-8").replace("\n# ", " ").split())
    assert text.startswith("# What this is about.")
    for name, field in type(made).model_fields.items():
        assert field.description
        assert field.description in text, name


def test_the_policy_file_holds_the_strict_defaults_and_says_what_each_key_is(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    write_settings(path, Policy())
    assert read_policy(path) == Policy()
    assert [Policy().allow_seeded_noise, Policy().allow_non_private, Policy().allow_patch_unit] == [False] * 3
    for name, field in Policy.model_fields.items():
        assert field.description, name


def test_a_wrong_line_of_the_policy_is_named(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    write_settings(path, Policy())
    lines = path.read_text(encoding="utf-8").splitlines()
    number = lines.index("min_patients = 3")
    path.write_text("\n".join([*lines[:number], "min_patients = 0", *lines[number + 1 :]]), encoding="utf-8")
    with pytest.raises(PolicyRefusal, match=f"policy.toml:{number + 1}: min_patients: "):
        read_policy(path)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
samples = st.builds(
    Sample,
    text=texts | st.sampled_from(['"', "\\", "a\nb", "\x7f", "\0", "'''", "# no comment", "\u2028"]),
    texts=st.lists(texts, max_size=3).map(tuple),
    number=st.floats(allow_nan=False),
    count=st.integers(-(2**63), 2**63 - 1),
    flag=st.booleans(),
    unset=st.none() | st.integers(0, 9),
)


@settings(max_examples=50)
@given(sample=samples)
def test_whatever_is_written_is_read_back(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "sample.toml"
    write_settings(path, sample)
    assert read_settings(path, Sample) == sample


@settings(max_examples=50)
@given(sample=samples, value=texts)
def test_one_key_changes_and_the_rest_stays(
    sample: Sample, value: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "changed.toml"
    write_settings(path, sample)
    before = path.read_text(encoding="utf-8").split("\n")
    change_setting(path, "text", value)
    after = path.read_text(encoding="utf-8").split("\n")
    assert read_settings(path, Sample) == sample.model_copy(update={"text": value})
    changed = [old for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == (value != sample.text)


def test_a_key_that_was_left_out_is_added_and_comments_stay(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('# ours\nname = "a"\ncohort = "/data"  # not "/old"\n', encoding="utf-8")
    change_setting(path, "coordinator", "centre:8443")
    assert path.read_text(encoding="utf-8").splitlines()[1:] == [
        "# ours",
        'name = "a"',
        'cohort = "/data"  # not "/old"',
    ]
    assert read_settings(path, SiteSettings).coordinator == "centre:8443"


def test_a_value_over_several_lines_is_left_to_the_person(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    text = 'name = "a"\ncohort = "/data"\ncoordinator = """\ncentre:8443"""\n'
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match='write this line yourself: coordinator = "other:1"'):
        change_setting(path, "coordinator", "other:1")
    assert path.read_text(encoding="utf-8") == text
    assert tomllib.loads(text)


def test_options_that_do_not_fit_are_named() -> None:
    with pytest.raises(UsageError, match=r"name: .*small letters, digits and hyphens"):
        settings_from(CoordinatorSettings, {"name": "Stroke Net", "hosts": ("a",), "port": None})
    made = settings_from(CoordinatorSettings, {"name": "a", "hosts": ("a",), "port": None})
    assert made.port == CoordinatorSettings.model_fields["port"].default
