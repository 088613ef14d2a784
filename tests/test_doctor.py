"""The command doctor: tables for people, JSON for machines, an exit code for scripts."""

import ast
import dataclasses
import json
import re
import subprocess
import sys

import pytest

from jaxbeh.config import load_config
from jaxbeh.data.checks import examine
from jaxbeh.data.checks import rows as rows_module
from jaxbeh.data.synthetic import LABS, Plan, synthesize
from tests.conftest import ROOT
from tests.data.mabe_folder import Video, rows, tracking_path, walk, write_folder, write_table

VIDEOS = [
    Video(video_id=str(number), tracking=rows(walk(seed=number)), pix_per_cm=2.2)
    for number in range(7)
]


def run(python, *words, **options):
    return python("-m", "jaxbeh", "doctor", *words, **options)


def test_the_machine_alone(python, tmp_path):
    done = run(python, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for part in ("Python", "jaxlib", "device", "cpu", "memory", "runs", "cache", "programs"):
        assert part in done.stdout
    assert "0 errors" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_collection_in_order_and_one_with_errors(python, tmp_path):
    root = write_folder(tmp_path / "mice", VIDEOS)
    done = run(python, "--data", root)
    assert (done.returncode, done.stderr) == (0, "")
    assert "7 videos with 280 frames looked at" in done.stdout
    tracking_path(root, VIDEOS[3]).write_bytes(b"no parquet")
    done = run(python, "--data", root)
    assert (done.returncode, done.stderr) == (1, "")
    assert "1 error," in done.stdout
    shown = " ".join(done.stdout.replace("│", " ").split())
    assert "train_tracking/Lab/" in shown
    assert "fetch or write the file" in shown


def test_json_is_all_that_is_printed_and_has_every_finding(python, tmp_path):
    videos = [dataclasses.replace(video, pix_per_cm=None) for video in VIDEOS]
    root = write_folder(tmp_path, videos)
    done = run(python, "--data", root, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert set(report) == {
        "schema", "jaxbeh", "machine", "collection", "findings", "counts",
    }  # fmt: skip
    assert report["schema"] == 1
    assert set(report["machine"]) == {"python", "packages", "devices", "memory", "places"}
    assert report["collection"] == {
        "folder": str(root), "videos": 7, "unlabelled": 0, "frames": 280,
    }  # fmt: skip
    scales = [one for one in report["findings"] if one["check"] == "scale-missing"]
    assert sorted(one["video_id"] for one in scales) == [str(number) for number in range(7)]
    assert set(scales[0]) == {
        "check", "severity", "file", "what", "remedy", "video_id", "lab_id", "count",
    }  # fmt: skip
    assert sum(report["counts"].values()) == len(report["findings"])


def test_many_findings_of_one_kind_are_shortened_and_say_so(python, tmp_path):
    videos = [dataclasses.replace(video, pix_per_cm=None) for video in VIDEOS]
    done = run(python, "--data", write_folder(tmp_path, videos))
    assert done.stdout.count("no pix_per_cm_approx") == 3
    assert "4 more of this kind" in done.stdout


def test_the_recipe_says_how_events_are_scaled(python, tmp_path):
    video = dataclasses.replace(VIDEOS[0], fps=25, events=((1, 2, "sniff", 3, 48),))
    root = write_folder(tmp_path / "mice", [video])
    (tmp_path / "mine.yaml").write_text(
        "base: v6\ndata: {event_scale: [{lab: Lab, fps: 25.0, factor: 0.8333}]}\n"
    )
    assert "events-beyond-end" in run(python, "--data", root, "--json").stdout
    scaled = run(python, "--data", root, "--json", "--config", tmp_path / "mine.yaml")
    assert "events-beyond-end" not in scaled.stdout


def test_a_folder_that_is_none(python, tmp_path):
    done = run(python, "--data", tmp_path / "none")
    assert done.returncode == 1
    assert done.stderr.startswith(f"jaxbeh: {tmp_path / 'none'}: is no folder; name one")


def test_a_place_that_cannot_be_written_is_an_error(python, tmp_path):
    (tmp_path / "runs").write_text("a file where the folder of runs should be")
    done = run(python, "--json", cwd=tmp_path)
    assert done.returncode == 1
    (found,) = (
        one for one in json.loads(done.stdout)["findings"] if one["check"] == "write-access"
    )
    assert (found["severity"], found["file"]) == ("error", "runs")


def test_text_of_the_files_is_printed_as_it_is(python, tmp_path):
    """Brackets are no colours, and a video's name is no markup."""
    video = dataclasses.replace(VIDEOS[0], video_id="[red]a", whitelist="[bold]sniff")
    done = run(python, "--data", write_folder(tmp_path / "[b]", [video]))
    assert done.returncode == 1
    assert "[bold]sniff" in done.stdout
    assert "[red]a" in done.stdout


PEAK = """
import resource, sys
from pathlib import Path
from jaxbeh.data.checks import examine
from jaxbeh.settings.run import DataSettings
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
settings = DataSettings()
examine(Path(sys.argv[1]), settings, lambda *_: None)
few = peak()
found = examine(Path(sys.argv[2]), settings, lambda *_: None)
print(found.videos, (peak() - few) // 1024)
"""


def copies(root, count):
    """A collection of one recording under many ids."""
    video = Video(tracking=rows(walk(frames=30_000, seed=1)))
    write_folder(root, [video])
    others = [dataclasses.replace(video, video_id=str(number)) for number in range(count)]
    write_table(root / "train.csv", others)
    for kind in ("tracking", "annotation"):
        folder = root / f"train_{kind}" / video.lab_id
        for other in others:
            (folder / f"{other.video_id}.parquet").hardlink_to(folder / "101.parquet")
    return root


def test_ten_times_the_videos_take_no_more_memory(tmp_path):
    """Each takes some 20 MB while it is read; 60 of them kept would be 1.2 GB."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, copies(tmp_path / "few", 6), copies(tmp_path / "many", 60)],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    videos, grown = map(int, done.stdout.split())
    assert videos == 60
    assert grown < 100


# What is documented


def names_of_checks():
    """The first word of every finding that the code makes."""
    names = {f"{name}-rows" for name in rows_module._REMEDIES}
    for folder in ("data/checks", "machine"):
        for path in sorted((ROOT / "jaxbeh" / folder).glob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call):
                    given = [word.value for word in node.keywords if word.arg == "check"]
                    if getattr(node.func, "attr", "") == "found":
                        given.append(node.args[0])
                    if getattr(node.func, "id", "") == "unreadable":
                        given.append(node.args[2])
                    names |= {one.value for one in given if isinstance(one, ast.Constant)}
    return names


def test_every_check_is_documented_and_every_documented_one_is_there():
    text = (ROOT / "docs" / "doctor.md").read_text("utf-8")
    documented = set(re.findall(r"^\| `([a-z]+(?:-[a-z]+)*)` \|", text, re.MULTILINE))
    # Headings of the JSON form are fields, not checks.
    assert documented - {"collection", "findings", "counts"} == names_of_checks()
    assert len(names_of_checks()) > 30


def test_real_recordings_raise_no_false_alarm():
    real = ROOT.parent / "shared" / "data" / "real"
    if not real.is_dir():
        pytest.skip("the real recordings are not beside this checkout")
    found = examine(real, load_config("v6").data, lambda *_: None)
    assert {finding.check for finding in found.findings} == {"scale-missing"}
    assert found.frames == 102_292


def test_synthetic_recordings_raise_no_false_alarm(tmp_path):
    """Every lab of the generator: lost points, tremor, frame rates from 10 to 120."""
    synthesize(tmp_path / "mice", Plan(videos=len(LABS), labs=tuple(LABS), frames=1000))
    found = examine(tmp_path / "mice", load_config("v6").data, lambda *_: None)
    alarms = [one for one in found.findings if one.severity != "note"]
    assert alarms == []
    assert found.videos > len(LABS)
